"""Means of losses by how far off they are in standard errors of their own resample (the bootstrap-t; Efron and
Tibshirani 1993, ch. 12): where a few rows lose nearly all, a sample without the worst of them has a mean that is too
small and a standard error that is, too, which percentiles of means do not know.
"""

from dataclasses import dataclass
from typing import Final, Self

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.training.scoring.formulas import ROW_LOSSES, ROW_SQUARES, Case

TAILED: Final = frozenset({"rmse", "mae", "mape", "rmsle", "quantile_loss"})
"""Of amounts: these have no bound."""

UNITS_MIN: Final = 10
"""Rows, or groups of them. Of fewer many a resample is of hardly more than one, whose standard error says nothing."""

NOTHING: Final = 1e-12
"""Of the sum of squares: what is left of it by rounding where all are equal."""


@dataclass(frozen=True, slots=True, eq=False)
class Studentised:
    """`sums`, `counts`: of the losses and the rows of each unit, a row or a group; `first`: a row of each."""

    sums: Floats  # (units,)
    counts: Floats  # (units,)
    first: Ints  # (units,)
    root: bool

    @classmethod
    def of(cls, case: Case, groups: Ints | None) -> "Self | None":
        """None for metrics that are no such means, and where there is nothing to divide by."""
        name = case.metric.partition(":")[0]
        if name not in TAILED:
            return None
        losses = {**ROW_LOSSES, **ROW_SQUARES}[name](case)
        numbers = np.arange(len(losses)) if groups is None else groups
        _, first, places = np.unique(numbers, return_index=True, return_inverse=True)
        sums, counts = (np.bincount(places, each).astype(np.float64) for each in (losses, np.ones(len(losses))))
        made = cls(sums, counts, first, name in ROW_SQUARES)
        _, error = made._about(np.ones((1, len(first))))
        return made if len(first) >= UNITS_MIN and np.isfinite(error[0]) else None

    def __call__(self, weights: Floats) -> Floats:
        """From weights (weightings, rows) to how many of its standard errors each mean is above that of all; NaN where
        it has none."""
        (mean,), _ = self._about(np.ones((1, len(self.first))))
        means, errors = self._about(weights[:, self.first])
        return np.asarray((means - mean) / errors)

    def ends(self, low: float, high: float) -> tuple[float, float]:
        """Of the metric, where resamples were from `low` to `high` standard errors off."""
        (mean,), (error,) = self._about(np.ones((1, len(self.first))))
        least, most = max(mean - high * error, 0.0), max(mean - low * error, 0.0)
        return (float(np.sqrt(least)), float(np.sqrt(most))) if self.root else (float(least), float(most))

    def _about(self, times: Floats) -> tuple[Floats, Floats]:
        """The means, and their standard errors: of a ratio of sums over units (Cochran 1977, 6.4)."""
        rows = times @ self.counts
        means, squares = times @ self.sums / rows, times @ self.sums**2
        spread = squares - 2 * means * (times @ (self.sums * self.counts)) + means**2 * (times @ self.counts**2)
        spread = np.where(spread > NOTHING * squares, spread, np.nan)
        return np.asarray(means), np.asarray(np.sqrt(spread) / rows)
