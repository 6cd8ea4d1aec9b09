"""Amounts learned as their logarithms."""

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.data.read import read
from aias.training.ledger import Ledger
from aias.training.logarithms import Logarithms, is_skewed, learned_as
from aias.training.prepare import prepare
from aias.training.selection.configuration import Configuration, Unit
from aias.training.train import Recipe, train
from aias.training.unit import UnitFitter

RMSE = Task("y", "regression", "rmse")


def amounts(rows: int = 600, *, zeros: bool = False) -> dict[str, list[float]]:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, rows))
    y = np.exp(2 + a + 0.5 * b + 0.2 * rng.normal(size=rows))
    return {"a": a.tolist(), "b": b.tolist(), "y": np.where(y < 2, 0, y).tolist() if zeros else y.tolist()}


def test_what_spreads_over_orders_of_magnitude_is_worth_learning_so() -> None:
    rng = np.random.default_rng(0)
    wide = rng.lognormal(size=500)
    assert is_skewed(RMSE, wide) and is_skewed(RMSE, np.where(wide < 0.5, 0.0, wide))
    assert not is_skewed(RMSE, rng.normal(50, 5, 500))
    assert not is_skewed(RMSE, wide - 1)  # some are below 0
    assert not is_skewed(RMSE, 100 - 1 / (1 + wide))  # skewed to the other side
    assert not is_skewed(Task("y", "regression", "quantile_loss:0.9"), wide)
    assert not is_skewed(Task("y", "binary", "roc_auc", ("a", "b")), np.array([0, 0, 0, 1]))


@pytest.mark.parametrize("least", [0.0, 0.3])
def test_amounts_come_back_and_never_run_away(least: float) -> None:
    y = np.array([least, 1.0, 20.0, 900.0])
    logs = Logarithms.of(RMSE, y)
    np.testing.assert_allclose(logs.back(logs.to(y)), y, atol=1e-12)
    far = logs.back(np.array([-1e9, 1e9, np.inf]))
    assert far[0] >= -1 and far[1] == far[2] == pytest.approx(1.5 * 900, rel=2e-3)


def test_the_mean_is_answered_where_the_metric_is_of_means() -> None:
    rng = np.random.default_rng(0)
    y = rng.lognormal(3, 0.8, 4_000)
    z = np.full((4_000, 1), 3.0)
    for metric, expected in (("rmse", y.mean()), ("mae", np.median(y))):
        logs = Logarithms.of(Task("y", "regression", metric), y)
        assert logs.judged(y, z).mean() == pytest.approx(expected, rel=0.04)


@pytest.mark.parametrize("zeros", [False, True])
def test_a_model_of_logarithms_is_chosen_proved_and_published(zeros: bool) -> None:
    data = read(amounts(zeros=zeros), target="y")
    results = train(data, Recipe("y", "m", seconds=100, learners=("linear",), search=False, folds=3), inline=True)
    for form in (results.quality, results.serving):
        weights = {line.name: line.weight for line in form.manifest.leaderboard}
        assert weights["linear log"] > 0.9 and form.manifest.parity.label_differences == 0
    settings = {line.name: line.settings for line in results.serving.manifest.leaderboard}
    assert 1.0 < settings["linear log"]["smear"] < 1.2
    told = results.serving.runtime.predict([{"a": 0.0, "b": 0.0}, {"a": 99.0, "b": None}]).predictions
    assert told[0] == pytest.approx(np.exp(2), rel=0.3) and told[1] < 2 * max(amounts()["y"])


def test_what_words_say_is_learned_of_logarithms_too(tmp_path):
    """Sums of texts were of the amounts as they are, of which a few are nearly all of the variance."""
    rng = np.random.default_rng(0)
    kind = np.arange(800) % 40
    true = rng.normal(size=40)[kind] * 3.0
    told = [f"number {row} of them is of the kind v{each} as all say" for row, each in enumerate(kind)]
    y = np.exp(true + rng.normal(size=800))
    table = prepare(
        read({"x": rng.normal(size=800).tolist(), "c": told, "y": y.tolist()}, target="y"), target="y", metric="rmsle",
        how="random", test=0.0, given=None, seconds=600, folds=3, seed=0, watch=nobody,
    ).table  # fmt: skip
    hidden = list(range(table.encoder.layout.width))
    alone = Configuration("log", "boosted_trees", {"log_target": True, "hidden": hidden}, ("log_text_sums",))

    entry = UnitFitter(table, Ledger(tmp_path)).fit(
        Unit(alone, 0, 0), deadline=Deadline.after(600), threads=1, watch=nobody
    )

    found = np.log(entry.scores[:, 0])
    assert np.corrcoef(found, true[np.sort(table.judging(0))])[0, 1] > 0.9


def test_by_shares_of_the_amounts_logarithms_are_learned_by_their_median_and_brought_to_where_shares_are_least() -> (
    None
):
    rng, task = np.random.default_rng(0), Task("y", "regression", "mape")
    y = np.exp(rng.normal(size=2_000)) * 1e-3
    logs = Logarithms.of(task, y)

    factor = logs.smear(y, np.full(2_000, np.log(1e-3)))

    def loss(each: float) -> float:
        return float(np.abs(1 - each * 1e-3 / y).mean())

    assert is_skewed(task, y)
    assert learned_as(task).metric == "mae" and learned_as(RMSE) == RMSE
    assert loss(factor) <= min(loss(0.99 * factor), loss(1.01 * factor))
    assert factor < 0.6  # shares of small amounts count for more: the median would be 1
