"""Workers and the forkserver that they come from: started with what they need, replaced when gone, none left over."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from aias.core.catalog import member, members
from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.rows import RowEncoder
from aias.training.processes.forkserver import ForkServer
from aias.training.processes.worker import Order, Word
from aias.training.processes.workers import Process, Worker, Workers
from aias.training.selection.configuration import Configuration
from aias.training.table import Part, Table

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
    return Order(configuration, fold, 0, 600.0, time.monotonic() + 600.0, 1)


def heard(workers: Workers, *, kind: str, ends: bool = True, seconds: float = 600.0) -> tuple[Worker, Word]:
    """`ends`: whether that is the last of an order."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for worker, word in list(workers.listen(1.0)):
            if word.kind in kind.split():
                worker.order = None if ends else worker.order
                return worker, word
    raise AssertionError(f"nobody said {kind}")


def gone(pid: int, *, seconds: float = 600.0) -> bool:
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


def test_a_library_is_loaded_in_the_forkserver_and_a_worker_started_anew_with_it(folder: Path) -> None:
    with Workers(folder, count=2, threads=1) as workers:
        first, second = workers.all
        before = first.process.pid
        workers.give(first, order(LINEAR))
        heard(workers, kind="done")
        assert first.process.pid == before

        workers.give(first, order(TREES))
        heard(workers, kind="done")
        started = first.process.pid
        assert started != before and gone(before)
        assert "lib_lightgbm" in Path(f"/proc/{started}/maps").read_text()
        assert "lib_lightgbm" not in Path(f"/proc/{second.process.pid}/maps").read_text()

        workers.give(first, order(LINEAR, fold=1))
        heard(workers, kind="done")
        assert first.process.pid == started


@pytest.mark.parametrize("name", [each for each in members("learners") if each != "text_mlp"])  # there are no texts
def test_a_worker_finds_all_that_a_learner_needs(name: str, folder: Path) -> None:
    for module in member("learners", name).needs:
        pytest.importorskip(module)
    with Workers(folder, count=1, threads=1) as workers:
        workers.give(workers.all[0], order(Configuration(name, name)))
        _, word = heard(workers, kind="done failed gone")
    assert word.kind == "done", word.message


