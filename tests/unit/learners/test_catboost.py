from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.forest import FLOAT32_MAX
from aias.core.task import Task
from aias.forests.catboost import widest
from aias.learners.catboost import CatBoost, Trees, _loss
from aias.learners.contract import Examples, Fit
from learned import LAYOUT, TASKS, answered, examples, odd_rows

pytest.importorskip("catboost", reason="the extra `catboost` is not installed")


def fit(classes: int, *, train: Examples | None = None, valid: Examples | None = None, metric: str = "", **settings):
    task = Task("y", "regression", metric) if metric else TASKS[classes]
    how = Fit(task, 0, Deadline.after(600), 1, nobody, settings, categories=(4,), category_sizes=(30,))
    return CatBoost.fit(train or examples(classes), valid, how)


run = partial(answered, LAYOUT)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_every_code_is_answered_as_catboost_does(classes: int, monkeypatch) -> None:
    compared: list = []

    def compare(found, model, rows, unit, x) -> None:
        x = np.repeat(examples(0, 40).x, 30, axis=0)
        x[:, 4] = np.tile(np.arange(30), 40)
        raw = model.predict(rows.pool(x), prediction_type="RawFormulaVal").reshape(len(x), -1) * unit[1] + unit[0]
        np.testing.assert_allclose(found.trees.sums(x), raw, rtol=1e-12, atol=1e-12)
        compared.append(len(np.unique(found.extra(x), axis=0)))

    monkeypatch.setattr("aias.learners.catboost._check", compare)
    fit(classes, rounds=20)
    fit(classes, rounds=20, one_hot_max_size=100)
    assert len(compared) == 2 and min(compared) > 5


def test_categories_are_columns_of_their_own_in_the_forest() -> None:
    trees = fit(2, rounds=20)
    x = odd_rows()
    both = np.hstack([x, trees.extra(x)])
    assert trees.extra_width > 0 and trees.forest().feature.max() >= 5
    np.testing.assert_allclose(trees.forest().sums(both), trees.trees.sums(x), rtol=1e-12)


def test_without_categories_nothing_is_added() -> None:
    how = Fit(TASKS[2], 0, Deadline.after(600), 1, nobody, {"rounds": 5})
    trees = CatBoost.fit(Examples(examples(2).x[:, :4], examples(2).y), None, how)
    assert trees.extra_width == 0 and trees.export_extra(None, "x") is None
    only = Fit(TASKS[2], 0, Deadline.after(600), 1, nobody, {"rounds": 5}, categories=(0,), category_sizes=(30,))
    trees = CatBoost.fit(Examples(examples(2).x[:, 4:], examples(2).y), None, only)
    assert trees.extra_width > 0


def test_the_widest_number_up_to_a_border_is_exact() -> None:
    for exact in np.array([0.0, 1e-45, -1e-45, 1.0, -1.0, 0.1, 3e38, 1.1754944e-38, -FLOAT32_MAX], np.float32):
        found = widest(float(exact))
        assert np.float32(found) <= exact < np.float32(np.nextafter(found, np.inf))
    assert widest(FLOAT32_MAX) == np.inf


def test_values_beside_a_border_go_the_same_way() -> None:
    trees = fit(0, rounds=20)
    cuts = np.unique(trees.forest().threshold[trees.forest().feature == 0])
    values = np.concatenate([cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf)])
    x = np.repeat(examples(0, 1).x, len(values), axis=0)
    x[:, 0] = values
    np.testing.assert_allclose(run(trees, 0, x), trees.scores(x)[:, 0], rtol=1e-15)
    assert len(cuts) > 10


def test_nodes_that_nothing_reaches_are_left_out() -> None:
    train = Examples(np.column_stack([np.linspace(0, 1, 300), np.zeros((300, 4))]), np.sin(np.linspace(0, 9, 300)))
    trees = fit(0, train=train, rounds=10)
    assert trees.forest().nodes <= 10 * 7  # six borders of one column make seven intervals
    np.testing.assert_allclose(run(trees, 0, train.x), trees.scores(train.x)[:, 0], rtol=1e-15, atol=1e-15)


