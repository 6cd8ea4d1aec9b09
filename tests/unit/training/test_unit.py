"""`training/unit.py`: settings that every learner obeys without seeing them."""

import weakref

import numpy as np
import polars as pl
import pytest

from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.data.read import read
from aias.data.teacher_labels import TeacherLabels
from aias.training.ledger import Ledger
from aias.training.prepare import prepare
from aias.training.selection.configuration import ALL, Configuration, Unit
from aias.training.unit import UnitFitter

SMALL = {"num_leaves": 4, "learning_rate": 0.1, "feature_fraction": 0.6}


@pytest.fixture
def fitter(tmp_path):
    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, 240))
    y = np.where(a + 0.5 * b + 0.3 * rng.normal(size=240) > 0, "yes", "no")
    dataset = read(pl.DataFrame({"a": a, "b": b, "c": c, "y": y}), target="y")
    prepared = prepare(
        dataset, target="y", metric=None, how="random", test=0.0, given=None, seconds=10, folds=3, class_weights=None,
        seed=0, watch=nobody,
    )  # fmt: skip
    return UnitFitter(prepared.table, Ledger(tmp_path))


def fit(fitter, settings, fold=0, learner="boosted_trees"):
    unit = Unit(Configuration("one", learner, settings), fold, 0)
    entry = fitter.fit(unit, deadline=Deadline.after(600), threads=1, watch=nobody)
    return unit, entry


def test_a_shifted_seed_fits_another_model_and_stays_in_its_settings(fitter):
    _, first = fit(fitter, SMALL)
    _, second = fit(fitter, {**SMALL, "seed_shift": 1})
    assert second.settings["seed_shift"] == 1
    assert not np.array_equal(first.scores, second.scores)


def test_hidden_columns_are_never_asked_for(fitter):
    unit, _ = fit(fitter, {**SMALL, "hidden": [0]})
    assert 0 not in fitter.pipeline(unit).fitted.forest().feature


def test_boosters_go_on_from_the_rounds_of_others(fitter):
    _, before = fit(fitter, {**SMALL, "rounds": 5})
    start = {"asked": {**SMALL, "rounds": 5}, "refit": {**SMALL, "rounds": 5}}
    unit, entry = fit(fitter, {**SMALL, "learning_rate": 0.02, "rounds": 9, "start": start})
    assert before.settings["rounds"] <= 5 < 9 >= entry.settings["rounds"]
    old = fitter.pipeline(Unit(Configuration("one", "boosted_trees", {**SMALL, "rounds": 5}), 0, 0)).fitted.forest()
    new = fitter.pipeline(unit).fitted.forest()
    shared = min(old.trees, new.trees)
    assert new.leaf_value[: new.roots[shared - 1]].tolist()[:8] == old.leaf_value[:8].tolist()


def test_what_is_gone_on_from_is_fitted_when_it_is_not_there(fitter):
    start = {"asked": {**SMALL, "rounds": 5}, "refit": {**SMALL, "rounds": 4}}
    unit, entry = fit(fitter, {**SMALL, "rounds": 7, "start": start}, fold=ALL)
    assert entry.settings["rounds"] == 7
    assert fitter.pipeline(unit).fitted.forest().trees == 7
    assert fitter.ledger.has(
        Unit(Configuration("one", "boosted_trees", start["refit"]), ALL, 0).key(fitter.table.digest)
    )


def test_a_network_goes_on_from_the_weights_of_another(fitter):
    pytest.importorskip("torch")
    settings = {"width": 16, "layers": 1, "members": 2, "epochs": 3}
    _, before = fit(fitter, settings, learner="mlp")
    start = {"asked": settings, "refit": settings}
    _, after = fit(fitter, {**settings, "learning_rate": 1e-9, "epochs": 1, "start": start}, learner="mlp")
    np.testing.assert_allclose(after.scores, before.scores, atol=1e-4)


def test_a_share_of_the_rows_is_drawn_from_each_class_alike_and_has_blocks_of_its_own(fitter):
    share = {**SMALL, "rows_share": 0.25}
    rows = fitter._inside(Unit(Configuration("one", "boosted_trees", share), 0, 0))
    inside = fitter.table.inside(0)
    assert set(rows) < set(inside) and (np.diff(rows) > 0).all()
    counts, whole = (np.bincount(fitter.table.whole.y[each]) for each in (rows, inside))
    np.testing.assert_allclose(counts, 0.25 * whole, atol=0.5)
    every, some = (
        fitter._block_key(
            "target_means", Unit(Configuration("one", "boosted_trees", settings, ("target_means",)), 0, 0)
        )
        for settings in (SMALL, share)
    )
    assert every != some
    _, entry = fit(fitter, share)
    assert entry.settings["rows_share"] == 0.25 and len(entry.scores) == len(fitter.table.outside(0))


