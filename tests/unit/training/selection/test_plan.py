import os
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aias.core.events import Event
from aias.core.load import Load
from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.rows import RowEncoder
from aias.training.ledger import Ledger
from aias.training.processes.memory import PROCESS_BYTES, Memory, estimated_bytes
from aias.training.processes.workers import InlineWorkers, Worker, Workers
from aias.training.selection.configuration import Configuration, Unit
from aias.training.selection.members import Member
from aias.training.selection.plan import Plan
from aias.training.selection.trial import Trial
from aias.training.table import Part, Table
from aias.training.unit import Bench

TASK = Task("y", "binary", "roc_auc", ("a", "b"))
LINEAR = Configuration("linear", "linear")
STRONG = Configuration("strong", "linear", {"C": 0.1})
STRONGER = Configuration("stronger", "linear", {"C": 1.0})


def table(rows: int = 240, folds: int = 3) -> Table:
    chance = np.random.default_rng(0)
    values = {name: chance.normal(size=rows) for name in "pqr"}
    judged = np.arange(rows) % folds if folds > 1 else np.arange(rows) % 2 - 1
    y = (values["p"] + chance.normal(size=rows) > 0).astype(np.int64)
    encoder = RowEncoder.fit([Field(name, "number") for name in "pqr"], values)
    return Table(TASK, encoder, Part(encoder.columns(values, rows), y), judged.astype(np.int16))


class Little(Memory):
    """As much as a worker takes for nothing, and `bytes` for rows."""

    bytes: float = 0.0

    @property
    def available_bytes(self) -> float:
        return PROCESS_BYTES + self.bytes


def plan(
    held: Table, workers: Workers | InlineWorkers, folder: Path, told: list[Event], seconds: float = 600,
    memory: Memory | None = None,
) -> Plan:  # fmt: skip
    ends_at = time.monotonic() + seconds
    return Plan(
        held, Ledger(folder), workers, seed=0, fit_ends_at=lambda: ends_at, memory=memory or Memory(),
        watch=told.append,
    )  # fmt: skip


def run(made: Plan, *configurations: Configuration, enough: int = 99) -> list[Member]:
    members: list[Member] = []

    def take(member: Member) -> bool:
        members.append(member)
        return len(members) < enough

    made.run(configurations, take)
    return members


@pytest.fixture
def inline(tmp_path: Path) -> Iterator[tuple[Table, InlineWorkers]]:
    held = table()
    with InlineWorkers(Bench(held, Ledger(tmp_path))) as workers:
        yield held, workers


def test_each_row_is_scored_by_a_fit_that_never_saw_it(tmp_path: Path, inline) -> None:
    held, workers = inline
    (member,) = run(plan(held, workers, tmp_path, []), LINEAR)
    assert member.scores.shape == (held.rows, 2)
    assert np.isfinite(member.scores).all()
    for unit in member.units:
        rows = held.outside(unit.fold)
        pipeline = workers.bench.pipeline(unit)
        np.testing.assert_allclose(pipeline.scores(held.whole.encoded.take(rows)), member.scores[rows], atol=1e-12)


def test_what_the_first_fold_chose_the_others_take(tmp_path: Path, inline) -> None:
    held, workers = inline
    (member,) = run(plan(held, workers, tmp_path, []), LINEAR)
    chosen = [unit.configuration.settings.get("C") for unit in member.units]
    assert chosen[0] is None
    assert chosen[1] == chosen[2] == member.refit.configuration.settings["C"]


def test_the_plan_ends_when_there_is_enough(tmp_path: Path, inline) -> None:
    held, workers = inline
    assert len(run(plan(held, workers, tmp_path, []), LINEAR, STRONG, enough=1)) == 1


def test_of_the_opening_one_fold_each_comes_first_and_then_the_best_is_ended(tmp_path: Path, inline) -> None:
    held, workers = inline
    told: list[Event] = []
    weak = Configuration("weak", "linear", {"C": 1e-9})
    members: list[str] = []
    made = plan(held, workers, tmp_path, told)
    made.run([STRONGER], lambda member: not members.append(member.name), opening=[LINEAR, weak, STRONG])
    begun = [
        (event.facts["configuration"], event.facts["fold"])
        for event in told
        if event.name == "train.unit" and not event.facts["ended"]
    ]
    folds = range(held.fold_count)
    assert begun[:5] == [*(("linear", fold) for fold in folds), ("weak", 0), ("strong", 0)]
    assert begun[5:] == [(name, fold) for name in ("strong", "weak") for fold in (1, 2)] + [
        ("stronger", fold) for fold in folds
    ]
    assert members == ["linear", "strong", "weak", "stronger"]


