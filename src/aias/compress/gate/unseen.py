"""What rows that were not seen may do to a mean loss: a score interval under exponential tilting (Efron 1981).

A candidate that is far off on few rows has, where few or none of these were seen, both a small loss and a small
standard error, and every interval made of what was seen is too short. So one row is added that is worse than any seen,

    h = worst + max(m l, q 2 s / (max(k, 1) + ½)), but at least 2 s

s      the spread of the first model's own losses: by that a row may be lost though all seen are answered alike
worst  the largest loss of a row that was seen; l the largest difference, either way
k      how many rows as bad as l were lost, Σd / l over those that are worse: few say little of the next
q      3, and 7 where anything differs: of rows that gain, and none that loses, some more are known to be answered anew
e      how many rows the standard error is made of, (Σd²)² / Σd⁴ (Kish 1965), and m = min((6 / e)², 8): where they
       are few, neither the error nor the tail of the losses has been seen

and the rows are weighted by exp(t d), so that their mean is the loss that is asked about. Its standard error is that of
the weighted rows. Of accuracy this is the score interval: 0 of n rows lost leave a limit of 2.7 / n.

In an order (AUC) s is the largest spread that places of that mean can have. A row can lose no more than its place
before all of the other class, the area A over the rows of its class; where many rows make the error not nearly so much,

    h <= worst + (A - worst) min((6 / e)², 1)
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import ndtr, ndtri

from aias.compress.gate.evidence import HALVINGS
from aias.core.arrays import Floats

FAR: Final = 2.0
"""Spreads of the first model's own losses, by which a row not seen may be lost: what is farther off can be missed."""

FEW: Final = 3.0
"""Rows; so many that are worse make the one that was not seen twice as bad as the worst."""

FEW_DIFFER: Final = 7.0
"""The same where some rows are known to be answered anew, though none of those seen is worse."""

ENOUGH: Final = 6.0
"""Rows that make the standard error; of so many the one that was not seen is twice as bad as the worst."""

TIMES_MAX: Final = 8.0
"""As far as the largest difference, beyond the worst."""

TILT_MAX: Final = 60.0
"""Of rows of which the farthest is 1 off: then it is all there is."""


@dataclass(frozen=True, slots=True, eq=False)
class Unseen:
    """`losses`: the different losses of rows and the one not seen, in units of `unit`; `counts`: how many have each."""

    value: float
    unit: float
    losses: Floats
    counts: Floats
    rows: int

    def confidence(self, loss: float) -> float:
        """That the loss is at most so much, which is more than was seen."""
        wanted = loss / self.unit
        if not self._at(TILT_MAX)[0] > wanted:
            return 1.0
        return float(ndtr(self._score(self._halved(lambda tilt: self._at(tilt)[0] < wanted), wanted)))

    def limit(self, confidence: float) -> float:
        """The loss is at most this with so much confidence, of at least a half."""
        score = ndtri(confidence)
        tilt = self._halved(lambda each: self._score(each) < score)
        return self._at(tilt)[0] * self.unit

    def _score(self, tilt: float, loss: float | None = None) -> float:
        mean, variance = self._at(tilt)
        above = (mean if loss is None else loss) - self.value / self.unit
        return float(above * np.sqrt(self.rows / variance)) if variance > 0 else float(np.copysign(np.inf, above))

    def _at(self, tilt: float) -> tuple[float, float]:
        """The mean and the variance of the weighted rows."""
        weights = self.counts * np.exp(tilt * self.losses - abs(tilt))
        weights /= weights.sum()
        mean = float(weights @ self.losses)
        return mean, float(weights @ (self.losses - mean) ** 2)

    @staticmethod
    def _halved(short: Any) -> float:
        low, high = -TILT_MAX, TILT_MAX
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if short(middle) else (low, middle)
        return (low + high) / 2


def unseen(losses: Floats, spread: float, most: float = np.inf) -> Unseen:
    """`losses`: of each row, (rows,); `spread`: of the first model's own; `most`: what one row can lose."""
    far, largest, worst = FAR * spread, float(np.abs(losses).max()), float(losses.max(initial=0.0))
    many = float(losses[losses > 0].sum()) / (largest or 1.0)
    doubt, few = FEW_DIFFER if largest else FEW, _few(losses)
    more = max(min(few, TIMES_MAX) * largest, doubt * far / (max(many, 1) + 0.5))
    at_most = worst + max(0.0, most - worst) * min(few, 1.0) if np.isfinite(most) else most
    return _beside(losses, min(max(far, worst + more), at_most))


def _few(losses: Floats) -> float:
    """(6 / e)²."""
    squares = (losses / (float(np.abs(losses).max()) or 1.0)) ** 2
    made_of = float(squares.sum() ** 2 / ((squares**2).sum() or 1.0))
    return float((ENOUGH / max(made_of, 1.0)) ** 2)


def _beside(losses: Floats, worst: float) -> Unseen:
    unit = max(worst, float(np.abs(losses).max())) or 1.0
    found, counts = np.unique(losses, return_counts=True)
    return Unseen(
        float(losses.mean()), unit, np.append(found, worst) / unit, np.append(counts, 1).astype(np.float64), len(losses)
    )
