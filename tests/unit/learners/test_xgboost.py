import json
import subprocess
import sys

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import Event, nobody
from aias.core.task import Task
from aias.encoders.rows import Layout
from aias.graph.compile import compile_graph
from aias.learners.contract import Examples, Fit
from aias.learners.xgboost import FLOAT32_MAX, XGBoost, _below
from aias.runtimes.onnxruntime import _session

pytest.importorskip("xgboost", reason="the extra `xgboost` is not installed")

TASKS = {
    2: Task("y", "binary", "roc_auc", ("a", "b")),
    3: Task("y", "multiclass", "log_loss", ("a", "b", "c")),
    0: Task("y", "regression", "rmse"),
}

LAYOUT = Layout(5, (0, 1, 2, 3), (4,), (30,), 0, 0)


def examples(classes: int, rows: int = 800) -> Examples:
    rng = np.random.default_rng(classes)
    x = rng.normal(size=(rows, 5))
    x[:, 3] = np.round(x[:, 3], 1)
    x[:, 4] = rng.integers(2, 30, rows)
    z = x[:, 0] + np.isin(x[:, 4] % 7, [1, 3]) * 2 + rng.normal(size=rows) / 3
    x[:, :4][rng.random((rows, 4)) < 0.1] = np.nan
    x[:9, 1], x[9:18, 1] = np.inf, -np.inf
    y = {2: (z > 1).astype(np.int64), 3: np.digitize(z, [0, 1]).astype(np.int64), 0: 1e9 + z}[classes]
    return Examples(x, y)


def fit(classes: int, *, train: Examples | None = None, valid: Examples | None = None, metric: str = "", **settings):
    task = Task("y", "regression", metric) if metric else TASKS[classes]
    how = Fit(task, 0, Deadline.after(60), 1, nobody, settings, categories=(4,), category_sizes=(30,))
    return XGBoost.fit(train or examples(classes), valid, how)


class Whole:
    """A pipeline that is nothing but trees."""

    def __init__(self, trees) -> None:
        self.trees = trees

    def export(self, graph) -> str:
        return self.trees.export(graph, graph.columns)


def run(trees, classes: int, x):
    session = _session(compile_graph(Whole(trees), LAYOUT, classes=TASKS[classes].classes))
    return session.run(["probabilities" if classes else "prediction"], {"columns": x})[0]


def odd_rows() -> np.ndarray:
    x = examples(2, 400).x.copy()
    odd = [np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 16777217, 0.0, FLOAT32_MAX, -FLOAT32_MAX, 1e-45, 0.1]
    x[:48, :4] = np.repeat(odd, 4)[:, None]
    x[:12, 1:4] = x[100:112, 1:4]
    x[50:60, 4] = 1  # unseen
    x[60:70, 4] = 0  # missing
    x[70:80, 4] = 29
    return x


@pytest.mark.parametrize("classes", [0, 2, 3])
def test_the_graph_adds_up_the_leaves_that_xgboost_reaches(classes: int) -> None:
    trees = fit(classes, rounds=60, max_cat_to_onehot=4)
    found = run(trees, classes, odd_rows())
    expected = trees.scores(odd_rows())
    np.testing.assert_allclose(found, expected if classes else expected[:, 0], atol=1e-7, rtol=1e-15)


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


def test_the_widest_number_below_a_threshold_is_exact() -> None:
    exact = np.array([0.0, 1e-45, -1e-45, 1.0, -1.0, 0.1, 3e38, 1.1754944e-38, FLOAT32_MAX], np.float32)
    widest, _ = _below(exact.astype(np.float64))
    assert (widest.astype(np.float32) < exact).all()
    assert (np.nextafter(widest, np.inf).astype(np.float32) >= exact).all()


def test_thresholds_at_the_ends_of_float32_let_nothing_or_everything_pass() -> None:
    widest, mode = _below(np.array([-np.inf, -FLOAT32_MAX, np.inf]))
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