def test_what_cannot_be_ended_in_time_is_left_after_one_fold(tmp_path: Path, inline, monkeypatch) -> None:
    held, workers = inline
    told: list[Event] = []

    def watch(event: Event) -> None:
        told.append(event)
        if event.facts.get("configuration") == "stronger" and event.name == "train.unit":
            monkeypatch.setattr("aias.training.selection.trial.STRETCH", 0.0)  # as if all the time had gone

    made = plan(held, workers, tmp_path, told)
    made.watch = watch
    members: list[str] = []
    made.run((), lambda member: not members.append(member.name), opening=[LINEAR, STRONG, STRONGER])
    assert members == ["linear"]
    skipped = [event for event in told if event.name == "train.skipped"]
    assert {event.facts["configuration"] for event in skipped} == {"strong", "stronger"}
    assert all("it would take" in event.message for event in skipped)


def test_where_time_is_short_fewer_folds_judge_what_was_fitted_on_as_many_rows(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("aias.training.selection.screening.WANTED_SHARE", 0.0)
    monkeypatch.setattr("aias.training.selection.screening.SPARE_SHARE", 0.0)
    monkeypatch.setattr("aias.training.selection.screening.JUDGED_ROWS_MIN", 1)
    held, told, narrowed, members = table(folds=5), [], [], []
    with InlineWorkers(Bench(held, Ledger(tmp_path))) as workers:
        made = plan(held, workers, tmp_path, told)
        made.run(
            (), lambda member: not members.append(member), opening=[LINEAR, STRONG, STRONGER], narrow=narrowed.append
        )  # fmt: skip
    assert narrowed == [3]
    assert [event.facts for event in told if event.name == "train.folds"] == [{"folds": 5, "judging": 3}]
    assert [len(member.units) for member in members] == [5, 3, 3]
    assert members[1].scores.shape == (240 * 3 / 5, 2) and np.isfinite(members[1].scores).all()
    entry = Ledger(tmp_path).get(members[1].units[2].key(held.digest))
    assert entry is not None and entry.facts["rows"] == 240 * 4 / 5


def test_without_time_nothing_is_begun(tmp_path: Path, inline) -> None:
    held, workers = inline
    assert run(plan(held, workers, tmp_path, [], seconds=0), LINEAR) == []


def test_when_time_is_over_what_an_earlier_run_has_fitted_is_still_found(tmp_path: Path, inline) -> None:
    held, workers = inline
    before = run(plan(held, workers, tmp_path, []), LINEAR, STRONG)
    made, members = plan(held, workers, tmp_path, [], seconds=0), []
    made.run((), lambda member: not members.append(member), opening=[LINEAR], others=[STRONGER, STRONG])
    assert [member.name for member in members] == ["linear", "strong"]
    for member, earlier in zip(members, before, strict=True):
        assert member.units == earlier.units and member.refit == earlier.refit
        np.testing.assert_array_equal(member.scores, earlier.scores)


def test_a_configuration_that_fails_is_left_out_with_the_reason(tmp_path: Path, inline) -> None:
    held, workers = inline
    told: list[Event] = []
    broken = Configuration("broken", "boosted_trees", {"objective": "no such objective"})
    members = run(plan(held, workers, tmp_path, told), broken, STRONG)
    assert [member.name for member in members] == ["strong"]
    (skipped,) = [event for event in told if event.name == "train.skipped"]
    assert skipped.facts["configuration"] == "broken" and skipped.facts["reason"]


def test_a_fit_again_on_all_rows_takes_the_settings_of_the_folds(tmp_path: Path, inline) -> None:
    held, workers = inline
    made = plan(held, workers, tmp_path, [])
    members = run(made, STRONG)
    assert made.refit(members, time.monotonic() + 600) == members
    assert workers.bench.pipeline(members[0].refit).settings["C"] == 0.1


def test_two_processes_come_to_the_same_as_one(tmp_path: Path, inline) -> None:
    held, workers = inline
    (alone,) = run(plan(held, workers, tmp_path, []), STRONG)
    folder = tmp_path / "two"
    held.save(folder / "table")
    with Workers(folder, count=2, threads=1) as two:
        (together,) = run(plan(held, two, folder, []), STRONG)
    np.testing.assert_array_equal(alone.scores, together.scores)


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
        made._due[id(worker)] = time.monotonic()

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
    assert "did not end in time" in next(event.message for event in told if event.name == "train.skipped")


def test_the_best_state_of_a_killed_fit_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aias.training.processes.timeouts.IMPORT_SECONDS", 0.0)
    held, ledger = table(folds=1), Ledger(tmp_path)
    held.save(tmp_path / "table")
    with InlineWorkers(Bench(held, Ledger(tmp_path / "before"))) as inline_:
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
            made._due = dict.fromkeys(made._due, time.monotonic())

        made = plan(held, workers, tmp_path, [], seconds=600)
        threading.Thread(target=stop_when_something_is_kept, daemon=True).start()
        (member,) = run(made, endless)
        assert stopped and workers.all[0].process.pid != stopped[0]
    entry = Ledger(tmp_path).get(member.units[0].key(held.digest))
    assert entry is not None and entry.cut and np.isfinite(member.scores).all()


@pytest.mark.parametrize("as_left", [True, False])
def test_what_the_time_of_an_earlier_run_cut_stands_only_where_a_version_is_made_of_it(
    inline: tuple[Table, InlineWorkers], tmp_path: Path, *, as_left: bool
) -> None:
    held, workers = inline
    ledger = Ledger(tmp_path)
    (member,) = run(plan(held, workers, tmp_path, []), STRONG)
    for unit in member.units:
        entry = ledger.get(unit.key(held.digest))
        assert entry is not None
        ledger.drop(unit.key(held.digest))
        ledger.put(unit.key(held.digest), replace(entry, cut=True, scores=entry.scores / 2))
    again = plan(held, workers, tmp_path, [])
    again.as_left = as_left
    (found,) = run(again, STRONG)
    np.testing.assert_array_equal(found.scores, member.scores / 2 if as_left else member.scores)


def test_without_memory_for_all_rows_some_are_fitted_on(tmp_path: Path) -> None:
    held, told = table(6_000), []
    memory = Little()
    memory.bytes = estimated_bytes(held, STRONG, 0.3) - PROCESS_BYTES
    with InlineWorkers(Bench(held, Ledger(tmp_path))) as workers:
        made = plan(held, workers, tmp_path, told, memory=memory)
        (member,) = run(made, STRONG)
        assert made.refit([member], time.monotonic() + 600) == [member]
    assert member.name == "strong, 1/4 of the rows"
    (sampled,) = [event for event in told if event.name == "train.sampled"]
    assert sampled.facts == {"configuration": "strong", "rows_share": 0.25}
    assert member.scores.shape == (6_000, 2) and np.isfinite(member.scores).all()
    for unit, rows in ((member.units[0], 1_000), (member.refit, 1_500)):
        entry = Ledger(tmp_path).get(unit.key(held.digest))
        assert entry is not None
        assert entry.facts["rows"] == rows and entry.settings["rows_share"] == 0.25


def test_where_that_would_be_too_few_rows_a_configuration_is_left_out(tmp_path: Path) -> None:
    held, told = table(3_000), []
    with InlineWorkers(Bench(held, Ledger(tmp_path))) as workers:
        assert run(plan(held, workers, tmp_path, told, memory=Little()), STRONG) == []
    (skipped,) = [event for event in told if event.name == "train.skipped"]
    assert skipped.facts["reason"] == "there is not enough memory"


def test_a_table_comes_back_from_its_folder_as_it_was(tmp_path: Path) -> None:
    held = table()
    held.save(tmp_path)
    found = Table.load(tmp_path)
    assert found.digest == held.digest == Table(TASK, found.encoder, found.whole, found.folds).digest
    np.testing.assert_array_equal(found.inside(0), held.inside(0))
    assert not found.outside(-1).size and found.inside(-1).size == held.rows


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


def test_what_took_long_while_others_had_the_processors_is_thought_quicker_without_them(tmp_path: Path, inline) -> None:
    held, workers = inline

    class Busy(Load):
        stretch = 1.0

    made = plan(held, workers, tmp_path, [])
    made.load = Busy()
    made.load.stretch = 4.0
    trial = Trial(LINEAR, deque())
    made._finish(trial, Unit(LINEAR, 0, 0), 8.0, {}, stretch=4.0)
    assert made._estimate(LINEAR) == 8.0 and trial.seconds == 8.0
    made.load.stretch = 1.0
    assert made._estimate(LINEAR) == 2.0


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


def test_what_would_take_a_part_of_a_second_is_told_so() -> None:
    told: list[str] = []
    plan: Any = SimpleNamespace(
        workers=SimpleNamespace(all=[None]), fit_ends_at=lambda: time.monotonic() + 0.3, _again=lambda _: 0.0,
        _skip=lambda _configuration, said, _level: told.append(said),
    )  # fmt: skip

    assert not Plan._fits(plan, Configuration("linear", "linear"), each=0.42, folds=1, patient=1.0)
    assert told[0].startswith("it would take 0.4 s of the 0.")
