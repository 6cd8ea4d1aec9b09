"""Screening: one fold of each learner says which of them are worth all their folds, in which order, and how many folds
there is time for."""

from collections.abc import Sequence
from enum import Enum
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.task import Task
from aias.training.selection.configuration import Configuration
from aias.training.selection.weights import greedy, worth

ROWS_A_SECOND: Final = 333
"""For each second of training: of more rows, one fold of every learner takes time that boosted trees need."""

WANTED_SHARE: Final = 0.5
"""Of the time left after the opening in which what it wants should be ended, on fewer folds if need be."""

FOLDS_USUAL: Final = 5
SPARE_SHARE: Final = 0.15
"""Of the time left, in which what is wanted could be ended on more folds than are usual: before, other configurations
add more."""

FOLDS_MIN: Final = 3
JUDGED_ROWS_MIN: Final = 1_000
"""Folds and rows that judge at least."""


class Stage(Enum):
    """What may be fitted: one fold of each; all folds of what was wanted then, and its like; everything."""

    OPENING = 0
    WANTED = 1
    ALL = 2


def begins(opening: Sequence[Configuration], *, rows: int, seconds: float) -> bool:
    """Whether training begins with one fold of each of these."""
    return len(opening) > 1 and rows <= ROWS_A_SECOND * seconds


def by_promise(task: Task, y: Any, scores: Sequence[Floats], costs: Floats | None = None) -> list[tuple[int, bool]]:
    """The places of `scores`, each (rows, outputs) of the same rows: first what is wanted in an ensemble of them all,
    by its weight; then the others, by how good they are alone; and whether each is wanted. `costs`: how much each class
    counted while fitting, (classes,), where they did not all alike."""
    if not scores:
        return []
    alone = np.array([worth(task, y, each, costs) for each in scores])
    alone = np.where(np.isfinite(alone), alone, -np.inf)
    weights = greedy(y, np.stack(scores), task=task, seed=0, samples=0, leaning=costs)
    return [(int(place), bool(weights[place])) for place in np.lexsort((-alone, -weights))]


def judging_folds(folds: int, rows: int, *, wanted: Sequence[float], seconds: float) -> int:
    """How many of the folds are to judge. `wanted`: what one fold took of each that is to be ended; `seconds`: what all
    processes have together."""
    if not wanted:
        return folds
    least = max(FOLDS_MIN, -(-JUDGED_ROWS_MIN * folds // rows))
    each = max(sum(wanted), 1e-9)
    usual = min(FOLDS_USUAL, 1 + int(WANTED_SHARE * seconds / each))
    return min(folds, max(least, usual, 1 + int(SPARE_SHARE * seconds / each)))
