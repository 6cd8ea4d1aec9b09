import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from aias.core.events import Event
from aias.training.ledger import Ledger
from aias.training.processes.timeouts import START_SECONDS
from aias.training.processes.workers import InlineWorkers, Worker, Workers
from aias.training.selection.configuration import Configuration, Unit
from aias.training.selection.plan import Plan
from aias.training.selection.trial import Trial
from aias.training.unit import UnitFitter
from tiny_plans import LINEAR, STRONG, plan, run, table


def test_a_worker_that_dies_takes_its_configuration_with_it_and_nothing_else(tmp_path: Path) -> None:
    held, told = table(), []
    held.save(tmp_path / "table")
    with Workers(tmp_path, count=1, threads=1) as workers:
        os.kill(workers.all[0].process.pid, signal.SIGKILL)
        members = run(plan(held, workers, tmp_path, told), LINEAR, STRONG)
    assert [member.name for member in members] == ["strong"]
    assert "killed by SIGKILL" in next(event.message for event in told if event.name == "train.skipped")


def test_what_somebody_stopped_did_not_run_late(tmp_path: Path) -> None:
    held, told = table(), []
    held.save(tmp_path / "table")
    with Workers(tmp_path, count=1, threads=1) as workers:
        os.kill(workers.all[0].process.pid, signal.SIGSTOP)
        made = plan(held, workers, tmp_path, told)
        ends_at = made.fit_ends_at()
        made.fit_ends_at = lambda: 0.0 if workers.busy else ends_at
        run(made, LINEAR)
    assert "was stopped" in next(event.message for event in told if event.name == "train.skipped")


def overdue_soon(made: Plan) -> Plan:
    """The first unit that it gives to a worker should be through at once."""
    order = made._order

    def hurried(worker: Worker, trial: Trial, unit: Unit) -> None:
        made._order = order  # type: ignore[method-assign]
        order(worker, trial, unit)
        made._due[id(worker)] = time.monotonic() - START_SECONDS

    made._order = hurried  # type: ignore[method-assign]
    return made


def test_a_fit_that_does_not_end_is_killed_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.training.processes.timeouts.IMPORT_SECONDS", 0.0)
    held, told = table(), []
    held.save(tmp_path / "table")
    with Workers(tmp_path, count=1, threads=1) as workers:
        os.kill(workers.all[0].process.pid, signal.SIGSTOP)
        members = run(overdue_soon(plan(held, workers, tmp_path, told)), LINEAR, STRONG)
    assert [member.name for member in members] == ["strong"]
    assert "it did not finish in time" in next(event.message for event in told if event.name == "train.skipped")


def test_the_best_state_of_a_killed_fit_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.training.processes.timeouts.IMPORT_SECONDS", 0.0)
    held, ledger = table(folds=1), Ledger(tmp_path)
    held.save(tmp_path / "table")
    with InlineWorkers(UnitFitter(held, Ledger(tmp_path / "before"))) as inline_:
        (member,) = run(plan(held, inline_, tmp_path / "before", []), STRONG)
    key = member.units[0].key(held.digest)
    entry = Ledger(tmp_path / "before").get(key)
    assert entry is not None
    ledger.keep(key, entry)
    with Workers(tmp_path, count=1, threads=1) as workers:
        os.kill(workers.all[0].process.pid, signal.SIGSTOP)
        members = run(overdue_soon(plan(held, workers, tmp_path, [])), STRONG)
    np.testing.assert_array_equal(members[0].scores, member.scores)


def test_a_fit_that_hangs_in_the_middle_is_killed_and_what_it_had_kept_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aias.training.processes.timeouts.IMPORT_SECONDS", 0.0)
    held, stopped = table(folds=1), []
    held.save(tmp_path / "table")
    endless = Configuration("endless", "extra_trees", {"trees": 50_000})
    with Workers(tmp_path, count=1, threads=1) as workers:

        def stop_when_something_is_kept() -> None:
            while not list((tmp_path / "units").glob("*-kept")):
                time.sleep(0.02)
            stopped.append(workers.all[0].process.pid)
            os.kill(stopped[0], signal.SIGSTOP)
            made._due = dict.fromkeys(made._due, time.monotonic() - START_SECONDS)

        made = plan(held, workers, tmp_path, [], seconds=600)
        threading.Thread(target=stop_when_something_is_kept, daemon=True).start()
        (member,) = run(made, endless)
        assert stopped and workers.all[0].process.pid != stopped[0]
    entry = Ledger(tmp_path).get(member.units[0].key(held.digest))
    assert entry is not None and entry.cut and np.isfinite(member.scores).all()


def test_a_learner_whose_library_never_loads_is_left_out_and_the_others_are_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "never_loads.py").write_text("import time\nwhile True:\n    time.sleep(1)\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
    needs = {"nearest": frozenset({"never_loads"}), "linear": frozenset(), "extra_trees": frozenset()}
    monkeypatch.setattr("aias.training.processes.workers._libraries", needs.__getitem__)
    monkeypatch.setattr("aias.training.processes.timeouts.IMPORT_SECONDS", 0.0)
    monkeypatch.setattr("aias.training.processes.timeouts.LOADING_SHARE", 0.01)
    held, told = table(), list[Event]()
    held.save(tmp_path / "table")
    forest = Configuration("extra_trees", "extra_trees")
    hung = [Configuration("nearest", "nearest"), Configuration("nearest too", "nearest")]
    with Workers(tmp_path, count=2, threads=1) as workers:
        members = run(plan(held, workers, tmp_path, told, seconds=300), LINEAR, *hung, forest)
    assert [each.name for each in members] == ["linear", "extra_trees"]
    reasons = {each.facts["configuration"]: each.facts["reason"] for each in told if each.name == "train.skipped"}
    assert reasons.keys() == {"nearest", "nearest too"} and all("never_loads" in each for each in reasons.values())


@pytest.mark.parametrize("alone", [True, False])
def test_beside_a_first_model_that_is_waited_for_nothing_else_is_begun(tmp_path: Path, alone: bool) -> None:
    held, told = table(), list[str]()
    held.save(tmp_path / "table")

    def watch(event: Event) -> None:
        if event.name == "train.unit" and not event.facts["ended"]:
            told.append(str(event.facts["configuration"]))

    with Workers(tmp_path, count=2, threads=1) as workers:
        made = plan(held, workers, tmp_path, [])
        made.watch = watch
        made.run([LINEAR, STRONG], lambda member: not told.append(f"{member.name} is there"), alone=alone)
    first = set(told[: told.index("linear is there")])
    assert first == {"linear"} if alone else first >= {"linear", "strong"}  # which is there first is chance
    assert {"linear is there", "strong is there"} <= set(told)
