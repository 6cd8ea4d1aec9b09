"""The requests a second of all servers side by side, as a picture."""

import statistics
from typing import Final

from aias.plots.bars import Bar, bar_chart
from serving.results import Results
from serving.systems import SYSTEMS

CONNECTIONS: Final = 32

NAMES: Final = {
    "aias": "Aias", "floor_wsgi": "granian, bare", "floor_asgi": "uvicorn, bare", "triton": "NVIDIA Triton",
    "fastapi": "FastAPI", "mlserver": "MLServer", "litserve": "LitServe", "bentoml": "BentoML", "ray": "Ray Serve",
}  # fmt: skip


def picture(results: Results) -> bytes | None:
    """An SVG, the fastest first; None where nothing was measured. Lines reach from the slowest turn to the fastest."""
    bars = []
    for system in SYSTEMS:
        found = results.of(row="row", system=system, connections=CONNECTIONS)
        if turns := sorted(run["found"]["per_s"] for run in found):
            bars.append(Bar(NAMES[system], statistics.median(turns), turns[0], turns[-1]))
    if not bars:
        return None
    bars.sort(key=lambda each: -each.value)
    note = f"one row, 200 trees, {CONNECTIONS} connections, one core"
    return bar_chart("Requests a second", note, "requests a second", bars)
