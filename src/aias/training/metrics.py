"""How good scores are, with 95 % intervals.

Scores are probabilities (rows, classes) or predictions (rows,); `y` are class indices or values.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from aias.core.events import Event, Watch
from aias.core.task import Measurement, Task
from aias.encoders.contract import Floats

RESAMPLES: Final = 400
"""Bootstrap resamples: the 95 % interval's ends then vary by about a tenth of its width."""

RESAMPLED_ROWS_MAX: Final = 20_000
"""Above this the interval is computed on a sample and narrowed by the square root of the ratio."""


def measure(task: Task, y: Any, scores: Floats, *, metric: str | None = None) -> Measurement:
    """The value alone."""
    name = metric or task.metric
    return Measurement(name, _METRICS[name](y, scores), len(y))


def measure_with_interval(y: Any, scores: Floats, *, metric: str, seed: int) -> Measurement:
    """The value and the percentile bootstrap interval over rows (Efron and Tibshirani 1993, chapter 13)."""
    point = _METRICS[metric](y, scores)
    rng = np.random.default_rng(seed)
    rows = min(len(y), RESAMPLED_ROWS_MAX)
    found: list[float] = []
    for _ in range(RESAMPLES):
        picked = rng.integers(0, len(y), rows)
        value = _METRICS[metric](y[picked], scores[picked])
        if np.isfinite(value):
            found.append(value)
    if len(found) < RESAMPLES // 2:
        return Measurement(metric, point, len(y))
    low, high = np.percentile(found, [2.5, 97.5])
    narrower = np.sqrt(rows / len(y))
    return Measurement(metric, point, len(y), float(point + (low - point) * narrower),
                       float(point + (high - point) * narrower))  # fmt: skip


def judge(task: Task, y: Any, scores: Floats, *, seed: int) -> Measurement:
    """By the task's metric or, where these rows cannot give it (AUC of one class), by the log loss or RMSE."""
    own = measure_with_interval(y, scores, metric=task.metric, seed=seed)
    if np.isfinite(own.value):
        return own
    return measure_with_interval(y, scores, metric="log_loss" if task.classes else "rmse", seed=seed)


def report(task: Task, y: Any, scores: Floats, *, seed: int, watch: Watch) -> tuple[Measurement, ...]:
    """The metrics of a report; of those that these rows cannot give, `watch` is told."""
    measured = [measure_with_interval(y, scores, metric=name, seed=seed) for name in reported(task)]
    for one in measured:
        if not np.isfinite(one.value):
            message = f"{one.metric} cannot be measured on these {one.n:,} rows: their answers do not differ"
            watch(Event("train.unmeasured", message, "warning", {"metric": one.metric, "rows": one.n}))
    return tuple(one for one in measured if np.isfinite(one.value))


def reported(task: Task) -> tuple[str, ...]:
    """The metrics of a report: the task's own first."""
    usual = {
        "binary": ("roc_auc", "accuracy", "log_loss"),
        "multiclass": ("log_loss", "accuracy", "balanced_accuracy"),
        "regression": ("rmse", "mae", "r2"),
    }[task.type]
    return (task.metric, *(name for name in usual if name != task.metric))


def _roc_auc(y: Any, scores: Floats) -> float:
    """The chance that a positive row is scored above a negative one; ties count half (Mann and Whitney 1947)."""
    positive = np.asarray(y == 1)
    ones, zeros = int(positive.sum()), int((~positive).sum())
    if not ones or not zeros:
        return float("nan")
    _, inverse, counts = np.unique(scores[:, 1], return_inverse=True, return_counts=True)
    ranks = np.cumsum(counts) - (counts - 1) / 2
    return float((ranks[inverse][positive].sum() - ones * (ones + 1) / 2) / (ones * zeros))


def _accuracy(y: Any, scores: Floats) -> float:
    return float((scores.argmax(axis=1) == y).mean())


def _balanced_accuracy(y: Any, scores: Floats) -> float:
    right = scores.argmax(axis=1) == y
    return float(np.mean([right[y == label].mean() for label in np.unique(y)]))


def _f1_macro(y: Any, scores: Floats) -> float:
    found = scores.argmax(axis=1)
    each = []
    for label in np.union1d(np.unique(y), np.unique(found)):
        hits = int(((found == label) & (y == label)).sum())
        each.append(2 * hits / (int((found == label).sum()) + int((y == label).sum())))
    return float(np.mean(each))


def _log_loss(y: Any, scores: Floats) -> float:
    return float(-np.log(np.maximum(scores[np.arange(len(y)), y], 1e-15)).mean())


def _rmse(y: Any, scores: Floats) -> float:
    return float(np.sqrt(((scores.ravel() - y) ** 2).mean()))


def _mae(y: Any, scores: Floats) -> float:
    return float(np.abs(scores.ravel() - y).mean())


def _r2(y: Any, scores: Floats) -> float:
    spread = float(((y - y.mean()) ** 2).sum())
    return float("nan") if spread == 0 else 1 - float(((scores.ravel() - y) ** 2).sum()) / spread


_METRICS: Final[dict[str, Callable[[Any, Floats], float]]] = {
    "roc_auc": _roc_auc,
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1_macro": _f1_macro,
    "log_loss": _log_loss,
    "rmse": _rmse,
    "mae": _mae,
    "r2": _r2,
}
