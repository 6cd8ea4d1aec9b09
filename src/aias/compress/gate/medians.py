"""A loss of a median: the paired sign test turned round (Thompson 1936).

That the second median is at most x above the first m says that no more than half of its losses lie beyond m + x, as of
the first beyond m. How many rows are beyond with the one model only, and with the other only, is a pair of proportions.
The bootstrap of a median, which jumps from row to row, passed up to one in five that are worse by the margin.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import ndtr

from aias.compress.gate.evidence import Evidence, Unknown, halved, lost, of_rows
from aias.compress.gate.proportions import Proportions
from aias.compress.gate.studentised import mean_loss
from aias.core.arrays import Floats, Ints

TINY: Final = 1e-12
"""Of a spread, where the rows of both models are all alike."""


@dataclass(frozen=True, slots=True, eq=False)
class Median:
    """`upper`: the rows in the upper half of the first model's losses; `median`: its own."""

    value: float
    upper: Any
    median: float
    after: Floats
    groups: Ints | None

    @property
    def rows(self) -> int:
        return len(self.after)

    @property
    def spread(self) -> float:
        one = (self.limit(float(ndtr(1.0))) - self.limit(float(ndtr(-1.0)))) / 2
        return max(one, TINY) * float(np.sqrt(self.rows))

    def confidence(self, loss: float) -> float:
        beyond = self.after >= self.median + loss
        if self.groups is not None:
            return mean_loss(self.upper * 1.0, beyond.astype(np.float64), self.groups).confidence(0.0)
        counts = int((beyond & ~self.upper).sum()), int((self.upper & ~beyond).sum())
        return Proportions(*counts, self.rows).confidence(0.0)

    def limit(self, confidence: float) -> float:
        """The last loss of a row is the end of what can be said."""
        low, high = -self.median, max(float(self.after.max()) - self.median, 0.0)
        return float(halved(lambda loss: self.confidence(float(loss)), confidence, low, high))


def median_loss(before: Any, after: Any, groups: Ints | None = None) -> Evidence:
    """Of the medians of losses of each row, (rows,), lower is better."""
    before, after = of_rows(before, after)
    if not (len(before) > 1 and np.isfinite(before).all() and np.isfinite(after).all()):
        return Unknown(len(before))
    if not (before.any() or after.any()):
        # Neither was ever off, so nothing tells how far a row can be.
        return Unknown(len(before))
    upper = np.zeros(len(before), np.bool_)
    upper[np.argsort(before, kind="stable")[(len(before) + 1) // 2 :]] = True
    median = float(np.median(before))
    return Median(lost(median, float(np.median(after))), upper, median, after, groups)
