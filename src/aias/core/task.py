"""A task: what is predicted and how it is judged."""

from dataclasses import dataclass
from typing import Final, Literal

TaskType = Literal["binary", "multiclass", "regression"]

Direction = Literal["higher", "lower"]

METRICS: Final[dict[str, tuple[Direction, tuple[TaskType, ...]]]] = {
    "roc_auc": ("higher", ("binary",)),
    "accuracy": ("higher", ("binary", "multiclass")),
    "balanced_accuracy": ("higher", ("binary", "multiclass")),
    "f1_macro": ("higher", ("binary", "multiclass")),
    "log_loss": ("lower", ("binary", "multiclass")),
    "rmse": ("lower", ("regression",)),
    "mae": ("lower", ("regression",)),
    "r2": ("higher", ("regression",)),
}
"""Every metric: which direction is better, and the tasks that it judges."""

DEFAULT_METRIC: Final[dict[TaskType, str]] = {"binary": "roc_auc", "multiclass": "log_loss", "regression": "rmse"}


@dataclass(frozen=True, slots=True)
class Task:
    """`classes` are the labels as they stand in the data, sorted; empty for regression.

    In a binary task the second class is the positive one.
    """

    target: str
    type: TaskType
    metric: str
    classes: tuple[str, ...] = ()

    @property
    def direction(self) -> Direction:
        return METRICS[self.metric][0]

    @property
    def outputs(self) -> int:
        """Numbers in one answer: a probability per class, or one predicted value."""
        return len(self.classes) or 1


@dataclass(frozen=True, slots=True)
class Measurement:
    """A metric's value over `n` rows, with the 95 % interval from `low` to `high`."""

    metric: str
    value: float
    n: int
    low: float | None = None
    high: float | None = None
