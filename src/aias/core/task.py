"""A task: what is predicted and how it is judged."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from aias.core.suggestions import choices

TaskType = Literal["binary", "multiclass", "regression", "embedding"]

Direction = Literal["higher", "lower"]

_CLASSES: Final[tuple[TaskType, ...]] = ("binary", "multiclass")

METRICS: Final[dict[str, tuple[Direction, tuple[TaskType, ...]]]] = {
    "roc_auc": ("higher", ("binary",)),
    "roc_auc_ovr": ("higher", ("multiclass",)),
    "pr_auc": ("higher", ("binary",)),
    "log_loss": ("lower", _CLASSES),
    "brier": ("lower", _CLASSES),
    "ece": ("lower", _CLASSES),
    "accuracy": ("higher", _CLASSES),
    "balanced_accuracy": ("higher", _CLASSES),
    "f1": ("higher", ("binary",)),
    "f1_macro": ("higher", _CLASSES),
    "f1_micro": ("higher", _CLASSES),
    "f1_weighted": ("higher", _CLASSES),
    "precision": ("higher", ("binary",)),
    "recall": ("higher", ("binary",)),
    "mcc": ("higher", _CLASSES),
    "rmse": ("lower", ("regression",)),
    "mae": ("lower", ("regression",)),
    "median_absolute_error": ("lower", ("regression",)),
    "mape": ("lower", ("regression",)),
    "rmsle": ("lower", ("regression",)),
    "quantile_loss": ("lower", ("regression",)),
    "r2": ("higher", ("regression",)),
}
"""Every metric: which direction is better, and the tasks that it judges. `quantile_loss:0.9` names its quantile."""

LABEL_METRICS: Final = frozenset({
    "accuracy", "balanced_accuracy", "f1", "f1_macro", "f1_micro", "f1_weighted", "precision", "recall", "mcc",
})  # fmt: skip
"""They judge labels; all others of classes judge probabilities."""

DEFAULT_METRIC: Final[dict[TaskType, str]] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}

LINKS: Final[Mapping[TaskType, str]] = {"binary": "sigmoid", "multiclass": "softmax", "regression": "identity"}
"""From a learner's sums to its scores."""

MEDIAN: Final = 0.5


def is_metric(metric: str) -> bool:
    """Whether there is one of this name, with a quantile strictly between 0 and 1 where it names one."""
    name, colon, _ = metric.partition(":")
    if not colon:
        return name in METRICS
    return name == "quantile_loss" and quantile_of(metric) is not None


def instead_of(metric: str) -> str:
    """A hint for whoever named a metric that there is not."""
    if metric.startswith("quantile_loss:"):
        return "a quantile lies between 0 and 1, as in quantile_loss:0.9"
    return choices(metric, METRICS)


def direction_of(metric: str) -> Direction:
    return METRICS[metric.partition(":")[0]][0]


def limits_of(metric: str) -> tuple[float, float]:
    """The least and the largest value that a metric can have; of one that is not ours, any."""
    direction = METRICS[metric.partition(":")[0]][0] if is_metric(metric) else None
    return 0.0 if direction == "lower" else -math.inf, 1.0 if direction == "higher" else math.inf


def tasks_of(metric: str) -> tuple[TaskType, ...]:
    return METRICS[metric.partition(":")[0]][1]


def quantile_of(metric: str) -> float | None:
    """0.9 of `quantile_loss:0.9`, the median of `quantile_loss`; None of any other metric, or where it cannot be."""
    name, colon, quantile = metric.partition(":")
    if name != "quantile_loss":
        return None
    try:
        found = float(quantile) if colon else MEDIAN
    except ValueError:
        return None
    return found if 0 < found < 1 else None


@dataclass(frozen=True, slots=True)
class Task:
    """`classes` are the labels as they stand in the data, sorted; empty for regression.

    In a binary task the second class is the positive one. An embedding predicts nothing: it has neither a target nor a
    metric, and gives `width` numbers a row.
    """

    target: str
    type: TaskType
    metric: str
    classes: tuple[str, ...] = ()
    width: int = 0

    @property
    def direction(self) -> Direction:
        return direction_of(self.metric)

    @property
    def outputs(self) -> int:
        """Numbers in one answer: a probability per class, one predicted value, or those of a vector."""
        return len(self.classes) or self.width or 1

    @property
    def quantile(self) -> float | None:
        """What the answer is to be: this quantile of what can happen; None where it is the mean or the median."""
        return quantile_of(self.metric)


@dataclass(frozen=True, slots=True)
class Measurement:
    """A metric's value over `n` rows, with the 95 % interval from `low` to `high`."""

    metric: str
    value: float
    n: int
    low: float | None = None
    high: float | None = None

    def __repr__(self) -> str:
        interval = f" ({self.interval})" if self.interval else ""
        return f"<{self.metric} {self.written}{interval}, {self.n:,} rows>"

    @property
    def written(self) -> str:
        """The value as it is read: `0.9258`, `46,951.6`."""
        return written(self.value)

    @property
    def interval(self) -> str:
        """`0.9198 to 0.9317`, or nothing where none is known."""
        if self.low is None or self.high is None:
            return ""
        return f"{written(self.low, like=self.value)} to {written(self.high, like=self.value)}"


EXACT: Final = 1e12
"""From here on nobody counts the digits of a score."""

TINY: Final = 0.001
"""Below this, four decimals would leave too little of a score."""


def written(value: float, *, like: float | None = None) -> str:
    """Four decimals below 10, and one from there: more would say nothing. `like`: of a value that stands beside it."""
    size = abs(value if like is None else like)
    if size >= EXACT or 0 < size < TINY:
        return f"{value:.4g}"
    digits = 4 if size < 10 else 1
    return f"{value:,.{digits}f}"
