import json
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.forest import FLOAT32_MAX
from aias.core.task import Task
from aias.forests.xgboost import below
from aias.learners.contract import Examples, Fit
from aias.learners.xgboost import XGBoost
from learned import LAYOUT, TASKS, answered, examples, odd_rows

pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")


def fit(classes: int, *, train: Examples | None = None, valid: Examples | None = None, metric: str = "", **settings):
    task = Task("y", "regression", metric) if metric else TASKS[classes]
    how = Fit(task, 0, Deadline.after(600), 1, nobody, settings, categories=(4,), category_sizes=(30,))
    return XGBoost.fit(train or examples(classes), valid, how)


run = partial(answered, LAYOUT)


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_scores_are_those_of_xgboost_itself(classes: int) -> None:
    import xgboost

    trees = fit(classes, rounds=30)
    x = examples(classes, 300).x[18:]  # it refuses what is infinite
    kinds = ["q", "q", "q", "q", "c"]
    raw = trees.booster.predict(xgboost.DMatrix(x, feature_types=kinds), iteration_range=(0, 30))
    shift, scale = trees.unit
    expected = np.column_stack([1 - raw, raw]) if classes == 2 else raw.reshape(len(x), -1) * scale + shift
    np.testing.assert_allclose(trees.scores(x), expected, atol=2e-6, rtol=1e-15)


def test_every_category_goes_where_xgboost_sends_it() -> None:
    for onehot in (1, 100):
        trees = fit(0, rounds=30, max_cat_to_onehot=onehot, max_depth=8)
        x = np.repeat(examples(0, 1).x, 30, axis=0)
        x[:, 4] = np.arange(30)
        np.testing.assert_array_equal(run(trees, 0, x), trees.scores(x)[:, 0])
        assert len(np.unique(trees.scores(x))) > 3
        assert np.diff(trees.forest().set_ends, prepend=0).max() <= 15


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_a_fit_goes_on_from_the_rounds_of_another(classes: int) -> None:
    first, valid = fit(classes, rounds=20), examples(classes, 300, seed=1)
    how = Fit(
        TASKS[classes], 0, Deadline.after(600), 1, nobody, {"learning_rate": 1e-6}, categories=(4,),
        category_sizes=(30,), start=first.state(),
    )  # fmt: skip
    more = XGBoost.fit(examples(classes), valid, how)
    assert more.settings["rounds"] > 20
    size = max(1.0, first.unit[1])
    np.testing.assert_allclose(more.scores(valid.x) / size, first.scores(valid.x) / size, atol=1e-3, rtol=0)
    np.testing.assert_allclose(run(more, classes, valid.x).reshape(300, -1), more.scores(valid.x), atol=1e-6)
    again = XGBoost.fit(examples(classes), None, replace(how, settings={"rounds": 30}))
    assert again.booster.num_boosted_rounds() == 30
    whole = fit(classes, rounds=30)
    assert np.corrcoef(again.scores(valid.x)[:, -1], whole.scores(valid.x)[:, -1])[0, 1] > 0.98


def test_where_time_is_over_what_was_gone_on_from_is_kept() -> None:
    first, valid = fit(2, rounds=20), examples(2, 300, seed=1)
    how = Fit(TASKS[2], 0, Deadline.after(0), 1, nobody, {}, categories=(4,), category_sizes=(30,), start=first.state())
    assert XGBoost.fit(examples(2), valid, how).settings["rounds"] == 21


def test_the_widest_number_below_a_threshold_is_exact() -> None:
    exact = np.array([0.0, 1e-45, -1e-45, 1.0, -1.0, 0.1, 3e38, 1.1754944e-38, FLOAT32_MAX], np.float32)
    widest, _ = below(exact.astype(np.float64))
    assert (widest.astype(np.float32) < exact).all()
    assert (np.nextafter(widest, np.inf).astype(np.float32) >= exact).all()


def test_thresholds_at_the_ends_of_float32_let_nothing_or_everything_pass() -> None:
    widest, mode = below(np.array([-np.inf, -FLOAT32_MAX, np.inf]))
    np.testing.assert_array_equal(widest, [-np.inf, -np.inf, np.inf])
    np.testing.assert_array_equal(mode, [1, 1, 0])


def test_values_beside_a_threshold_go_the_same_way() -> None:
    trees = fit(0, rounds=20)
    cuts = np.unique(trees.forest().threshold[trees.forest().feature == 0])
    values = np.concatenate([cuts, np.nextafter(cuts, np.inf), np.nextafter(cuts, -np.inf)])
    x = np.repeat(examples(0, 1).x, len(values), axis=0)
    x[:, 0] = values
    np.testing.assert_array_equal(run(trees, 0, x), trees.scores(x)[:, 0])
    assert len(cuts) > 10


@pytest.mark.parametrize(
    ("metric", "objective", "answer"),
    [
        ("mae", "reg:absoluteerror", 3.0),
        ("mape", "reg:absoluteerror", 1.0),
        ("quantile_loss:0.9", "reg:quantileerror", 9),
    ],
)
def test_the_objective_follows_the_metric(metric: str, objective: str, answer: float) -> None:
    train = Examples(np.zeros((90, 5)), np.repeat([1.0, 3.0, 9.0], 30))
    trees = fit(0, train=train, metric=metric, rounds=60, subsample=1.0)
    assert json.loads(trees.booster.save_config())["learner"]["objective"]["name"] == objective
    np.testing.assert_allclose(trees.scores(np.zeros((1, 5))), answer, atol=0.2)
    np.testing.assert_array_equal(run(trees, 0, odd_rows()), trees.scores(odd_rows())[:, 0])


def test_xgboost_comes_without_what_it_only_serves() -> None:
    code = """
import sys
import numpy as np
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.learners.contract import Examples, Fit
from aias.learners.xgboost import XGBoost
assert "xgboost" not in sys.modules
how = Fit(Task("y", "regression", "rmse"), 0, Deadline.after(600), 1, nobody, {"rounds": 3})
part = Examples(np.arange(40.0)[:, None], np.arange(40.0))
XGBoost.fit(part, part, how).scores(part.x)
assert not {"sklearn", "pandas", "xgboost"} & set(sys.modules), set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)
