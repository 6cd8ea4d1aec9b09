"""What a metric can hide: how many answers change, how many right ones are lost, and whether probabilities still come
true."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from scipy.special import betaincinv, ndtri, stdtrit

from aias.compress.gate.evidence import RISK, of_rows
from aias.compress.gate.groups import group_sums, mean_group_size
from aias.core.arrays import Ints

BINS: Final = 15


@dataclass(frozen=True, slots=True)
class Share:
    """Of rows; with 95 % confidence at most `high` (Clopper and Pearson 1934), and never 0, however few they were. Rows
    in groups stand for as many as would be known as well without (Korn and Graubard 1998)."""

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


def share(found: Any, groups: Ints | None = None) -> Share:
    """Of the rows so many were `found`, (rows,) flags. `groups`: the number of each row's group, (rows,)."""
    rows, of = int(np.count_nonzero(found)), len(found)
    if rows == of:
        return Share(rows, of, 1.0)
    known = of / _design_effect(np.asarray(found, np.float64), groups)
    return Share(rows, of, float(betaincinv(known * rows / of + 1, known * (1 - rows / of), 1 - RISK)))


def flips(y: Any, before: Any, after: Any, groups: Ints | None = None) -> Flips:
    """Of labels, (rows,) each. Raises `ValueError` where they are not of the same rows."""
    y, before, after = map(np.asarray, (y, before, after))
    if not y.shape == before.shape == after.shape:
        raise ValueError(f"both models answer the same rows: {y.shape}, {before.shape} and {after.shape} were given")
    other = before != after
    return Flips(share(other, groups), share(other & (before == y), groups))


def _design_effect(found: Any, groups: Ints | None) -> float:
    """How many times as large the variance of a share is as without groups; where nothing was found nobody knows, and
    rows of a group may all go together."""
    if groups is None:
        return 1.0
    p, rows, sums = found.mean(), len(found), group_sums(found - found.mean(), groups)
    if not p or len(sums) < 2:
        return mean_group_size(groups)
    alone, freedom = rows * p * (1 - p), len(sums) - 1
    few = (stdtrit(freedom, RISK) / ndtri(RISK)) ** 2
    return max(1.0, float(few * (sums**2).sum() * len(sums) / freedom / alone))


def calibration_gap(said: Any, came: Any) -> float:
    """Between what was said and what came, the mean over 15 bins of equally many rows (Nguyen and O'Connor 2015)."""
    said, came = of_rows(said, came)
    if not len(said):
        return float("nan")
    off = (said - came)[np.argsort(said, kind="stable")]
    return float(sum(abs(part.sum()) for part in np.array_split(off, min(BINS, len(off)))) / len(off))
