"""`training/held_out.py`: rows that the search never looks at."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from aias.core.errors import UserError
from aias.core.events import nobody
from aias.data.read import read
from aias.data.straddling import LEFT_OUT, beside
from aias.training.held_out import hold_out
from aias.training.prepare import prepare


@dataclass(frozen=True)
class Member:
    scores: np.ndarray
    found: tuple = ()


def prepared(rows=200, folds=4, test=0.0, groups=0, copied=1):
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.normal(size=rows), "y": rng.choice(["n", "y"], rows)})
    frame = pl.concat([frame] * copied)
    if groups:
        frame = frame.with_columns(pl.Series("g", [f"g{number}" for number in rng.integers(0, groups, len(frame))]))
    return prepare(
        read(frame, target="y"), target="y", metric=None, how="group:g" if groups else "random", test=test, given=None,
        seconds=10, folds=folds, seed=0, watch=nobody,
    )  # fmt: skip


def test_a_quarter_of_the_folds_is_reserved_and_their_count_stays():
    whole = prepared(folds=8, rows=240)
    held = hold_out(whole, seed=0)
    assert held.held.sum() == 60
    assert held.searched.table.fold_count == 8
    assert len(held.searched.table.judged) == 180
    assert set(held.searched.table.judged).isdisjoint(whole.table.judged[held.held])
    assert held.seen(Member(np.arange(240))).scores.tolist() == np.flatnonzero(~held.held).tolist()


def test_what_fits_of_reserved_folds_came_to_is_not_seen():
    held = hold_out(prepared(folds=4), seed=0)
    (reserved,) = np.unique(held.prepared.table.folds[held.held])
    found = tuple({"rounds": fold} for fold in range(4))
    seen = held.seen(Member(np.arange(200), found))
    assert [each["rounds"] for each in seen.found] == [fold for fold in range(4) if fold != reserved]
    of_one = hold_out(prepared(folds=1, rows=600), seed=0)
    assert of_one.seen(Member(np.arange(len(of_one.held)), found[:1])).found == found[:1]


def test_what_is_to_know_nothing_of_reserved_rows_learns_from_all_others_but_those_of_their_groups():
    held = hold_out(prepared(folds=4), seed=0)
    assert held.apart.tolist() == np.flatnonzero(~held.held).tolist()
    assert hold_out(prepared(test=0.2), seed=0).apart.tolist() == list(range(160))
    (reserved,) = np.unique(held.prepared.table.folds[held.held])
    folds = held.prepared.table.folds.copy()
    first, second, third = held.apart[:3]  # in no fold any more: of a group that is reserved, of another, of copies
    folds[[first, second, third]] = beside(reserved), beside((reserved + 1) % 4), LEFT_OUT
    table = replace(held.prepared.table, folds=folds)
    grouped = replace(held, prepared=replace(held.prepared, table=table), held=folds[folds >= 0] == reserved)
    assert grouped.apart.tolist() == [row for row in held.apart if row not in {first, third}]


def test_another_version_is_judged_on_other_folds():
    whole = prepared(folds=8, rows=240)
    assert not np.array_equal(hold_out(whole, seed=1).held, hold_out(whole, seed=2).held)


def test_of_three_folds_any_two_may_be_reserved_where_all_can_be():
    whole = prepared(folds=3, rows=90)
    folds, found = whole.table.folds[whole.table.judged], set()
    for seed in range(20):
        found.add(tuple(np.unique(folds[hold_out(whole, seed=seed, share=0.5, last=True).held])))
    assert found == {(0, 1), (0, 2), (1, 2)}


def test_with_a_test_part_nothing_else_is_reserved():
    whole = prepared(test=0.2)
    held = hold_out(whole, seed=0)
    assert not held.held.any()
    assert np.array_equal(held.searched.table.folds, whole.table.folds)


def test_of_a_holdout_some_rows_are_reserved():
    whole = prepared(folds=1, rows=600)
    held = hold_out(whole, seed=0)
    assert 0 < held.held.sum() < len(whole.table.judged) / 3
    assert held.searched.table.fold_count == 1


def test_a_handful_of_rows_cannot_certify():
    with pytest.raises(UserError, match="too few"):
        hold_out(prepared(rows=60, folds=4), seed=0)


def test_of_a_holdout_whole_groups_and_all_copies_of_a_row_are_reserved():
    for whole in (prepared(folds=1, rows=900, groups=90), prepared(folds=1, rows=450, copied=2)):
        held, together = hold_out(whole, seed=0).held, whole.table.judged_clusters
        assert 0 < held.sum() < len(held) / 2
        assert set(together[held]).isdisjoint(together[~held])


def test_one_group_cannot_certify():
    with pytest.raises(UserError, match="single group"):
        hold_out(prepared(rows=300, folds=3, groups=3), seed=0)
    assert hold_out(prepared(rows=300, folds=3, groups=9), seed=0).held.any()


@pytest.mark.parametrize(("rows", "said"), [(1, "1 row is too few"), (7, "7 rows are too few")])
def test_one_row_is_told_as_one(rows, said):
    table = SimpleNamespace(judged=np.arange(9), judged_clusters=None)
    few: Any = SimpleNamespace(table=table, test=SimpleNamespace(rows=rows), test_clusters=None)
    with pytest.raises(UserError, match=said):
        hold_out(few, seed=0)
