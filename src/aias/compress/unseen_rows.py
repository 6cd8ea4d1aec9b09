"""What rows not seen may do to a metric that is no mean: a resample has only those that came up, and the next may cost
more.

Labels          two more wrong answers to rows of a class, of the class where they cost most; of a class that has no
                row here, all of its rows
pr_auc          three rows of a class that are scored as if of the other, more surely so than any
ece             the same; and the gap that chance alone makes, which hides a part of a loss

Rows of a group may all go together. There a row stands for as many of its class as its group has, or for all rows of a
usual group at once, whichever costs more.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from aias.compress.gate.groups import mean_group_size
from aias.core.arrays import Floats, Ints
from aias.core.task import LABEL_METRICS, Task
from aias.training.scoring.formulas import ECE_BINS, FORMULAS, Case

WRONG: Final = 2.0
"""Rows of a class, of two since none lost leaves a limit of three rows by the score interval, 1.75 spreads of 1.75."""

MISTAKEN: Final = 3
"""Rows of a class, of which none came up: with a chance of 5 %, where so many may be expected."""

SPREADS: Final = 1.75
"""That the limit of a verdict is away."""

HALF_NORMAL: Final = float(np.sqrt(2 / np.pi))
"""The mean of |Z|."""

Counts = Mapping[int, int]
"""Of each class, how many of its rows go together."""


def doubt(
    task: Task, y: Any, scores: Floats, labels: Any, classes: Ints | None = None, groups: Ints | None = None
) -> float:
    """By how much rows that were not seen may move the metric of these answers, as a spread. `classes`: all that such
    rows have; `groups`: the number of each row's, (rows,), where some belong together."""
    name = task.metric.partition(":")[0]
    if name in LABEL_METRICS:
        absent = np.setdiff1d([] if classes is None else classes, y).astype(np.int64)
        none = (_of_none(task, y, scores, labels, each, round(mean_group_size(groups))) for each in absent)
        return max(_wrong(task, y, scores, labels, _together(y, groups)), *none, 0.0)
    if name == "pr_auc":
        return _mistaken(name, y, scores, _together(y, groups))
    if name != "ece":
        return 0.0
    return max(_mistaken(name, y, scores, _together(y, groups)), _chance(y, scores, groups))


def _together(y: Any, groups: Ints | None) -> list[Counts]:
    """Rows that may go together: one of a class alone or, of groups, those of its class in it, and all of one."""
    known = np.unique(y).tolist()
    if groups is None:
        return [{label: 1} for label in known]
    numbers = np.unique(groups, return_inverse=True)[1]
    sizes = np.bincount(numbers)
    usual = {label: round(float(sizes[numbers[y == label]].sum()) / len(y)) for label in known}
    alone = [{label: round(mean_group_size(groups[y == label]))} for label in known]
    return [*alone, {label: count for label, count in usual.items() if count}]


def _wrong(task: Task, y: Any, scores: Floats, labels: Any, together: list[Counts]) -> float:
    even, formula = np.ones((1, len(y))), FORMULAS[task.metric]
    was, costs = formula(Case(task.metric, y, scores, labels))(even), [0.0]
    for counts in together:
        other = labels.copy()
        for label, count in counts.items():
            right = np.flatnonzero((y == label) & (labels == y))
            # Where none of a class was right, one that is gains as much as it would lose.
            said = (label + 1) % len(task.classes) if len(right) else label
            other[(right if len(right) else np.flatnonzero(y == label))[:count]] = said
        costs.append(float(np.abs(formula(Case(task.metric, y, scores, other))(even) - was)[0]))
    return WRONG * float(np.nanmax(costs))


def _of_none(task: Task, y: Any, scores: Floats, labels: Any, label: int, count: int) -> float:
    """The same of rows of a class that has none: answered right, or as another."""
    y = np.append(y, np.full(count, label))
    scores = np.vstack([scores, np.tile(np.eye(scores.shape[1])[label], (count, 1))])
    even, formula, said = np.ones((1, len(y))), FORMULAS[task.metric], (label, (label + 1) % len(task.classes))
    answers = (np.append(labels, np.full(count, each)) for each in said)
    found = [formula(Case(task.metric, y, scores, each))(even)[0] for each in answers]
    return WRONG * float(np.nan_to_num(abs(found[0] - found[1])))


def _mistaken(name: str, y: Any, scores: Floats, together: list[Counts]) -> float:
    """Of each class the rows that are the surest are made the surest of another."""
    even, none = np.ones((1, len(y))), np.empty(0, np.int64)
    was, costs = FORMULAS[name](Case(name, y, scores, none))(even), [0.0]
    for counts in together:
        other = scores.copy()
        for label, count in counts.items():
            rows = np.flatnonzero(y == label)
            rows = rows[np.argsort(-scores[rows, label], kind="stable")[: MISTAKEN * count]]
            other[rows] = 0.0
            other[rows, (label + 1) % scores.shape[1]] = 1.0
        costs.append(float(np.abs(FORMULAS[name](Case(name, y, other, none))(even) - was)[0]))
    return float(np.nanmax(costs)) / SPREADS


def _chance(y: Any, scores: Floats, groups: Ints | None) -> float:
    """The calibration error of so many rows if each probability were true: a mean of |Z| in each bin."""
    said = scores[:, 1] if scores.shape[1] == 2 else scores.max(axis=1)
    known = len(y) / mean_group_size(groups)
    return HALF_NORMAL * float(np.sqrt(np.mean(said * (1 - said)) * min(ECE_BINS, len(y)) / known))
