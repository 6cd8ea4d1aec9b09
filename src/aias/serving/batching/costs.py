"""What a run will take: t = a·n + b seconds for n rows, measured at load and learned from every run since.

Recursive least squares with forgetting (Ljung 1999, §11.2), in the form of sums: what was measured at load stays in
them for ever with the weight of two runs, so that runs of one size alone cannot make the split between a and b drift.
Errors are relative, so large runs do not outweigh small ones.
"""

from collections.abc import Sequence
from typing import Final

_FORGET: Final = 0.98
"""Half of what is known of a run is forgotten 34 runs later."""

_LONGEST: Final = 4.0
"""Times what was expected. A run that takes longer counts for so much, or it would teach what was only a stall."""

_SPREAD_STEP: Final = 0.05
_WASTE_SHARE: Final = 0.1
_PRIOR_ROWS: Final = (1.0, 8.0)


Sums = Sequence[float]


class Cost:
    """`seconds(n)` is what a run of `n` rows takes; `learn` tells what one took."""

    __slots__ = ("_at_load", "_prior", "_sums", "per_row", "per_run", "spread")

    def __init__(self, per_row: float, per_run: float) -> None:
        assert per_row > 0
        assert per_run >= 0
        self.per_row, self.per_run = per_row, per_run
        self.spread = 0.0
        """By what share of the expected time runs are off, at the mean."""
        self._at_load = (per_row, per_run)
        self._sums: Sums = (0.0,) * 5
        self._prior: Sums = (0.0,) * 5
        for rows in _PRIOR_ROWS:
            self._prior = _plus(self._prior, self._terms(rows, per_row * rows + per_run))

    def seconds(self, rows: float) -> float:
        return self.per_row * rows + self.per_run

    def safely(self, rows: float) -> float:
        """As long as it takes when it takes long."""
        return self.seconds(rows) * (1 + self.spread)

    def rows_within(self, seconds: float) -> float:
        """How many rows a run of so many seconds can answer; 0 where it takes longer for a single one."""
        return max(0.0, (seconds - self.per_run) / self.per_row)

    def worthwhile_rows(self) -> float:
        """The rows of a run from which on a larger one saves less than `_WASTE_SHARE` of the time."""
        return max(1.0, self.per_run / (_WASTE_SHARE * self.per_row))

    def learn(self, rows: float, seconds: float) -> None:
        expected = self.seconds(rows)
        off = abs(seconds / expected - 1)
        self.spread += _SPREAD_STEP * (min(off, 1.0) - self.spread)
        self._sums = _plus(
            [_FORGET * each for each in self._sums], self._terms(rows, min(seconds, _LONGEST * expected))
        )
        rr, ss, rs, rt, st = _plus(self._sums, self._prior)
        area = rr * ss - rs * rs
        per_row, per_run = (ss * rt - rs * st) / area, (rr * st - rs * rt) / area
        # Neither can be negative; then the other one alone has to explain the times.
        if per_run < 0:
            per_row, per_run = rt / rr, 0.0
        if per_row < (least := 1e-3 * self._at_load[0]):
            per_row, per_run = least, max(0.0, (st - rs * least) / ss)
        self.per_row, self.per_run = per_row, per_run

    def _terms(self, rows: float, seconds: float) -> Sums:
        """Of the normal equations: rows², 1, rows, rows·t and t, each relative to what was expected at load."""
        scale = (self._at_load[0] * rows + self._at_load[1]) ** -2
        return scale * rows * rows, scale, scale * rows, scale * rows * seconds, scale * seconds


def _plus(some: Sums, more: Sums) -> Sums:
    return [a + b for a, b in zip(some, more, strict=True)]