@pytest.fixture
def odd_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`slow_to_load` is loaded once the returned file is there, `fatal_to_load` never."""
    rooms, loaded = tmp_path / "libraries", tmp_path / "go"
    rooms.mkdir()
    (rooms / "slow_to_load.py").write_text(
        f"import os, time\nwhile not os.path.exists({str(loaded)!r}):\n    time.sleep(0.02)\n"
    )
    (rooms / "fatal_to_load.py").write_text("import os\nos.abort()\n")
    monkeypatch.setenv("PYTHONPATH", f"{rooms}:{os.environ.get('PYTHONPATH', '')}")
    return loaded


def needing(workers: Workers, worker: Worker, *libraries: str) -> None:
    """As if the learner of its next order needed these."""
    workers._end(worker)
    worker.process = workers._forked(frozenset(libraries))
    workers._listen_to(worker)


def test_who_needs_nothing_of_a_library_that_is_being_loaded_is_started_at_once(
    folder: Path, odd_libraries: Path
) -> None:
    with Workers(folder, count=2, threads=1) as workers:
        slow, quick = workers.all
        needing(workers, slow, "slow_to_load")
        workers.give(slow, order(LINEAR, fold=1))
        os.kill(quick.process.pid, signal.SIGKILL)
        _, word = heard(workers, kind="gone")
        assert word.message == "killed by SIGKILL"
        fresh = workers.all[1]
        assert fresh is not quick
        workers.give(fresh, order(LINEAR))
        assert heard(workers, kind="done")[0] is fresh
        assert not slow.started
        odd_libraries.touch()
        assert heard(workers, kind="done")[0] is slow
        assert slow.process.modules == {"slow_to_load"}


def test_a_library_whose_loading_is_fatal_takes_one_worker_and_no_other(
    folder: Path, odd_libraries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = {"nearest": "fatal_to_load", "boosted_trees": "lightgbm"}
    monkeypatch.setattr(
        "aias.training.processes.workers._libraries", lambda name: frozenset({needs[name]} if name in needs else ())
    )
    with Workers(folder, count=2, threads=1) as workers:
        doomed, other = workers.all
        pid = other.process.pid
        workers.give(doomed, order(Configuration("nearest", "nearest")))
        assert heard(workers, kind="event", ends=False)[1].name == "train.begun-again"
        assert heard(workers, kind="event gone") == (doomed, Word("gone", message="it is gone"))
        for worker in (workers.all[0], other):
            workers.give(worker, order(LINEAR, fold=workers.all.index(worker)))
            heard(workers, kind="done")
        assert other.process.pid == pid
        workers.give(other, order(TREES))  # from a zygote opened anew
        heard(workers, kind="done")


def test_a_library_that_never_loads_is_given_up_and_who_waited_behind_it_fits(
    folder: Path, odd_libraries: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs = {"nearest": "slow_to_load", "boosted_trees": "lightgbm"}
    monkeypatch.setattr(
        "aias.training.processes.workers._libraries", lambda name: frozenset({needs[name]} & {*needs.values()})
    )
    with Workers(folder, count=2, threads=1) as workers:
        stuck, behind = workers.all
        workers.give(stuck, order(Configuration("nearest", "nearest")))
        workers.give(behind, order(TREES))
        assert workers.give_up_loading(600.0) == [] and not behind.started
        zygote = workers._forkserver._zygotes[1]
        while zygote.known_pid is None:
            time.sleep(0.02)
            zygote.hear()
        assert workers.give_up_loading(0.0) == [stuck] and workers.misses("nearest") == {"slow_to_load"}
        stuck.order = None
        workers.replace(stuck)
        assert heard(workers, kind="done")[0] is behind
        assert gone(zygote.known_pid) and workers.give_up_loading(0.0) == []


def test_what_is_being_loaded_ends_with_the_forkserver(folder: Path, odd_libraries: Path) -> None:
    with Workers(folder, count=1, threads=1) as workers:
        forkserver, first = workers._forkserver._process.pid, workers.all[0].process.pid
        needing(workers, workers.all[0], "slow_to_load")
        children = Path(f"/proc/{forkserver}/task/{forkserver}/children")
        until = time.monotonic() + 600
        while not (zygotes := [int(pid) for pid in children.read_text().split() if int(pid) != first]):
            assert time.monotonic() < until
            time.sleep(0.02)
    assert not odd_libraries.exists() and all(map(gone, zygotes))


def test_nobody_is_left_behind(folder: Path) -> None:
    with Workers(folder, count=2, threads=1) as workers:
        pids = [each.process.pid for each in workers.all]
        workers.give(workers.all[0], order(LINEAR))
        forkserver = workers._forkserver._process.pid
    assert all(map(gone, (*pids, forkserver)))


def test_a_worker_whose_trainer_is_gone_ends(folder: Path) -> None:
    workers = Workers(folder, count=1, threads=1)
    pid = workers.all[0].process.pid
    workers._forkserver._zygotes[0].channel.close()  # as the system does when the trainer is killed
    workers._forkserver._process.wait(600)
    assert gone(pid)
    for pipe in (workers.all[0].process.orders, workers.all[0].process.words):
        pipe.close()


@pytest.mark.parametrize("at", ["_forked", "hear_of_start"])
def test_an_interrupt_while_a_worker_is_replaced_is_no_other_fault(
    folder: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    room = Workers if at == "_forked" else Process

    def interrupted(*_: object) -> None:
        monkeypatch.undo()
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Workers(folder, count=1, threads=1) as workers:
        monkeypatch.setattr(room, at, interrupted)
        workers.replace(workers.all[0])


def test_when_the_forkserver_dies_another_takes_its_place(folder: Path) -> None:
    with Workers(folder, count=1, threads=1) as workers:
        worker = workers.all[0]
        os.kill(worker.process.pid, signal.SIGKILL)
        workers._forkserver._process.kill()
        workers._forkserver._process.wait()
        _, word = heard(workers, kind="gone")
        assert word.message == "it is gone"
        workers.give(workers.all[0], order(LINEAR))
        heard(workers, kind="done")
        assert workers.all[0] is not worker


@pytest.mark.parametrize("started", [True, False])
def test_what_was_being_fitted_when_the_forkserver_died_is_fitted_by_the_workers_of_the_next(
    folder: Path, started: bool
) -> None:
    """Not said of the configurations, which are not to blame."""
    told: list[str] = []
    with Workers(folder, count=2, threads=1) as workers:
        forkserver = workers._forkserver._process
        for fold, worker in enumerate(workers.all):
            os.kill(worker.process.pid if started else forkserver.pid, signal.SIGSTOP)
            workers.give(worker, order(LINEAR if started else TREES, fold))
        forkserver.kill()
        forkserver.wait()
        until = time.monotonic() + 600
        while told.count("done") + told.count("gone") < 2 and time.monotonic() < until:
            said = [word.name or word.kind for _, word in workers.listen(1.0)]
            told += [each for each in said if each in {"done", "gone", "train.begun-again"}]
    assert sorted(told) == ["done", "done", "train.begun-again", "train.begun-again"]


def test_what_ends_beside_a_forkserver_that_is_only_slow_is_not_begun_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When memory is short the system ends the worker that has most, and whoever should say so is slow."""
    monkeypatch.setattr("aias.training.processes.forkserver.REAP_SECONDS", 0.05)
    with Workers(folder, count=1, threads=1) as workers:
        worker, forkserver = workers.all[0], workers._forkserver._process
        pid = worker.process.pid
        os.kill(pid, signal.SIGSTOP)
        workers.give(worker, order(LINEAR))
        os.kill(forkserver.pid, signal.SIGSTOP)
        try:
            os.kill(pid, signal.SIGKILL)
            _, word = heard(workers, kind="event gone")
        finally:
            os.kill(forkserver.pid, signal.SIGCONT)
        assert (word.kind, word.message) == ("gone", "it ended, of what was not said in time")
        workers.give(workers.all[0], order(LINEAR))
        heard(workers, kind="done")


