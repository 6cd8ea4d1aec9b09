"""Amounts of which a few lie far off: with the setting `clip_target` they are learned as if they lay at the fences.

    fences     the lower quartile - 3 spreads, the upper one + 3 spreads; a spread is what lies between them
               (Tukey 1977, Exploratory Data Analysis: beyond, values are "far out")

Whoever is fitted so is judged by the amounts as they are.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.task import Task

SPREADS: Final = 3.0

JUDGED_BY: Final = frozenset({"rmse", "r2", "mae", "median_absolute_error"})

SHARE_MAX: Final = 0.05
"""Of more, what lies beyond is no exception."""

VARIANCE_MIN: Final = 0.9
"""Of the variance, what the few must come to: errors by a factor of a hundred are all of it; with less, as a rule, they
can be foretold (.57 and .43 in two real tables)."""


@dataclass(frozen=True, slots=True)
class Fences:
    low: float
    high: float

    @classmethod
    def of(cls, y: Floats) -> "Fences":
        """Of all amounts that are learned from, (rows,)."""
        lower, upper = np.quantile(y, [0.25, 0.75])
        return cls(float(lower - SPREADS * (upper - lower)), float(upper + SPREADS * (upper - lower)))

    def clip(self, y: Any) -> Floats:
        return np.asarray(np.clip(y, self.low, self.high))


def has_outliers(task: Task, y: Any) -> bool:
    """Whether a few amounts are nearly all of the variance."""
    if task.type != "regression" or task.metric not in JUDGED_BY or not len(y):
        return False
    fences = Fences.of(y)
    inside = fences.clip(y)
    few = 0 < np.mean(inside != y) <= SHARE_MAX
    return bool(few and 0 < inside.var() <= (1 - VARIANCE_MIN) * y.var())