def test_trees_without_a_split_stand_among_others() -> None:
    trees = fit(0, train=Examples(examples(0, 60).x, np.arange(60) % 2.0), rounds=30)
    arrays = replace(trees.trees, leaves=trees.trees.leaves.copy())
    arrays.leaves[::2] = 1.0
    constant = Trees(arrays, TASKS[0], trees.settings)
    assert constant.forest().trees == 30
    np.testing.assert_allclose(run(constant, 0, odd_rows()), constant.scores(odd_rows())[:, 0], rtol=1e-15)


@pytest.mark.parametrize(
    ("metric", "objective", "answer"),
    [
        ("mae", "MAE", 3.0),
        ("mape", "MAPE", 1.0),
        ("quantile_loss:0.9", "Quantile", 9),
    ],
)
def test_the_objective_follows_the_metric(metric: str, objective: str, answer: float) -> None:
    x = np.zeros((180, 5))
    x[90:, 0] = 1.0
    train = Examples(x, np.tile(np.repeat([1.0, 3.0, 9.0], 30), 2))
    trees = fit(0, train=train, metric=metric, rounds=90, bootstrap_type="No")
    assert _loss(Task("y", "regression", metric)).startswith(objective)
    np.testing.assert_allclose(trees.scores(np.zeros((1, 5))), answer, atol=0.3)
    np.testing.assert_allclose(run(trees, 0, odd_rows()), trees.scores(odd_rows())[:, 0], rtol=1e-15)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_a_fit_goes_on_from_the_trees_of_another(classes: int) -> None:
    first, valid = fit(classes, rounds=20, depth=3), examples(classes, 300, seed=1)
    how = Fit(
        TASKS[classes], 0, Deadline.after(600), 1, nobody, {"learning_rate": 1e-6}, categories=(4,),
        category_sizes=(30,), start=first.state(),
    )  # fmt: skip
    more = CatBoost.fit(examples(classes), valid, how)
    assert more.settings["rounds"] == len(more.trees.leaves) > 20
    size = max(1.0, np.abs(first.scores(valid.x) - first.scores(valid.x).mean()).max())
    np.testing.assert_allclose(more.scores(valid.x) / size, first.scores(valid.x) / size, atol=1e-3, rtol=0)
    np.testing.assert_allclose(more.judged / size, more.scores(valid.x) / size, atol=1e-3, rtol=0)
    again = CatBoost.fit(examples(classes), None, replace(how, settings={"rounds": 60}))
    assert len(again.trees.leaves) == 60
    np.testing.assert_allclose(
        answered(LAYOUT, again, classes, valid.x).reshape(300, -1), again.scores(valid.x), rtol=1e-6, atol=1e-6
    )
    whole = fit(classes, rounds=60)
    assert np.corrcoef(again.scores(valid.x)[:, -1], whole.scores(valid.x)[:, -1])[0, 1] > 0.97
    late = CatBoost.fit(examples(classes), valid, replace(how, deadline=Deadline.after(0)))
    assert late.settings["rounds"] == 21


@pytest.mark.parametrize("metric", ["mae", "mape", "quantile_loss:0.9"])
def test_it_goes_on_by_whatever_metric(metric: str) -> None:
    train = Examples(examples(0).x, np.exp(examples(0).y - 1e9))
    first = fit(0, train=train, metric=metric, rounds=15, depth=3)
    how = Fit(
        Task("y", "regression", metric), 0, Deadline.after(600), 1, nobody, {"rounds": 30}, categories=(4,),
        category_sizes=(30,), start=first.state(),
    )  # fmt: skip
    more, whole = CatBoost.fit(train, None, how), fit(0, train=train, metric=metric, rounds=30, depth=3)
    losses = [_mean_loss(metric, train, each.scores(train.x)[:, 0]) for each in (first, more, whole)]
    assert losses[1] < losses[0]
    assert losses[1] < 1.05 * losses[2]


def _mean_loss(metric: str, train: Examples, said: np.ndarray) -> float:
    off = train.y - said
    if metric == "mape":
        return float(np.mean(np.abs(off) / train.y))
    return float(np.mean(np.where(off > 0, 0.9 * off, -0.1 * off)) if metric != "mae" else np.mean(np.abs(off)))
