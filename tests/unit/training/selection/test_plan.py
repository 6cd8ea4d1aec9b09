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
from aias.training.ledger import Ledger
from aias.training.processes.memory import PROCESS_BYTES, estimated_bytes
from aias.training.processes.workers import InlineWorkers, Workers
from aias.training.selection.configuration import Configuration, Unit
from aias.training.selection.plan import Plan
from aias.training.selection.trial import Trial
from aias.training.table import Table
from aias.training.unit import UnitFitter
from tiny_plans import LINEAR, STRONG, STRONGER, TASK, Little, plan, run, table


@pytest.fixture
def inline(tmp_path: Path) -> Iterator[tuple[Table, InlineWorkers]]:
    held = table()
    with InlineWorkers(UnitFitter(held, Ledger(tmp_path))) as workers:
        yield held, workers


def test_each_row_is_scored_by_a_fit_that_never_saw_it(tmp_path: Path, inline) -> None:
    held, workers = inline
    (member,) = run(plan(held, workers, tmp_path, []), LINEAR)
    assert member.scores.shape == (held.rows, 2)
    assert np.isfinite(member.scores).all()
    for unit in member.units:
        rows = held.outside(unit.fold)
        pipeline = workers.fitter.pipeline(unit)
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
    assert all("would take" in event.message for event in skipped)


def test_where_time_is_short_fewer_folds_judge_what_was_fitted_on_as_many_rows(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("aias.training.selection.screening.WANTED_SHARE", 0.0)
    monkeypatch.setattr("aias.training.selection.screening.SPARE_SHARE", 0.0)
    monkeypatch.setattr("aias.training.selection.screening.JUDGED_ROWS_MIN", 1)
    held, told, narrowed, members = table(folds=5), [], [], []
    with InlineWorkers(UnitFitter(held, Ledger(tmp_path))) as workers:
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


@pytest.mark.parametrize("through", [1, 2])
def test_where_time_is_up_before_any_has_all_folds_those_of_the_furthest_judge(tmp_path: Path, through: int) -> None:
    held, told, narrowed, members = table(folds=5), [], [], []
    with InlineWorkers(UnitFitter(held, Ledger(tmp_path))) as workers:
        made = plan(held, workers, tmp_path, told)
        made.fit_ends_at = lambda: 0.0 if sum(event.facts.get("ended", False) for event in told) >= through else np.inf
        made.run([LINEAR, STRONG], lambda member: not members.append(member), narrow=narrowed.append)
    (member,) = members
    assert narrowed == [through] and member.name == "linear" and len(member.units) == through
    assert member.scores.shape == (240 * through / 5, 2) and np.isfinite(member.scores).all()


@pytest.mark.parametrize(("lead", "used"), [(0.5, ["linear", "strong"]), (0.01, ["linear"])])
def test_where_time_is_up_what_is_far_ahead_on_its_first_folds_is_used_too(
    tmp_path: Path, lead: float, used: list[str]
) -> None:
    held, told, narrowed, members, asked = table(folds=5), [], [], [], []

    def ends_at() -> float:
        begun = [event for event in told if event.facts.get("configuration") == "strong"]
        return 0.0 if any(event.facts.get("ended") for event in begun) else np.inf

    def leads(member: Any) -> float:
        asked.append(member.scores.shape)
        return lead

    with InlineWorkers(UnitFitter(held, Ledger(tmp_path))) as workers:
        made = plan(held, workers, tmp_path, told)
        made.fit_ends_at = ends_at
        made.run([LINEAR, STRONG], lambda member: not members.append(member), narrow=narrowed.append, lead=leads)
    assert [each.name for each in members] == used
    assert asked == [(240 / 5, 2)]
    made.fit_ends_at = lambda: 0.0
    made.run((), lambda member: not members.append(member), narrow=narrowed.append, lead=leads)  # what is over, is over
    assert narrowed == [1] * (len(used) - 1)
    assert [len(each.units) for each in members] == [5, 1][: len(used)]


def test_where_all_folds_are_to_judge_no_fewer_do(tmp_path: Path, inline) -> None:
    held, workers = inline
    told: list[Event] = []
    made = plan(held, workers, tmp_path, told)
    made.fit_ends_at = lambda: 0.0 if any(event.facts.get("ended") for event in told) else np.inf
    assert run(made, LINEAR) == []


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
    assert workers.fitter.pipeline(members[0].refit).settings["C"] == 0.1


def test_two_processes_come_to_the_same_as_one(tmp_path: Path, inline) -> None:
    held, workers = inline
    (alone,) = run(plan(held, workers, tmp_path, []), STRONG)
    folder = tmp_path / "two"
    held.save(folder / "table")
    with Workers(folder, count=2, threads=1) as two:
        (together,) = run(plan(held, two, folder, []), STRONG)
    np.testing.assert_array_equal(alone.scores, together.scores)


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
    with InlineWorkers(UnitFitter(held, Ledger(tmp_path))) as workers:
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
    with InlineWorkers(UnitFitter(held, Ledger(tmp_path))) as workers:
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


def test_of_a_holdout_what_cannot_be_fitted_twice_is_begun_all_the_same(tmp_path: Path, inline) -> None:
    held, workers = inline
    made = plan(held, workers, tmp_path, [])
    made.table = held.narrowed(1)
    made._paces.learn(Configuration("boosted_trees", "boosted_trees"), 2.0)
    network, trees = (Configuration(name, name, cost=4.0) for name in ("mlp", "boosted_trees"))
    assert made._estimate(network) == made._estimate(trees) == 8.0
    for left, begun in ((9.0, True), (7.0, True), (5.0, False)):
        made.fit_ends_at = lambda: time.monotonic() + left  # noqa: B023  used in this turn
        assert made._worth_starting(network) and made._worth_starting(trees) == begun
    made.fit_ends_at = lambda: time.monotonic() + 9.0
    made.table = replace(made.table, blocks=made.table.folds)  # parted by time: always fitted again
    assert not made._worth_starting(trees)


def test_what_would_take_a_part_of_a_second_is_told_so() -> None:
    told: list[str] = []
    plan: Any = SimpleNamespace(
        workers=SimpleNamespace(all=[None]), _left=lambda _: 0.3,
        _skip=lambda _configuration, said, _level, **_facts: told.append(said),
    )  # fmt: skip

    assert not Plan._fits(plan, Configuration("linear", "linear"), each=0.42, folds=1, patient=1.0)
    assert told[0].startswith("there was no time for it, which would take 0.4 s of the 0.")
