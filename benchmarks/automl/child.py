"""One system on one set, in this process: `python -m automl.child JOB.json` writes `figures.json`.

Importing libraries is not timed, for no system; reading the file, fitting and writing the model are.
"""

import ctypes
import importlib
import json
import os
import signal
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from automl.job import Deployed, Job, Peer

CALLS_MIN, CALLS_MAX, CALLS_SECONDS = 50, 500, 10.0
"""Single rows are asked for this long, but no fewer and no more times."""

CALLS_WARM = 3

PR_SET_PDEATHSIG = 1
"""Die with the parent (prctl(2)): a run that nobody waits for would disturb the next."""


def main(path: Path) -> None:
    job = Job.read(path)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    os.sched_setaffinity(0, job.cores)
    os.chdir(job.folder)
    peer: Any = importlib.import_module(f"automl.peers.{job.module}")
    version = peer.imports()
    began = time.perf_counter()
    peer.fit(job)
    figures = {"version": version, "fit_seconds": time.perf_counter() - began, "forms": {}}
    for form, place in peer.forms(job).items():
        figures["forms"][form] = _measure(peer, job, form) | {"size_bytes": _size(place)}
    (path.parent / "figures.json").write_text(json.dumps(figures))


def _measure(peer: Peer, job: Job, form: str) -> dict[str, Any]:
    import numpy as np

    began = time.perf_counter()
    model = peer.load(job, form)
    loaded = time.perf_counter()
    found = np.asarray(model.scores(), np.float64)
    answered = time.perf_counter()
    np.save(f"scores-{form}.npy", found)
    return {
        "load_seconds": loaded - began,
        "test_seconds": answered - loaded,
        "row_ms": _row_ms(model),
        "scores": f"scores-{form}.npy",
    }


def _row_ms(model: Deployed) -> float:
    """The median of single rows, one after another."""
    rows = model.rows(CALLS_MIN)
    took: list[float] = []
    until = time.perf_counter() + CALLS_SECONDS
    for call in range(CALLS_WARM + CALLS_MAX):
        began = time.perf_counter()
        model.answer(rows[call % len(rows)])
        took.append(time.perf_counter() - began)
        if call >= CALLS_WARM + CALLS_MIN and began > until:
            break
    return statistics.median(took[CALLS_WARM:]) * 1e3


def _size(place: Path) -> int:
    files = [place] if place.is_file() else [each for each in place.rglob("*") if each.is_file()]
    return sum(each.stat().st_size for each in files)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
