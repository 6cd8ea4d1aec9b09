"""Cross-fitting: which rows may say how those of a fold are answered, and what is then known of all rows."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.core.arrays import Flags, Floats, Ints
from aias.core.task import Task
from aias.training.scoring.metrics import LabelWeights

HOLDOUT_PARTS: Final = 5


@dataclass(frozen=True, slots=True, eq=False)
class CrossFitted:
    """What rows out of fold are answered, each by what other folds say; `label_weights` are of all, or of each row."""

    scores: Floats
    label_weights: LabelWeights = None


def parted(folds: Ints, groups: Ints | None) -> Ints:
    """The folds, or five parts where there is but one: no row then helps to weigh its own answer, nor does one of its
    group. `groups`: the number of each row's, where some belong together; a single one is parted all the same."""
    if len(np.unique(folds)) > 1:
        return folds
    units = np.arange(len(folds)) if groups is None else np.unique(groups, return_inverse=True)[1]
    return np.asarray(units if units.any() else np.arange(len(folds))) % HOLDOUT_PARTS


def others(task: Task, y: Any, folds: Ints, fold: Any, *, forward: bool) -> Flags:
    """The rows of other folds; where rows are parted by time (`forward`), of earlier ones. Before the first fold there
    is nothing, and maybe before the second not every class: these are told by all others."""
    earlier = folds < fold
    if forward and earlier.any() and (not task.classes or len(np.unique(y[earlier])) == len(np.unique(y))):
        return np.asarray(earlier)
    return np.asarray(folds != fold)
