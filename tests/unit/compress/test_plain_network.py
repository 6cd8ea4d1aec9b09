from functools import cache

import numpy as np
import pytest

from aias.compress.plain_network import plain_network
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.graph.builder import Builder
from aias.learners.contract import Examples, Fit
from aias.learners.mlp import FittedMlp, Mlp
from aias.runtimes.onnxruntime import _session

SIZES = (5, 40)
"""Codes of a category that is one-hot, and of one that has vectors."""

TASKS = {
    "amounts": Task("y", "regression", "rmse"),
    "two classes": Task("y", "binary", "roc_auc", ("a", "b")),
    "three classes": Task("y", "multiclass", "log_loss", ("a", "b", "c")),
}


def rows(count: int, *, seed: int) -> np.ndarray:
    """Two numbers, the first of which is missing now and then, and two categories."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(count, 2)) * (1.0, 1e6)
    numbers[rng.random(count) < 0.1, 0] = np.nan
    return np.column_stack([numbers, rng.integers(0, SIZES[0], count), rng.integers(0, SIZES[1], count)])


@cache
def fitted(task: Task, **settings: object) -> FittedMlp:
    x = rows(900, seed=0)
    score = np.nan_to_num(x[:, 0]) + x[:, 2] + (x[:, 3] > 20)
    y = np.digitize(score, np.quantile(score, [0.4, 0.7])[: len(task.classes) - 1]) if task.classes else score
    chosen = {"members": 1, "width": 16, "epochs": 4, **settings}
    how = Fit(task, 0, Deadline.after(600), 1, nobody, chosen, categories=(2, 3), category_sizes=SIZES)
    return Mlp.fit(Examples(x, y, None), None, how)


def odd_rows() -> np.ndarray:
    x = rows(60, seed=1)
    x[:9, 0] = [np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0, 1e-300, 1e9, -1e9]
    x[9:14, 2] = np.arange(SIZES[0])
    return x


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_it_says_what_the_network_says(task: Task) -> None:
    found, x = fitted(task), odd_rows()
    plain = plain_network(found.network, found.settings)
    assert plain is not None

    assert plain.scores(x) == pytest.approx(found.scores(x), abs=2e-5)
    assert len(np.unique(plain.scores(x)[:, 0])) > 40


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
def test_its_graph_has_fewer_operations_and_says_the_same(task: Task) -> None:
    found, x = fitted(task), odd_rows()
    plain = plain_network(found.network, found.settings)
    assert plain is not None
    said, nodes = {}, {}
    for name, each in (("plain", plain), ("as it was", found)):
        graph = Builder(width=x.shape[1], texts=0)
        scores = each.export(graph, graph.columns)
        nodes[name] = len(graph._nodes)
        session = _session(graph.finish(scores, classes=task.classes))
        said[name] = session.run(None, {"columns": x})[0]

    assert nodes["plain"] < nodes["as it was"] - 8
    assert said["plain"] == pytest.approx(said["as it was"], abs=2e-5)


@pytest.mark.parametrize("settings", [{"members": 2}, {"expansion": "none"}, {"expansion_parts": 400}])
def test_what_would_not_be_faster_stays_as_it_is(settings: dict[str, object]) -> None:
    assert plain_network(fitted(TASKS["amounts"], **settings).network, {}) is None


def test_what_it_is_made_of_stands_in_its_state() -> None:
    plain = plain_network(fitted(TASKS["amounts"]).network, {})
    assert plain is not None

    assert {"low", "speed", "table", "weight_0", "bias_2", "inputs_center"} <= plain.state().keys()