class Seen:
    """A learner that takes note of what it gets, and fits nothing."""

    sparse = False

    def __init__(self):
        self.of = {}

    def fit(self, train, _valid, how):
        x, changes = weakref.ref(train.x), train.x.flags.writeable
        shared = np.shares_memory(train.x, self.table.whole.encoded.columns)
        del train
        self.of[how.seed] = {"held": x() is not None, "shared": shared, "changes": changes}
        raise ValueError("it fits nothing")


def seen(fitter, monkeypatch, **settings):
    """By fold, of two of them."""
    learner = Seen()
    learner.table = fitter.table
    monkeypatch.setattr("aias.training.unit.member", lambda *_: learner)
    for fold in (0, ALL):
        with pytest.raises(ValueError, match="nothing"):
            fit(fitter, settings, fold, learner="mlp")
    return learner.of[1], learner.of[ALL + 1]


def test_nobody_holds_rows_that_the_learner_has_let_go(fitter, monkeypatch):
    fold, _ = seen(fitter, monkeypatch)
    assert fold == {"held": False, "shared": False, "changes": True}


def test_all_rows_are_no_copy_and_cannot_be_changed(fitter, monkeypatch):
    _, whole = seen(fitter, monkeypatch)
    assert whole["shared"] and not whole["changes"]


def test_rows_of_which_columns_are_hidden_are_a_copy(fitter, monkeypatch):
    before = fitter.table.whole.encoded.columns.copy()
    _, whole = seen(fitter, monkeypatch, hidden=[0])
    assert not whole["shared"]
    np.testing.assert_array_equal(fitter.table.whole.encoded.columns, before)


class Choosing:
    """A learner of which one setting is chosen for all folds."""

    sparse = False
    shared = ("C",)

    def fit(self, _train, _valid, how):
        self.folds = how.folds
        raise ValueError("it fits nothing")


@pytest.mark.parametrize(
    ("settings", "rows", "parts"),
    [({}, (50, 1_000), 5), ({"C": 1.0}, (50, 1_000), 0), ({}, (50, 100), 0), ({}, (900, 1_000), 0)],
    ids=["few", "set", "many", "very few"],
)
def test_what_one_fold_chooses_for_all_is_chosen_by_inner_folds_of_few_rows(fitter, monkeypatch, settings, rows, parts):
    learner = Choosing()
    monkeypatch.setattr("aias.training.unit.member", lambda *_: learner)
    monkeypatch.setattr("aias.training.unit.CHOOSING_ROWS", rows)

    with pytest.raises(ValueError, match="nothing"):
        fit(fitter, settings, learner="linear")

    assert (0 if learner.folds is None else len(np.unique(learner.folds))) == parts


@pytest.mark.parametrize("learner", ["boosted_trees", "linear", "nearest"])
def test_every_learner_learns_from_a_teachers_doubts(tmp_path, learner):
    """Whose likeliest label is the same for every row, so that labels alone would teach nothing."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 900))
    own = np.arange(900) % 3 == 0
    chance = 0.45 / (1 + np.exp(-3 * a))
    y = np.where(own & (rng.random(900) < chance), "yes", "no")
    said = np.where(own[:, None], np.nan, np.column_stack([1 - chance, chance]))
    prepared = prepare(
        read(pl.DataFrame({"a": a, "b": b, "y": y}), target="y"), target="y", metric="roc_auc", how="random", test=0.0,
        given=None, seconds=10, folds=3, teacher_labels=TeacherLabels(own, ("no", "yes"), said), seed=0, watch=nobody,
    )  # fmt: skip

    unit, entry = fit(UnitFitter(prepared.table, Ledger(tmp_path)), {}, learner=learner)

    rows = prepared.table.outside(unit.fold)
    assert own[rows].all() and len(entry.scores) == len(rows)
    assert np.corrcoef(entry.scores[:, 1], chance[rows])[0, 1] > 0.8
