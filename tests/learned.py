"""What tests of learners share: three tasks, a table, and what a fitted model says as the graph that it becomes."""

from typing import Any

import numpy as np

from aias.core.task import Task
from aias.encoders.rows import Layout
from aias.graph.compile import compile_graph
from aias.learners.contract import Examples
from aias.runtimes.onnxruntime import _session

TASKS = {
    2: Task("y", "binary", "roc_auc", ("a", "b")),
    3: Task("y", "multiclass", "log_loss", ("a", "b", "c")),
    0: Task("y", "regression", "rmse"),
}

LAYOUT = Layout(5, (0, 1, 2, 3), (4,), (30,), 0, 0)


class Whole:
    """A pipeline that is nothing but one model."""

    def __init__(self, fitted: Any) -> None:
        self.fitted = fitted

    def export(self, graph: Any) -> str:
        name: str = self.fitted.export(graph, graph.columns)
        return name


def session_of(layout: Layout, fitted: Any, classes: int) -> Any:
    """Of its graph alone."""
    return _session(compile_graph(Whole(fitted), layout, classes=TASKS[classes].classes))


def answered(layout: Layout, fitted: Any, classes: int, x: Any) -> Any:
    """(rows, classes) or (rows, 1), by its graph alone."""
    outputs = ["probabilities" if classes else "prediction"]
    return session_of(layout, fitted, classes).run(outputs, {"columns": x})[0]


def examples(classes: int, rows: int = 800, *, seed: int = 0) -> Examples:
    """Four numbers with gaps and infinities, and a category of 28 codes; amounts far from 0."""
    rng = np.random.default_rng(classes + 10 * seed)
    x = rng.normal(size=(rows, 5))
    x[:, 3] = np.round(x[:, 3], 1)
    x[:, 4] = rng.integers(2, 30, rows)
    z = x[:, 0] + np.isin(x[:, 4] % 7, [1, 3]) * 2 + rng.normal(size=rows) / 3
    x[:, :4][rng.random((rows, 4)) < 0.1] = np.nan
    x[:9, 1], x[9:18, 1] = np.inf, -np.inf
    y = {2: (z > 1).astype(np.int64), 3: np.digitize(z, [0, 1]).astype(np.int64), 0: 1e9 + z}[classes]
    return Examples(x, y)


def odd_rows() -> np.ndarray:
    """What float32 makes another number of, and codes that are unseen or missing."""
    x, most = examples(2, 400).x.copy(), float(np.finfo(np.float32).max)
    odd = [np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, 16777217, 0.0, most, -most, 1e-45, 0.1]
    x[:48, :4] = np.repeat(odd, 4)[:, None]
    x[:12, 1:4] = x[100:112, 1:4]
    x[50:60, 4] = 1  # unseen
    x[60:70, 4] = 0  # missing
    x[70:80, 4] = 29
    return x
