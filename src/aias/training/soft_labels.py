"""Soft labels as rows to learn from: one for each label that is possible, as heavy as it is likely.

Cross entropy against probabilities is the weighted sum of cross entropies against labels, so that every learner that
takes weights learns from a teacher's doubts (Hinton et al. 2015).
"""

from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.task import Task
from aias.learners.contract import Examples

CHANCE_MIN: Final = 0.02
"""A label less likely than this is not worth a row."""

LABELS_MAX: Final = 3
"""Of one row; what is fitted on is then at most so many times as large."""


def soft(
    task: Task, x: Any, said: Floats, weight: Floats | None = None, *, least: float, costs: Floats | None = None
) -> Examples:
    """What a teacher says, (rows, outputs), as answers: a row for each class that it holds possible, by `least`, as
    heavy as it is likely. `weight`: of the rows, (rows,); `costs`: of the classes, (classes,).
    """
    if task.type == "regression":
        return Examples(x, said[:, 0], weight)
    rows, classes = np.nonzero(said >= least)
    each = said[rows, classes] * (1.0 if weight is None else weight[rows])
    each = each if costs is None else each * costs[classes]
    return Examples(x[rows], classes.astype(np.int64), each / each.mean())


def learned(task: Task, found: Examples, said: Floats, *, costs: Floats | None) -> Examples:
    """The examples with what is `said` of them, (rows, outputs), NaN where their answer is all that is known."""
    if task.type == "regression":
        return Examples(found.x, np.where(np.isfinite(said[:, 0]), said[:, 0], found.y), found.weight)
    held = np.where(np.isfinite(said), said, np.eye(said.shape[1])[found.y])
    places = np.argsort(-held, axis=1, kind="stable")
    held = np.where(held >= np.minimum(CHANCE_MIN, held.max(axis=1, keepdims=True)), held, 0.0)
    np.put_along_axis(held, places[:, LABELS_MAX:], 0.0, axis=1)
    least = np.finfo(float).tiny
    return soft(task, found.x, held / held.sum(axis=1, keepdims=True), least=least, costs=costs)
