import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import Event, nobody
from aias.core.task import Task
from aias.encoders.rows import Layout
from aias.graph.compile import compile_graph
from aias.learners.boosted_trees import BoostedTrees
from aias.learners.contract import Examples, Fit
from aias.runtimes.onnxruntime import _session

TASKS = {
    2: Task("y", "binary", "roc_auc", ("a", "b")),
    3: Task("y", "multiclass", "log_loss", ("a", "b", "c")),
    0: Task("y", "regression", "rmse"),
}


def examples(classes: int, rows: int = 800, *, missing: float = 0.1) -> Examples:
    rng = np.random.default_rng(classes)
    x = rng.normal(size=(rows, 5))
    x[:, 4] = rng.integers(2, 30, rows)
    z = x[:, 0] + np.isin(x[:, 4] % 7, [1, 3]) * 2 + rng.normal(size=rows) / 3
    x[:, :4][rng.random((rows, 4)) < missing] = np.nan
    y = {2: (z > 1).astype(np.int64), 3: np.digitize(z, [0, 1]).astype(np.int64), 0: 1e6 * z}[classes]
    return Examples(x, y)


def fit(classes: int, *, train: Examples | None = None, valid: Examples | None = None, **settings):
    how = Fit(TASKS[classes], 0, Deadline.after(60), 1, nobody, settings, categories=(4,))
    return BoostedTrees.fit(train or examples(classes), valid, how)


class Whole:
    """A pipeline that is nothing but trees."""

    def __init__(self, trees) -> None:
        self.trees = trees

    def export(self, graph) -> str:
        return self.trees.export(graph, graph.columns)


def run(trees, classes: int, x):
    layout = Layout(5, (0, 1, 2, 3), (4,), (30,), 0, 0)
    session = _session(compile_graph(Whole(trees), layout, classes=TASKS[classes].classes))
    return session.run(["probabilities" if classes else "prediction"], {"columns": x})[0]


def odd_rows() -> np.ndarray:
    x = examples(2, 300).x.copy()
    x[:20, :4] = np.nan
    x[20:40, 0] = np.inf
    x[40:60, 1] = -np.inf
    x[60:80, 4] = 1  # unseen
    x[80:100, 4] = 0  # missing
    x[100:120, 2] = 5e-324
    return x


@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_a_regression_in_the_graph_is_equal_to_the_last_bit(missing: float) -> None:
    trees = fit(0, train=examples(0, missing=missing), rounds=80)
    np.testing.assert_array_equal(run(trees, 0, odd_rows()), trees.scores(odd_rows())[:, 0])


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_in_the_graph_are_equal_in_float32(classes: int) -> None:
    trees = fit(classes, rounds=60)
    np.testing.assert_allclose(run(trees, classes, odd_rows()), trees.scores(odd_rows()), atol=1e-7, rtol=0)


def test_trees_that_could_not_split_are_exported_too() -> None:
    constant = Examples(np.zeros((60, 5)), np.arange(60) % 2)
    trees = fit(2, train=constant, rounds=3)
    np.testing.assert_allclose(run(trees, 2, np.zeros((4, 5))), trees.scores(np.zeros((4, 5))), atol=1e-7)


def test_rounds_are_chosen_by_validation_and_told() -> None:
    told: list[Event] = []
    how = Fit(TASKS[2], 0, Deadline.after(60), 1, told.append, {}, categories=(4,))
    trees = BoostedTrees.fit(examples(2), examples(2, 300), how)
    assert 0 < trees.settings["rounds"] < 3000
    assert {"rows_per_second", "seconds_left", "validation_loss"} <= told[0].facts.keys()


def test_a_deadline_stops_the_rounds_with_a_model() -> None:
    ticks = iter(range(10_000))
    how = Fit(TASKS[2], 0, Deadline(20.0, 20.0, clock=lambda: float(next(ticks))), 1, nobody, {}, categories=(4,))
    trees = BoostedTrees.fit(examples(2), None, how)
    assert 0 < trees.settings["rounds"] < 25
    assert np.isfinite(trees.scores(odd_rows())).all()


def test_the_same_seed_gives_the_same_trees() -> None:
    first, again = fit(3, rounds=20), fit(3, rounds=20)
    np.testing.assert_array_equal(first.scores(odd_rows()), again.scores(odd_rows()))
