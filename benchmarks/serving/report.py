"""Runs → the table of ratios, and whether each goal of it is reached."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from serving.results import Results
from serving.systems import SYSTEMS

Found = dict[tuple[str, int], dict[str, float]]
"""By system and connections, the median of each figure over the turns."""


@dataclass(frozen=True, slots=True)
class Goal:
    """Ours against the best of a group: at `least` so many times its requests a second, and `tail_most` so many times
    its 99th percentile, where that has a goal."""

    group: str
    against: str
    least: float
    tail_most: float | None = None


GOALS: Final = (
    Goal("peer", "the best of MLServer, BentoML, LitServe, Ray Serve", 12.0, 1.0),
    Goal("plain", "FastAPI + onnxruntime", 4.0, 1.0),
    Goal("triton", "NVIDIA Triton", 1.5),
    Goal("floor", "the fastest bare server", 0.6),
)
SENTENCES_TIMES_MIN: Final = 1.5
IDLE_TIMES_MAX: Final = 1.02
"""Runs in common, by runs of one row each: requests a second, and the median of one connection alone."""

MANY_TIMES_MAX: Final = 1.1
"""The median of ten models beside hundreds of others, by that of the ten alone."""

_HEAD: Final = (
    "system",
    "connections",
    "requests/s",
    "p50 ms",
    "p99 ms",
    "processor µs a request",
    "MB",
    "client's core",
)


def medians(results: Results) -> Found:
    found: Found = {}
    for system in SYSTEMS:
        for connections in sorted({run["connections"] for run in results.of(row="row", system=system)}):
            runs = [run["found"] for run in results.of(row="row", system=system, connections=connections)]
            found[system, connections] = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    return found


def markdown(results: Results) -> str:
    found = medians(results)
    lines = table(_HEAD, [_cells(system, connections, each) for (system, connections), each in found.items()])
    goals = [
        cells for goal in GOALS for connections in _connections(found) if (cells := _judged(goal, connections, found))
    ]
    lines += ["", *table(("ours", "connections", "requests/s", "processor time", "p99", "goal", ""), goals)]
    for row in ("alone", "sentences", "many"):
        lines += [f"\n{row}: {_told(run['found'])}{_goal_of(row, run['found'])}" for run in results.of(row=row)]
    return "\n".join(lines)


def _goal_of(row: str, found: dict[str, float]) -> str:
    if row == "sentences" and "times_per_s" in found:
        good = found["times_per_s"] >= SENTENCES_TIMES_MIN and found["times_idle_p50"] <= IDLE_TIMES_MAX
        goal = f"goals ≥ {SENTENCES_TIMES_MIN} × and ≤ {IDLE_TIMES_MAX} ×"
        times = f"{found['times_per_s']:.2f} × as many a second, {found['times_idle_p50']:.3f} × the idle p50"
        return f"  {times}, {goal}: {'ok' if good else 'MISS'}"
    if row != "many" or "times_p50" not in found:
        return ""
    verdict = "ok" if found["times_p50"] <= MANY_TIMES_MAX else "MISS"
    return f"  p50 {found['times_p50']:.2f} × that of ten alone, goal ≤ {MANY_TIMES_MAX} ×: {verdict}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def _connections(found: Found) -> list[int]:
    return sorted({connections for system, connections in found if system == "aias"})


def _cells(system: str, connections: int, found: dict[str, float]) -> list[str]:
    return [
        system, str(connections), f"{found['per_s']:,.0f}", f"{found['p50_ms']:.3g}", f"{found['p99_ms']:.3g}",
        f"{found['cpu_us']:,.0f}", f"{found['memory_mb']:.0f}", f"{found['client_share']:.0%}",
    ]  # fmt: skip


def _judged(goal: Goal, connections: int, found: Found) -> list[str] | None:
    others = [
        found[name, connections]
        for name in SYSTEMS
        if SYSTEMS[name].group == goal.group and (name, connections) in found
    ]
    if not others:
        return None
    ours = found["aias", connections]
    times = ours["per_s"] / _best(others, "per_s", max)
    cheaper = _best(others, "cpu_us", min) / ours["cpu_us"]
    tail = ours["p99_ms"] / _best(others, "p99_ms", min)
    good = "ok" if times >= goal.least and (goal.tail_most is None or tail <= goal.tail_most) else "MISS"
    most = "" if goal.tail_most is None else f", p99 ≤ {goal.tail_most:g} ×"
    return [
        f"× {goal.against}",
        str(connections),
        f"{times:.2f} ×",
        f"{cheaper:.2f} ×",
        f"{tail:.2f} ×",
        f"≥ {goal.least} ×{most}",
        good,
    ]


def _best(runs: Sequence[dict[str, float]], name: str, of: Callable[..., float]) -> float:
    return of(run[name] for run in runs)


def _told(found: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in found.items())
