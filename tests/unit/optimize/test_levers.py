"""Levers of the axes: each is proposed, and what it proposes can be fitted, on a fold and on all rows."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.data.read import read
from aias.optimize.context import SearchContext
from aias.optimize.parameters import parameters
from aias.optimize.structure import structure
from aias.training.ledger import Ledger
from aias.training.prepare import prepare
from aias.training.selection.configuration import ALL, Configuration, Unit
from aias.training.selection.members import member_of
from aias.training.selection.portfolio import Shape
from aias.training.unit import UnitFitter
from trainings import table

BOOSTED = {"rounds": 15, "learning_rate": 0.02}
NETWORK = {"width": 8, "epochs": 4}
BOOSTERS = ("boosted_trees", "xgboost", "catboost")
NEEDS = {"xgboost": "xgboost", "catboost": "catboost", "mlp": "torch"}


@pytest.fixture(scope="module")
def fitter(tmp_path_factory):
    prepared = prepare(
        read(pl.DataFrame(table()), target="y"), target="y", metric=None, how="random", test=0.0, given=None,
        seconds=600, folds=2, seed=0, watch=nobody,
    )  # fmt: skip
    return UnitFitter(prepared.table, Ledger(tmp_path_factory.mktemp("ledger")))


def fit(fitter, configuration, fold):
    unit = Unit(configuration, fold, 0)
    return unit, fitter.fit(unit, deadline=Deadline.after(600), threads=1, watch=nobody)


def member(fitter, configuration):
    """Fitted on both folds and, as for the serving form, on all rows."""
    units = [fit(fitter, configuration, fold)[0] for fold in range(2)]
    found = member_of(configuration, units, 1.0, fitter.table, fitter.ledger)
    fit(fitter, found.refit.configuration, ALL)
    return found


def context(fitter, *members):
    board = SimpleNamespace(
        members=list(members), task=fitter.table.task, table=fitter.table, weights=np.ones(len(members)),
        worths=lambda: np.arange(len(members), 0.0, -1),
    )  # fmt: skip
    shape = Shape(fitter.table.task, fitter.table.rows, fitter.table.encoder.layout)
    return SearchContext(board, shape, 0, "random", (), lambda _: np.full(3, 1 / 3))


@pytest.mark.parametrize(
    ("axis", "learner", "settings", "what"),
    [
        (parameters, "boosted_trees", BOOSTED, "continued"),
        (parameters, "xgboost", BOOSTED, "continued"),
        (parameters, "catboost", BOOSTED, "continued"),
        (parameters, "mlp", NETWORK, "schedule free"),
        (parameters, "mlp", NETWORK, "momentum"),
        (parameters, "mlp", NETWORK, "sgd"),
        (parameters, "mlp", NETWORK, "continued"),
        (parameters, "text_mlp", NETWORK, "schedule free"),
        (parameters, "text_mlp", NETWORK, "momentum"),
        (parameters, "text_mlp", NETWORK, "sgd"),
        (parameters, "text_mlp", NETWORK, "continued"),
        (parameters, "mlp", NETWORK, "begun orthogonal"),
        (parameters, "text_mlp", NETWORK, "begun orthogonal"),
        (structure, "boosted_trees", BOOSTED, "grown to rounds 30"),
        (structure, "xgboost", BOOSTED, "grown to rounds 30"),
        (structure, "catboost", BOOSTED, "grown to rounds 30"),
    ],
)
def test_a_lever_is_proposed_and_can_be_fitted(fitter, axis, learner, settings, what):
    if learner in NEEDS:
        pytest.importorskip(NEEDS[learner], reason=f"what `{learner}` needs is not installed")
    parent = member(fitter, Configuration("m", learner, settings))
    proposed = next(each for each in axis(context(fitter, parent)) if each.name == f"m, {what}")

    child = member(fitter, proposed)

    assert np.isfinite(child.scores).all()
    assert np.abs(child.scores - parent.scores).max() > 0
    if learner in BOOSTERS:
        assert child.refit.configuration.settings["rounds"] > BOOSTED["rounds"]
