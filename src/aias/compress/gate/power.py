"""What loss so many rows can tell from none, before anything is compared: where they cannot, no proof is to be had."""

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from scipy.special import ndtr, ndtri

from aias.compress.gate.evidence import RISK, Evidence, Floats, Ints, digits

WANTED: Final = 0.8
"""The chance with which a candidate that loses nothing should be certified."""

DIFFERING: Final = 0.05
"""Rows answered otherwise by a good candidate, where none has been looked at yet."""


@dataclass(frozen=True, slots=True)
class Power:
    """`spread`: the standard deviation of paired differences, from a pilot (`Evidence.spread`) or `guessed`."""

    metric: str
    margin: float
    spread: float
    rows: int
    risk: float = RISK

    def __post_init__(self) -> None:
        assert self.margin > 0 and self.spread > 0 and self.rows > 0, "there is something to resolve"

    @property
    def resolved(self) -> float:
        """The least margin within which a candidate that loses nothing is certified with the chance wanted."""
        return float((ndtri(1 - self.risk) + ndtri(WANTED)) * self.spread / math.sqrt(self.rows))

    @property
    def chance(self) -> float:
        """That a candidate that loses nothing is certified within the margin."""
        return float(ndtr(self.margin * math.sqrt(self.rows) / self.spread - ndtri(1 - self.risk)))

    @property
    def rows_needed(self) -> int:
        return math.ceil(self.rows * (self.resolved / self.margin) ** 2)

    @property
    def enough(self) -> bool:
        return self.resolved <= self.margin

    def seen(self, found: Evidence) -> "Power":
        """The same of who differs from the first model as was seen; or leaves so much in doubt, where that is more."""
        beyond = found.limit(1 - self.risk) - found.value
        in_doubt = beyond * math.sqrt(found.rows) / (ndtri(1 - self.risk) + ndtri(WANTED))
        spread = max(found.spread, in_doubt)
        return replace(self, spread=spread) if 0 < spread < math.inf else self

    def __str__(self) -> str:
        told = f"a loss of {digits(self.resolved)} in {self.metric}"
        said = f"{self.rows:,} rows can tell {told} from none; the margin is {digits(self.margin)}"
        if self.enough:
            return said
        return (
            f"{said}: a candidate that loses nothing would be certified with a chance of {100 * self.chance:.0f} %, "
            f"{self.rows_needed:,} rows would be enough"
        )


def together(far: Floats, groups: Ints | None) -> float:
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
    hang together as far as the errors of the one model do."""
    if right is None:
        return math.sqrt(2 * DIFFERING) * spread
    alone = math.sqrt(right * (1 - right))
    return math.sqrt(DIFFERING) * (max(1.0, spread / alone) if groups is not None and alone else 1.0)