def test_trees_that_could_not_split_are_exported_too() -> None:
    for classes in (2, 3, 0):
        constant = Examples(np.zeros((60, 5)), np.arange(60) % max(classes, 2))
        trees = fit(classes, train=constant, rounds=3)
        found = run(trees, classes, np.zeros((4, 5)))
        expected = trees.scores(np.zeros((4, 5)))
        np.testing.assert_allclose(found, expected if classes else expected[:, 0], atol=1e-7)


def test_rounds_are_chosen_by_validation_and_told() -> None:
    told: list[Event] = []
    how = Fit(
        TASKS[2],
        0,
        Deadline.after(60),
        1,
        told.append,
        {},
        categories=(4,),
        category_sizes=(30,),
        score=lambda y, s: s[y == 1].mean(),
    )
    trees = XGBoost.fit(examples(2), examples(2, 300), how)
    assert 0 < trees.settings["rounds"] < 3000
    facts = {"learner", "round", "validation_loss", "best_round", "rows_per_second", "seconds_left", "score"}
    assert told[0].facts.keys() == facts


def test_a_deadline_stops_the_rounds_with_a_model() -> None:
    ticks = iter(range(10_000))
    how = Fit(
        TASKS[2],
        0,
        Deadline(20.0, 20.0, clock=lambda: float(next(ticks))),
        1,
        nobody,
        {},
        categories=(4,),
        category_sizes=(30,),
    )
    trees = XGBoost.fit(examples(2), None, how)
    assert 0 < trees.settings["rounds"] < 25
    assert np.isfinite(trees.scores(odd_rows())).all()


def test_settings_of_a_fit_repeat_its_bytes_without_validation_rows() -> None:
    first = fit(3, valid=examples(3, 300), learning_rate=0.2)
    again = fit(3, **first.settings)
    assert again.settings == first.settings and first.settings["rounds"] < 150
    assert bytes(first.state()["model"]) == bytes(again.state()["model"])


def test_each_half_of_the_rows_is_scored_by_the_rounds_that_the_other_chose() -> None:
    train, valid = examples(0), examples(0, 101)
    trees = fit(0, train=train, valid=valid, learning_rate=0.9, rounds=19)
    assert trees.judged.shape == (101, 1)
    assert fit(0, rounds=3).judged is None


def test_trees_that_were_stored_are_equal() -> None:
    for classes in (0, 3):
        trees = fit(classes, rounds=20)
        settings = json.loads(json.dumps(trees.settings))
        loaded = XGBoost.load(trees.state(), TASKS[classes], settings)
        np.testing.assert_array_equal(loaded.scores(odd_rows()), trees.scores(odd_rows()))
        assert compile_graph(Whole(loaded), LAYOUT, classes=()) == compile_graph(Whole(trees), LAYOUT, classes=())


def test_rows_count_by_their_weight() -> None:
    x = np.repeat([[0.0] * 5, [1.0] * 5], 100, axis=0)
    train = Examples(x, np.tile([0.0, 8.0], 100), weight=np.tile([1.5, 0.5], 100))
    np.testing.assert_allclose(fit(0, train=train, rounds=3, subsample=1.0).scores(x), 2.0, atol=1e-6)


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


def test_the_best_state_so_far_can_be_kept() -> None:
    kept: list = []
    how = Fit(TASKS[2], 0, Deadline.after(60), 1, nobody, {"rounds": 7}, keep=lambda make: kept.append(make()))
    XGBoost.fit(examples(2), None, how)
    assert [trees.settings["rounds"] for trees in kept] == [1, 2, 3, 4, 5, 6, 7]
    assert kept[2].forest().trees == 3


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
how = Fit(Task("y", "regression", "rmse"), 0, Deadline.after(60), 1, nobody, {"rounds": 3})
part = Examples(np.arange(40.0)[:, None], np.arange(40.0))
XGBoost.fit(part, part, how).scores(part.x)
assert not {"sklearn", "pandas", "xgboost"} & set(sys.modules), set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
