"""What loss so many rows can tell from none, before anything is compared: where they cannot, no proof is to be had."""

import math
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy.special import ndtr, ndtri

from aias.compress.gate.evidence import SPENT, Evidence, digits, halved
from aias.core.arrays import Floats, Ints

WANTED: Final = 0.8
"""The chance with which a candidate that loses nothing should be certified."""

ROWS_MAX: Final = 1_000_000_000
"""That are told to be enough: nobody has more, and nearly at the margin there is no end to them."""

LOG_ROWS_MAX: Final = 40.0
"""That are reckoned with."""

DIFFERING: Final = 0.05
"""Rows answered otherwise by a good candidate, where none has been looked at yet."""


@dataclass(frozen=True, slots=True)
class Power:
    """`spread`: the standard deviation of paired differences, from a pilot (`Evidence.spread`) or `guessed`, and
    `doubt`: how far a row not seen may lie off (`in_doubt`). The first falls with the root of the rows, the other with
    the rows.
    """

    metric: str
    margin: float
    spread: float
    rows: int
    doubt: float = 0.0

    def __post_init__(self) -> None:
        assert self.margin > 0 and self.spread > 0 and self.rows > 0, "there is something to resolve"

    @property
    def resolved(self) -> float:
        """The least margin within which a candidate that loses nothing is certified with the chance wanted."""
        return self._limit + float(ndtri(WANTED)) * self.spread / math.sqrt(self.rows)

    @property
    def chance(self) -> float:
        """That a candidate that loses nothing is certified within the margin."""
        return float(ndtr((self.margin - self._limit) * math.sqrt(self.rows) / self.spread))

    @property
    def _limit(self) -> float:
        """Of a loss of which nothing was seen."""
        return float(ndtri(1 - SPENT)) * math.hypot(self.spread / math.sqrt(self.rows), self.doubt / self.rows)

    @property
    def rows_needed(self) -> int:
        def within(power: Any) -> Any:
            return self.margin - replace(self, rows=math.ceil(math.exp(power))).resolved

        return math.ceil(math.exp(halved(within, 0.0, 0.0, LOG_ROWS_MAX)))

    @property
    def enough(self) -> bool:
        return self.resolved <= self.margin

    def seen(self, found: Evidence) -> "Power":
        """The same of who differs from the first model as was seen, and leaves as much in doubt."""
        known = 0 < found.spread < math.inf
        return replace(self, spread=found.spread, doubt=in_doubt(found, found.spread)) if known else self

    def __str__(self) -> str:
        known = math.isfinite(self.resolved)
        told = f"can tell a loss of {digits(self.resolved)}" if known else "cannot tell any loss"
        said = f"{self.rows:,} rows {told} in {self.metric} from none; the margin is {digits(self.margin)}"
        if self.enough or not known:
            return said
        said += f": a candidate that loses nothing would be certified with a chance of {100 * self.chance:.0f} %, "
        wanted = self.rows_needed
        return said + (f"{wanted:,} rows would be enough" if wanted <= ROWS_MAX else "a billion would not be enough")


def in_doubt(found: Evidence, spread: float = 0.0) -> float:
    """How far one row not seen may lie off, by a limit that knows of it beside the `spread`: 0 of equal answers."""
    beyond = (found.limit(1 - SPENT) - found.value) / float(ndtri(1 - SPENT))
    return math.sqrt(max(0.0, (beyond * found.rows) ** 2 - spread**2 * found.rows))


def design_factor(far: Floats, groups: Ints | None) -> float:
    """How many times as large a spread is where rows are in `groups`: those answered anew hang together as far as the
    few do that are `far` from what is sure, (rows,)."""
    if groups is None:
        return 1.0
    off = (far >= np.quantile(far, 1 - DIFFERING)) * 1.0
    off -= off.mean()
    sums = np.bincount(np.unique(groups, return_inverse=True)[1], off)
    return max(1.0, math.sqrt(float((sums**2).sum() / ((off**2).sum() or 1.0))))


def guessed(spread: float, *, right: float | None = None, groups: Ints | None = None) -> float:
    """Of the differences, from that of one model's own losses of rows: a share of the rows are answered anew. Of
    accuracy (`right`: of which share of the rows) a row differs by 1; where rows are in `groups`, those answered anew
    hang together as far as the errors of the one model do. Of one that was never wrong nothing tells how far a row is
    off: then as of accuracy."""
    if right is None and spread:
        return math.sqrt(2 * DIFFERING) * spread
    alone = math.sqrt(right * (1 - right)) if right is not None else 0.0
    return math.sqrt(DIFFERING) * (max(1.0, spread / alone) if groups is not None and alone else 1.0)
