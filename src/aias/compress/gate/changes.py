"""What a metric can hide: how many answers change, how many right ones are lost, and whether probabilities still come
true."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import betaincinv

from aias.compress.gate.evidence import RISK

BINS: Final = 15


@dataclass(frozen=True, slots=True)
class Share:
    """Of rows; with 95 % confidence at most `high` (Clopper and Pearson 1934), and never 0, however few they were."""

    rows: int
    of: int
    high: float

    @property
    def value(self) -> float:
        return self.rows / self.of


@dataclass(frozen=True, slots=True)
class Flips:
    """`all`: rows that get another label; `lost`: those among them that were right before and are not now."""

    all: Share
    lost: Share


def share(rows: int, of: int) -> Share:
    return Share(rows, of, 1.0 if rows == of else float(betaincinv(rows + 1, of - rows, 1 - RISK)))


def flips(y: Any, before: Any, after: Any) -> Flips:
    """Of labels, (rows,) each."""
    y, before, after = map(np.asarray, (y, before, after))
    other = before != after
    return Flips(share(int(other.sum()), len(y)), share(int((other & (before == y)).sum()), len(y)))


def calibration_gap(said: Any, came: Any) -> float:
    """Between what was said and what came, the mean over 15 bins of equally many rows (Nguyen and O'Connor 2015)."""
    off = (np.asarray(said) - np.asarray(came))[np.argsort(said, kind="stable")]
    return float(sum(abs(part.sum()) for part in np.array_split(off, min(BINS, len(off)))) / len(off))