def test_a_worker_that_is_not_started_yet_can_be_replaced(folder: Path) -> None:
    with Workers(folder, count=1, threads=1) as workers:
        workers.give(workers.all[0], order(LINEAR))
        workers.replace(workers.all[0])
        workers.give(workers.all[0], order(LINEAR))
        _, word = heard(workers, kind="done")
        assert word.facts["seconds"] > 0


def test_a_worker_ends_with_the_zygote_that_it_comes_from(folder: Path) -> None:
    """The system may end any of them, and of two that hear of the trainer's end the first takes the second along."""
    with Workers(folder, count=1, threads=1) as workers:
        workers.give(workers.all[0], order(TREES))
        pid = workers.all[0].process.pid
        zygote = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        assert zygote != workers._forkserver._process.pid
        os.kill(zygote, signal.SIGKILL)
        assert gone(pid)


def test_a_worker_whose_start_nobody_has_heard_of_yet_ends_when_it_is_replaced(
    folder: Path, odd_libraries: Path
) -> None:
    (odd_libraries.parent / "libraries" / "never_through.py").write_text(
        "import os, pathlib, time\nfrom aias.training.unit import UnitFitter\n\n"
        f"def fit(*_, **__):\n    told = pathlib.Path({str(odd_libraries)!r})\n"
        "    told.with_suffix('.new').write_text(str(os.getpid()))\n    told.with_suffix('.new').rename(told)\n"
        "    time.sleep(600)\n\nUnitFitter.fit = fit\n"
    )
    with Workers(folder, count=1, threads=1) as workers:
        worker = workers.all[0]
        needing(workers, worker, "never_through")
        workers.give(worker, order(LINEAR))
        until = time.monotonic() + 600
        while not odd_libraries.exists():
            assert time.monotonic() < until
            time.sleep(0.02)
        assert not worker.started
        pid = int(odd_libraries.read_text())
        workers.replace(worker)
        assert gone(pid)


def test_what_nobody_asks_of_the_dead_does_not_hold_up_the_forkserver(folder: Path) -> None:
    """A channel holds some 280 words that are not read."""
    with Workers(folder, count=1, threads=1) as workers:
        for _ in range(400):
            workers.all[0].process.pid  # noqa: B018  it is started
            workers.replace(workers.all[0])
        workers.give(workers.all[0], order(LINEAR))
        heard(workers, kind="done")


def test_workers_may_come_from_a_forkserver_that_is_open_already(folder: Path) -> None:
    forkserver = ForkServer(folder, threads=1)
    assert forkserver.serves(folder, threads=1)
    assert not forkserver.serves(folder / "other", threads=1) and not forkserver.serves(folder, threads=2)
    with Workers(folder, count=1, threads=1, forkserver=forkserver) as workers:
        workers.give(workers.all[0], order(LINEAR))
        heard(workers, kind="done")
        stat = Path(f"/proc/{workers.all[0].process.pid}/stat").read_text()
        assert int(stat.rpartition(")")[2].split()[1]) == forkserver._process.pid
    assert gone(forkserver._process.pid)


def test_a_forkserver_that_nobody_needed_is_gone_when_it_is_closed() -> None:
    forkserver = ForkServer(Path("nowhere"), threads=1)
    process = forkserver._process
    forkserver.close()
    forkserver.close()
    assert process.returncode is not None
