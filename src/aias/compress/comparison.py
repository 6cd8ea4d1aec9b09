"""Two models on the same rows: by which of the gate's intervals each metric is compared.

accuracy, f1_micro                              the score interval for paired proportions; of rows in groups as a mean
roc_auc, roc_auc_ovr                            DeLong
log_loss, brier, mae, mape, quantile_loss       Student's t, corrected for skewness
rmse, rmsle, r2                                 the same, of how the root, or the ratio, hangs on each row
median_absolute_error                           the score interval of who is beyond the median
all others                                      the paired bootstrap
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from aias.compress.gate.evidence import Evidence, Unknown
from aias.compress.gate.medians import median_loss
from aias.compress.gate.proportions import Proportions
from aias.compress.gate.resampled import Metric, resampled_loss
from aias.compress.gate.studentised import auc_loss, explained_loss, mean_loss, root_loss
from aias.compress.unseen_rows import doubt
from aias.core.arrays import Floats, Ints
from aias.core.task import LABEL_METRICS, Task
from aias.training.scoring.formulas import FORMULAS, ROW_LOSSES, ROW_SQUARES, Case
from aias.training.scoring.intervals import sampled
from aias.training.scoring.metrics import NO_LABELS, decide


@dataclass(frozen=True, slots=True)
class Answered:
    """Scores, (rows, outputs), and by what they are weighted before a label is answered."""

    scores: Floats
    label_weights: Sequence[float] | None = None

    def take(self, rows: Any) -> "Answered":
        return Answered(self.scores[rows], self.label_weights)

    @property
    def labels(self) -> Any:
        return decide(self.scores, self.label_weights)


def evidence(
    task: Task, y: Any, before: Answered, after: Answered, *, seed: int, groups: Ints | None = None,
    classes: Ints | None = None,
) -> Evidence:  # fmt: skip
    """Of how much worse `after` is than `before` by the task's metric; below 0 is better. `groups`: the number of each
    row's, (rows,), where some rows belong together; `classes`: those that such rows have, though these may lack some.
    Scores that are no numbers tell nothing."""
    name = task.metric.partition(":")[0]
    if not len(y):
        return Unknown(0)
    if not (np.isfinite(before.scores).all() and np.isfinite(after.scores).all()):
        return Unknown(len(y))
    if groups is not None and len(np.unique(groups)) == len(groups):
        groups = None
    if name in {"accuracy", "f1_micro"}:
        first, second = before.labels == y, after.labels == y
        if groups is not None:
            return mean_loss(~first * 1.0, ~second * 1.0, groups)
        return Proportions(int((first & ~second).sum()), int((second & ~first).sum()), len(y))
    if name == "roc_auc":
        return auc_loss(y == 1, before.scores[:, -1], after.scores[:, -1], groups)
    if name == "roc_auc_ovr":
        there = np.unique(y) if classes is None else classes
        return auc_loss(y[:, None] == there, before.scores[:, there], after.scores[:, there], groups)
    one, other = (_case(task, y, each) for each in (before, after))
    if name in ROW_LOSSES:
        return mean_loss(ROW_LOSSES[name](one), ROW_LOSSES[name](other), groups)
    if name in ROW_SQUARES:
        return root_loss(ROW_SQUARES[name](one), ROW_SQUARES[name](other), groups)
    if name == "median_absolute_error":
        return median_loss(np.abs(one.errors), np.abs(other.errors), groups)
    if name == "r2":
        return explained_loss(y, one.errors**2, other.errors**2, groups)
    return _resampled(task, y, before, after, seed=seed, groups=groups, classes=classes)


def _resampled(
    task: Task, y: Any, before: Answered, after: Answered, *, seed: int, groups: Ints | None, classes: Ints | None
) -> Evidence:
    kept = sampled(len(y), seed)
    first, second = (_metric(task, y[kept], each.take(kept)) for each in (before, after))
    groups = None if groups is None else groups[kept]
    return resampled_loss(
        first, second, len(y[kept]), seed=seed, groups=groups,
        doubt=doubt(task, y[kept], before.scores[kept], before.take(kept).labels, classes, groups),
    )  # fmt: skip


def _metric(task: Task, y: Any, answered: Answered) -> Metric:
    values = FORMULAS[task.metric.partition(":")[0]](_case(task, y, answered))
    return values if task.direction == "lower" else lambda weights: -values(weights)


def _case(task: Task, y: Any, answered: Answered) -> Case:
    labels = answered.labels if task.metric in LABEL_METRICS else NO_LABELS
    return Case(task.metric, y, answered.scores, labels)
