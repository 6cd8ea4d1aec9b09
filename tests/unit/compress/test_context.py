"""`compress/context.py`: which rows techniques may choose by, and which fits are those of the version."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import aias
from aias.compress.context import Context, open_context
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.data.read import read
from aias.training.ledger import Ledger
from aias.training.parent import Parent
from aias.training.processes.memory import Memory
from aias.training.processes.workers import InlineWorkers
from aias.training.selection.configuration import ALL
from aias.training.selection.plan import Plan
from aias.training.unit import UnitFitter

LEARNERS = {"boosted_trees": {"learning_rate": 0.3}, "linear": {}}


def test_rows_that_certify_are_not_among_those_to_choose_by() -> None:
    prepared: Any = SimpleNamespace(table=SimpleNamespace(rows=100))
    nothing: Any = None
    context = Context(nothing, prepared, nothing, nothing, nothing, (), np.zeros(0), 0)
    context.certifying = np.arange(0, 100, 2)
    assert (context.some(64) % 2 == 1).all() and len(context.some(64)) == 50
    assert len(context.some(10)) == 10 and context.some(10)[[0, -1]].tolist() == [1, 99]


@pytest.mark.parametrize("others", [True, False])
def test_of_fits_that_time_cut_those_stand_that_the_version_was_made_of(tmp_path: Path, *, others: bool) -> None:
    """A shorter run of the same rows, later, leaves fits of the same names that say something else."""
    x = np.random.default_rng(0).normal(size=(300, 2))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": np.where(x.sum(axis=1) > 0, "p", "q")})
    model = aias.train(
        frame, target="y", name="m", time="600s", folds=2, learners={"linear": {"C": 0.001}}, search=False, inline=True,
        home=tmp_path,
    ).quality  # fmt: skip
    parent, ledger = Parent(model.ref, model.manifest, model.runtime), Ledger(tmp_path / "work" / "m")
    first = _members(parent, frame, ledger)
    keys = [unit.key(first.fitter.table.digest) for unit in first.members[0].units]
    for key in keys:
        entry = ledger.take(key)
        ledger.drop(key)
        ledger.put(key, replace(entry, cut=True, scores=entry.scores[::-1] if others else entry.scores))

    again = _members(parent, frame, ledger)

    np.testing.assert_array_equal(again.members[0].scores, first.members[0].scores)
    assert all(ledger.take(key).cut != others for key in keys)


@pytest.mark.parametrize("split", ["random", "time:at"])
@pytest.mark.parametrize("folds", [1, 3, None])
def test_the_whole_of_all_rows_answers_as_the_version_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folds: int | None, split: str
) -> None:
    monkeypatch.setattr("aias.training.selection.plan.judging_folds", lambda *_, **__: 3)  # of those that were cut
    x = np.random.default_rng(0).normal(size=(400, 2))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "at": np.arange(400), "y": x[:, 0] * x[:, 1] + x[:, 0]})
    model = aias.train(
        frame, target="y", name="m", time="600s", folds=folds, split=split, learners=LEARNERS,
        search=False, inline=True, home=tmp_path,
    ).quality  # fmt: skip
    context = _members(Parent(model.ref, model.manifest, model.runtime), frame, Ledger(tmp_path / "work" / "m"))

    found = context.whole(ALL).scores(context.encoded(np.arange(400)))

    np.testing.assert_allclose(found[:, 0], model.predict(frame), atol=1e-4)  # weights are written with few digits


def test_what_is_made_of_members_takes_their_fits_on_all_rows_as_well(tmp_path: Path) -> None:
    """The first to be finished took all the time that was left for such a fit, and others had none."""
    x = np.random.default_rng(0).normal(size=(300, 2))
    frame = pl.DataFrame({"a": x[:, 0], "b": x[:, 1], "y": x[:, 0] * x[:, 1]})
    model = aias.train(
        frame, target="y", name="m", time="600s", folds=3, learners=LEARNERS, search=False, inline=True, home=tmp_path
    ).quality
    context = _members(Parent(model.ref, model.manifest, model.runtime), frame, Ledger(tmp_path / "work" / "m"))
    (first, *_), fit = context.members, context.members[0].seconds / 3
    context.fitter.ledger.drop(first.refit.key(context.fitter.table.digest))

    context.whole(0)
    assert not context.asked  # each fit of a fold answers for itself there
    context.part(first, 0)
    assert context.refit_seconds(context.asked.values()) == pytest.approx(fit) and fit > 0
    context.part(first, ALL)
    assert context.refit_seconds(context.asked.values()) == 0


def _members(parent: Parent, frame: pl.DataFrame, ledger: Ledger) -> Context:
    prepared = parent.prepared(read(frame, target="y"), None, ledger=None, seconds=600, watch=nobody)
    fitter = UnitFitter(prepared.table, ledger)
    plan = Plan(
        prepared.table, ledger, InlineWorkers(fitter), seed=parent.recipe.seed,
        fit_ends_at=lambda: time.monotonic() + 600, memory=Memory(), watch=nobody,
    )  # fmt: skip
    return open_context(parent, prepared, fitter, plan, deadline=Deadline.after(600), stop=threading.Event())
