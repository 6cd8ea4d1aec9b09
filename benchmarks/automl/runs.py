"""One system on one set: alone in a process of its own on the same cores, watched, and judged by what it wrote."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np

from automl.busy import busy_share
from automl.files import Files, write_files
from automl.job import Job
from automl.memory import PeakMemory
from automl.scores import score
from automl.sets import Set
from automl.systems import SYSTEMS, python_of

BENCHMARKS: Final = Path(__file__).resolve().parents[1]

GRACE_SECONDS: Final = 600
"""For reading, overrunning and answering, beside four budgets: the slowest measured took 1.4 budgets and 60 s."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where runs find and put things, and the cores that all of them get."""

    data: Path
    environments: Path
    work: Path
    cores: tuple[int, ...]


def run(system: str, one: Set, place: Place, *, budget_seconds: float, seed: int) -> dict[str, Any]:
    """What is known of the run; a failure has `failed` and no score."""
    files = write_files(one, place.data, place.work / "sets", seed=seed)
    python = python_of(SYSTEMS[system], place.environments)
    what = {"set": one.name, "system": system, "budget_seconds": budget_seconds, "seed": seed, "metric": one.metric}
    now = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "busy_before": busy_share()}
    place.work.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{system}-{one.name}-", dir=place.work))
    try:
        job = _job(system, one, files, folder, budget_seconds=budget_seconds, seed=seed, cores=place.cores)
        seen = _watched(python, job)
        if "failed" in seen:
            _keep_log(folder, place.work)
            return what | now | seen
        return what | now | seen | _judged(one, files, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _job(
    system: str, one: Set, files: Files, folder: Path, *, budget_seconds: float, seed: int, cores: tuple[int, ...]
) -> Job:
    chosen = SYSTEMS[system]
    return Job(
        system=system, module=chosen.module, option=chosen.option, target=one.target, kind=one.kind,
        metric=one.metric, classes=files.classes, train=str(files.train.resolve()), test=str(files.test.resolve()),
        folder=str(folder.resolve()), budget_seconds=budget_seconds, seed=seed, cores=cores,
    )  # fmt: skip


def _watched(python: Path, job: Job) -> dict[str, Any]:
    """Start the process, wait for its end and see what memory it takes; an end of its own counts as a failure."""
    folder = Path(job.folder)
    job.write(folder / "job.json")
    log = folder / "log.txt"
    command = [str(python), "-m", "automl.child", str(folder / "job.json")]
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, cwd=folder, stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            process_group=0, env=_environment(),
        )  # fmt: skip
        memory = PeakMemory(process.pid)
        memory.start()
        try:
            code: int | None = process.wait(4 * job.budget_seconds + GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
            peak_mb = memory.stop()
    seen = {"wall_seconds": time.perf_counter() - began, "peak_mb": peak_mb}
    if code == 0:
        return seen
    tail = log.read_text(errors="replace").strip()[-2_000:]
    return seen | {"failed": tail if code is not None else f"killed after {seen['wall_seconds']:.0f} s\n{tail}"}


def _keep_log(folder: Path, work: Path) -> None:
    (work / "logs").mkdir(exist_ok=True)
    shutil.copy(folder / "log.txt", work / "logs" / f"{folder.name}.txt")


def _environment() -> dict[str, str]:
    """Nobody's own Python settings, and no reaching for the network by libraries that like to."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "AIAS"))}
    return kept | {"PYTHONPATH": str(BENCHMARKS), "HF_HUB_OFFLINE": "1"}


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and everything that it has left running."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _judged(one: Set, files: Files, folder: Path) -> dict[str, Any]:
    """The child's figures, with the score of each form by our own judge."""
    figures: dict[str, Any] = json.loads((folder / "figures.json").read_text())
    for form in figures["forms"].values():
        form["score"] = score(one.metric, files.answers, np.load(folder / form.pop("scores"), allow_pickle=False))
    return figures
