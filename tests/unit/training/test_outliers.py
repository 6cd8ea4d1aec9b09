"""`training/outliers.py`: amounts of which a few lie far off are learned as if they lay nearer."""

import numpy as np
import polars as pl
import pytest

import aias
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.data.read import read
from aias.training.ledger import Ledger
from aias.training.outliers import Fences, has_outliers
from aias.training.prepare import prepare
from aias.training.selection.configuration import Configuration, Unit
from aias.training.unit import UnitFitter

RMSE = Task("y", "regression", "rmse")


def drawn(name):
    rng = np.random.default_rng(0)
    plain = rng.normal(50, 10, 1_000)
    far = np.arange(1_000) % 100 == 0
    return {
        "plain": plain,
        "a few": np.where(far, plain * 100, plain),
        "many": np.where(np.arange(1_000) % 10 == 0, plain * 100, plain),
        "mild": np.where(far, plain + 60, plain),
        "counts, mostly 0": np.where(far, plain, 0.0),
        "one value": np.full(1_000, 5.0),
    }[name]


@pytest.mark.parametrize(
    ("name", "expected"),
    [("plain", False), ("a few", True), ("many", False), ("mild", False), ("counts, mostly 0", False),
     ("one value", False)],
)  # fmt: skip
def test_outliers_are_few_and_nearly_all_of_the_variance(name, expected):
    assert has_outliers(RMSE, drawn(name)) == expected


def test_a_metric_that_they_do_not_move_asks_for_nothing():
    assert not has_outliers(Task("y", "regression", "quantile_loss:0.9"), drawn("a few"))
    assert not has_outliers(Task("y", "binary", "roc_auc", ("a", "b")), np.array([0, 1]))


def test_amounts_beyond_the_fences_are_brought_to_them():
    fences = Fences.of(np.arange(101.0))
    assert (fences.low, fences.high) == (-125, 225)
    assert fences.clip(np.array([-1e9, 3.0, 1e9])).tolist() == [-125, 3, 225]


def test_a_model_that_outliers_did_not_lead_astray_is_chosen_and_published(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 20))
    true = x @ rng.normal(size=20)
    y = np.where(np.arange(400) % 40 == 0, true + 150 * rng.normal(size=400), true)
    rows = pl.DataFrame(x).with_columns(y=y)

    model = aias.train(
        rows, target="y", name="m", time=600, learners=["linear"], search=False, inline=True, home=tmp_path
    ).quality

    weights = {each["name"]: each["weight"] for each in model.leaderboard()}
    assert weights["linear clipped"] > 0.9
    assert np.abs(model.predict(rows.drop("y")) - true).mean() < 1


@pytest.mark.parametrize("derived", ["target_means", "text_sums"])
def test_what_is_derived_from_answers_is_not_led_astray_either(tmp_path, derived):
    """Means of categories and sums of texts were of the amounts as they are."""
    rng = np.random.default_rng(0)
    group, noise = np.arange(800) % 40, rng.normal(size=800)
    true = rng.normal(size=40)[group] * 5
    amounts = np.where(rng.random(800) < 0.03, true + 3_000 * noise, true + noise)
    words = {"target_means": "v{}", "text_sums": "number {1} of them is of the kind v{0} as all say"}[derived]
    told = [words.format(each, row) for row, each in enumerate(group)]
    table = prepare(
        read(pl.DataFrame({"x": noise, "c": told, "y": amounts}), target="y"), target="y", metric="mae", how="random",
        test=0.0, given=None, seconds=600, folds=3, seed=0, watch=nobody,
    ).table  # fmt: skip
    hidden = list(range(table.encoder.layout.width))
    alone = Configuration("derived", "boosted_trees", {"clip_target": True, "hidden": hidden}, (derived,))

    entry = UnitFitter(table, Ledger(tmp_path)).fit(
        Unit(alone, 0, 0), deadline=Deadline.after(600), threads=1, watch=nobody
    )

    assert table.rows == len(true)
    assert np.abs(entry.scores[:, 0] - true[np.sort(table.judging(0))]).mean() < 1.5
