"""Workers and the nursery that they come from: born with what they need, replaced when gone, none left over."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.rows import RowEncoder
from aias.training.configuration import Configuration
from aias.training.table import Part, Table
from aias.training.worker import Order, Word
from aias.training.workers import Worker, Workers

LINEAR, TREES = Configuration("linear", "linear", {"C": 1.0}), Configuration("trees", "boosted_trees", {"rounds": 3})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    a = np.random.default_rng(0).normal(size=60)
    encoder = RowEncoder.fit([Field("a", "number")], {"a": a})
    y, folds = (a > 0).astype(np.int64), (np.arange(60) % 2).astype(np.int16)
    Table(Task("y", "binary", "roc_auc", ("a", "b")), encoder, Part(encoder.columns({"a": a}, 60), y), folds).save(
        tmp_path / "table"
    )
    return tmp_path


def order(configuration: Configuration, fold: int = 0) -> Order:
    return Order(configuration, fold, 0, 60.0, time.monotonic() + 60.0, 1)


def heard(workers: Workers, *, kind: str, seconds: float = 600.0) -> tuple[Worker, Word]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for worker, word in list(workers.listen(1.0)):
            if word.kind == kind:
                worker.order = None
                return worker, word
    raise AssertionError(f"nobody said {kind}")


def gone(pid: int, *, seconds: float = 60.0) -> bool:
    """Or a zombie by then."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def test_a_library_is_loaded_in_the_nursery_and_a_worker_born_anew_with_it(folder: Path) -> None:
    with Workers(folder, count=2, threads=1) as workers:
        first, second = workers.all
        before = first.process.pid
        workers.give(first, order(LINEAR))
        heard(workers, kind="done")
        assert first.process.pid == before

        workers.give(first, order(TREES))
        heard(workers, kind="done")
        born = first.process.pid
        assert born != before and gone(before)
        assert "lib_lightgbm" in Path(f"/proc/{born}/maps").read_text()
        assert "lib_lightgbm" not in Path(f"/proc/{second.process.pid}/maps").read_text()

        workers.give(first, order(LINEAR, fold=1))
        heard(workers, kind="done")
        assert first.process.pid == born


def test_nobody_is_left_behind(folder: Path) -> None:
    with Workers(folder, count=2, threads=1) as workers:
        pids = [each.process.pid for each in workers.all]
        workers.give(workers.all[0], order(LINEAR))
        nursery = workers._nursery._process.pid
    assert all(map(gone, (*pids, nursery)))


def test_a_worker_whose_trainer_is_gone_ends(folder: Path) -> None:
    workers = Workers(folder, count=1, threads=1)
    pid = workers.all[0].process.pid
    workers._nursery._channel.close()  # as the system does when the trainer is killed
    workers._nursery._process.wait(60)
    assert gone(pid)
    for pipe in (workers.all[0].process.orders, workers.all[0].process.words):
        pipe.close()


def test_when_the_nursery_dies_another_takes_its_place(folder: Path) -> None:
    with Workers(folder, count=1, threads=1) as workers:
        worker = workers.all[0]
        os.kill(worker.process.pid, signal.SIGKILL)
        workers._nursery._process.kill()
        workers._nursery._process.wait()
        _, word = heard(workers, kind="gone")
        assert word.message == "it is gone"
        workers.give(workers.all[0], order(LINEAR))
        heard(workers, kind="done")
        assert workers.all[0] is not worker


def test_a_worker_that_is_not_born_yet_can_be_replaced(folder: Path) -> None:
    with Workers(folder, count=1, threads=1) as workers:
        workers.give(workers.all[0], order(LINEAR))
        workers.replace(workers.all[0])
        workers.give(workers.all[0], order(LINEAR))
        _, word = heard(workers, kind="done")
        assert word.facts["seconds"] > 0
