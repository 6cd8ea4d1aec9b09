import subprocess
import sys
import weakref
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.learners.boosted_trees import BoostedTrees
from aias.learners.contract import Examples, Fit
from learned import LAYOUT, TASKS, answered, odd_rows


def examples(classes: int, rows: int = 800, *, missing: float = 0.1) -> Examples:
    rng = np.random.default_rng(classes)
    x = rng.normal(size=(rows, 5))
    x[:, 4] = rng.integers(2, 30, rows)
    z = x[:, 0] + np.isin(x[:, 4] % 7, [1, 3]) * 2 + rng.normal(size=rows) / 3
    x[:, :4][rng.random((rows, 4)) < missing] = np.nan
    y = {2: (z > 1).astype(np.int64), 3: np.digitize(z, [0, 1]).astype(np.int64), 0: 1e6 * z}[classes]
    return Examples(x, y)


def fit(classes: int, *, train: Examples | None = None, valid: Examples | None = None, **settings):
    how = Fit(TASKS[classes], 0, Deadline.after(600), 1, nobody, settings, categories=(4,))
    return BoostedTrees.fit(train or examples(classes), valid, how)


run = partial(answered, LAYOUT)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_the_score_that_is_told_is_that_of_the_trees_so_far(classes: int) -> None:
    told, valid = [], examples(classes, 301)

    def score(y, scores):
        assert y is valid.y
        told.append(scores)
        return 0.0

    how = Fit(TASKS[classes], 0, Deadline.after(600), 1, nobody, {"rounds": 1}, categories=(4,), score=score)
    trees = BoostedTrees.fit(examples(classes), valid, how)
    np.testing.assert_allclose(told[0], trees.scores(valid.x), rtol=1e-6)


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_a_regression_in_the_graph_is_equal_to_the_last_bit(missing: float) -> None:
    trees = fit(0, train=examples(0, missing=missing), rounds=80)
    np.testing.assert_array_equal(run(trees, 0, odd_rows()), trees.scores(odd_rows())[:, 0])


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_the_forest_adds_up_to_what_lightgbm_does(classes: int) -> None:
    trees = fit(classes, rounds=30, min_data_per_group=1, num_leaves=60)
    raw = trees.booster.predict(odd_rows(), raw_score=True, num_iteration=30).reshape(400, -1)
    np.testing.assert_array_equal(trees.forest().sums(odd_rows()), raw)


def test_some_trees_of_one_leaf_stand_among_others() -> None:
    trees = fit(3, train=examples(3, 60), rounds=40, min_data_in_leaf=25, min_gain_to_split=2.0)
    forest = trees.forest()
    lone = forest.left[forest.roots] == forest.right[forest.roots]
    assert lone.any() and not lone.all()
    raw = trees.booster.predict(odd_rows(), raw_score=True).reshape(400, -1)
    np.testing.assert_array_equal(forest.sums(odd_rows()), raw)


@pytest.mark.parametrize(("metric", "objective"), [("mae", "regression_l1"), ("rmse", "regression")])
def test_the_objective_follows_the_metric(metric: str, objective: str) -> None:
    how = Fit(Task("y", "regression", metric), 0, Deadline.after(600), 1, nobody, {"rounds": 3}, categories=(4,))
    trees = BoostedTrees.fit(examples(0), None, how)
    assert f"\nobjective={objective}" in trees._text()
    np.testing.assert_array_equal(run(trees, 0, odd_rows()), trees.scores(odd_rows())[:, 0])


def test_many_small_classes_are_learned_rather_than_leapt_over() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.arange(500), 16)
    x = rng.normal(size=(500, 12))[y] * 1.5 + rng.normal(size=(len(y), 12))
    inside = rng.random(len(y)) < 0.75
    task = Task("y", "multiclass", "log_loss", tuple(f"{i:03d}" for i in range(500)))

    def loss(**settings) -> float:
        how = Fit(task, 0, Deadline.after(600), 1, nobody, {"rounds": 3, **settings})
        trees = BoostedTrees.fit(Examples(x[inside], y[inside]), None, how)
        right = trees.scores(x[~inside])[np.arange((~inside).sum()), y[~inside]]
        return -np.log(np.maximum(right, 1e-15)).mean()

    assert loss() < 0.95 * np.log(500) < np.log(500) < loss(lambda_l2=0.0)


def test_one_thread_is_one_thread() -> None:
    code = """
import os
import numpy as np
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.learners.boosted_trees import BoostedTrees
from aias.learners.contract import Examples, Fit
x = np.random.default_rng(0).normal(size=(3000, 5))
examples = Examples(x, x[:, 0])
how = Fit(Task("y", "regression", "rmse"), 0, Deadline.after(600), 1, nobody, {"rounds": 3})
BoostedTrees.fit(examples, None, how)
before = len(os.listdir("/proc/self/task"))
BoostedTrees.fit(examples, examples, how).scores(x)
assert len(os.listdir("/proc/self/task")) == before
"""
    if not Path("/proc/self/task").exists():
        pytest.skip("threads are counted in /proc")
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


def test_lightgbm_comes_without_what_it_only_serves() -> None:
    code = """
import sys
from aias.learners.boosted_trees import _lightgbm
assert _lightgbm().Booster and not {"sklearn", "pandas", "lightgbm"} & set(sys.modules)
import lightgbm, sklearn
assert issubclass(lightgbm.LGBMRegressor, sklearn.base.BaseEstimator)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


@pytest.mark.parametrize(
    ("metric", "share"), [("quantile_loss:0.9", 0.9), ("quantile_loss", 0.5), ("median_absolute_error", 0.5)]
)
def test_what_is_learned_is_what_the_metric_wants(metric: str, share: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2_000, 1))
    y = 3 * x[:, 0] + rng.exponential(size=2_000)
    how = Fit(Task("y", "regression", metric), 0, Deadline.after(600), 1, nobody, {"rounds": 100})
    below = float((y <= BoostedTrees.fit(Examples(x, y), None, how).scores(x)[:, 0]).mean())
    assert abs(below - share) < 0.06


def test_rows_are_let_go_as_soon_as_lightgbm_has_its_own_form_of_them():
    held, there = [examples(2)], []
    rows = weakref.ref(held[0].x)

    def watch(_event):
        there.append(rows() is not None)

    how = Fit(TASKS[2], 0, Deadline.after(600), 1, watch, {"rounds": 3}, categories=(4,))
    BoostedTrees.fit(held.pop(), examples(2, 100), how)
    assert there and not any(there)
