"""Which columns trees ask for; and that what is proposed does not hang on the answers of reserved rows."""

from dataclasses import replace
from itertools import islice
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.data.read import read
from aias.optimize import optimize
from aias.optimize.columns import asked_of
from aias.training.held_out import HeldOut, hold_out
from aias.training.ledger import Ledger
from aias.training.prepare import prepare
from aias.training.selection.configuration import Configuration, Unit
from aias.training.selection.members import member_of
from aias.training.unit import UnitFitter

TREES = Configuration("boosted_trees", "boosted_trees")


def held_out(folds: int, *, amounts: bool = False, rows: int = 400) -> HeldOut:
    """What is asked for: one number, a little of it; beside it, there are rare flags that say nothing."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=rows)
    seen = x + rng.normal(size=rows)
    y = seen if amounts else np.where(seen > 0, "yes", "no")
    flags = {f"flag {i}": (rng.random(rows) < 0.06).astype(float) for i in range(9)}
    whole = prepare(
        read(pl.DataFrame({"x": x, **flags, "y": y}), target="y"), target="y", metric=None, how="random", test=0.0,
        given=None, seconds=60, folds=folds, seed=0, watch=nobody,
    )  # fmt: skip
    return hold_out(whole, seed=0)


def other_answers(held: HeldOut, *, amounts: bool) -> HeldOut:
    """The same where the reserved rows have answers that their flags say, or amounts far beyond all others."""
    table = held.prepared.table
    rows, y = table.judged[held.held], table.whole.y.copy()
    y[rows] = 1000 * np.exp(3 * y[rows]) if amounts else table.whole.encoded.columns[rows][:, 1:].sum(axis=1) > 0
    table = replace(table, whole=replace(table.whole, y=y))
    return replace(held, prepared=replace(held.prepared, table=table))


def proposals(held: HeldOut, members: list[Any], ledger: Ledger) -> list[Configuration]:
    """Of a search whose members never change."""
    table = held.prepared.table
    board = SimpleNamespace(
        task=table.task, table=table, members=members, weights=np.ones(len(members)),
        worths=lambda: np.zeros(len(members)),
    )  # fmt: skip
    job: Any = SimpleNamespace(
        table=table, held=held, fitter=UnitFitter(table, ledger), board=board, recipe=SimpleNamespace(seed=0), number=0,
        searcher="random", learners=("boosted_trees",), axes=("parameters", "structure"), whole={TREES.name: None},
        spent=set(), axis_of={}, deadline=Deadline.after(600),
    )  # fmt: skip
    return list(islice(optimize._Job._proposals(job), 12))


@pytest.mark.parametrize("amounts", [False, True])
@pytest.mark.parametrize("folds", [1, 4])
def test_answers_of_reserved_rows_do_not_change_what_is_proposed(tmp_path, folds: int, amounts: bool) -> None:
    held, ledger = held_out(folds, amounts=amounts), Ledger(tmp_path)
    other = other_answers(held, amounts=amounts)
    units = [Unit(TREES, fold, 0) for fold in range(folds)]
    for each in (held, other):
        fitter = UnitFitter(each.prepared.table, ledger)
        for unit in units:
            fitter.fit(unit, deadline=Deadline.after(600), threads=1, watch=nobody)
    members = [held.seen(member_of(TREES, units, 1.0, held.prepared.table, ledger))]

    found = proposals(held, members, ledger)
    assert proposals(other, members, ledger) == found
    assert any("without" in each.name for each in found)


def test_columns_are_asked_for_as_often_as_they_say_something() -> None:
    share = asked_of(held_out(4), deadline=Deadline.after(600), seed=0)
    assert share.sum() == pytest.approx(1.0)
    assert share.argmax() == 0
    assert share[0] > 0.5


def test_where_there_is_no_time_one_tree_tells() -> None:
    share = asked_of(held_out(4), deadline=Deadline.after(0), seed=0)
    assert share.sum() == pytest.approx(1.0)


def test_of_few_rows_nothing_is_known() -> None:
    held = held_out(4, rows=100)
    none = replace(held, held=np.arange(100) >= 20)
    assert not asked_of(none, deadline=Deadline.after(600), seed=0).any()
