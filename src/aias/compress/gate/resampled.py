"""A loss by any metric at all: the paired bootstrap, bias-corrected and accelerated (Efron 1987, JASA 82, 171-185).

Both models are measured on the same resamples, so what makes rows hard for both cancels out. For metrics that are no
means of rows (F1, correlation, precision at thresholds); the others have their own files here, which need no chance.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from scipy.special import ndtr, ndtri

from aias.compress.gate.evidence import Evidence, Unknown, lost
from aias.compress.gate.groups import random_effects_inflation
from aias.core.arrays import Floats, Ints

RESAMPLES: Final = 2_000
"""A limit then varies by a thirtieth of the interval."""

PARTS_MAX: Final = 100
"""Of rows, left out one after another, to see how much the error changes with the loss."""

GROUPS_MAX: Final = 500
"""Whose halves are left out one after another: half as much work as the resamples."""

NUMBERS_MAX: Final = 1_000_000
"""Weights held at once: 8 MB."""

Metric = Callable[[Floats], Floats]
"""From weights of the rows (weightings, rows) to what the metric is under each, (weightings,): lower is better."""


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """`losses`: of the resamples, rising; `bias` and `acceleration`: z₀ and a of the source; `error`: the standard
    error by what was seen alone."""

    value: float
    error: float
    losses: Floats = field(repr=False)
    bias: float
    acceleration: float
    rows: int

    @property
    def spread(self) -> float:
        return self.error * float(np.sqrt(self.rows))

    def confidence(self, loss: float) -> float:
        """Never 0 or 1: there were only so many resamples."""
        below = np.searchsorted(self.losses, loss, "left") + np.searchsorted(self.losses, loss, "right")
        share = (below + 1) / (2 * len(self.losses) + 2)
        w = ndtri(share) - self.bias
        return float(ndtr(w / (1 + self.acceleration * w) - self.bias))

    def limit(self, confidence: float) -> float:
        w = self.bias + ndtri(confidence)
        share = ndtr(self.bias + w / (1 - self.acceleration * w))
        return float(np.quantile(self.losses, share))


def resampled_loss(
    before: Metric, after: Metric, rows: int, *, seed: int, groups: Ints | None = None, doubt: float = 0.0
) -> Evidence:
    """Of `after` against `before`, over the same resamples of the rows or, where these have them, of whole `groups`.

    `doubt`: by how much one row not seen may move the loss, at least.
    """
    drawn = _Drawn(rows, seed, None if groups is None else np.unique(groups, return_inverse=True)[1])
    value = lost(*(float(each(np.ones((1, rows)))[0]) for each in (before, after)))
    found = [np.concatenate(each) for each in zip(*_both(before, after, drawn), strict=True)]
    farther = max(drawn.leverage_correction, _unlike(before, after, drawn, value))
    error, losses = _doubted(found[0], found[1], drawn, doubt, value=value, farther=farther)
    if len(losses) < RESAMPLES // 2 or not np.isfinite(value) or losses[0] == losses[-1]:
        return Unknown(rows)
    below = np.searchsorted(losses, value, "left") + np.searchsorted(losses, value, "right")
    share = (below + 1) / (2 * len(losses) + 2)
    return Resampled(value, error, losses, float(ndtri(share)), _acceleration(before, after, drawn), rows)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """`groups`: the number of each row's, from 0."""

    rows: int
    seed: int
    groups: Ints | None

    @property
    def units(self) -> int:
        return self.rows if self.groups is None else int(self.groups.max()) + 1

    @property
    def leverage_correction(self) -> float:
        """How much farther a mean is off than its resamples, where groups hold shares h of the rows: they pull it to
        themselves, and of its variance Σh² is seen Σh² (1 - 2h + Σh²) (Bell and McCaffrey 2002)."""
        if self.groups is None:
            return 1.0
        shares = np.bincount(self.groups) / self.rows
        squares = shares**2
        seen = float((squares * (1 - 2 * shares + squares.sum())).sum())
        equal = 1 - 1 / len(shares)  # of groups of one size nothing is to be undone
        return float(np.sqrt(equal * squares.sum() / seen)) if seen > 0 else 1.0

    def of_rows(self, units: Floats) -> Floats:
        """(weightings, units) → (weightings, rows)"""
        return units if self.groups is None else units[:, self.groups]


def _both(before: Metric, after: Metric, drawn: _Drawn) -> Iterator[tuple[Floats, Floats]]:
    for times in _resamples(drawn):
        yield before(times), after(times)


def _doubted(
    before: Floats, after: Floats, drawn: _Drawn, doubt: float, *, value: float, farther: float
) -> tuple[float, Floats]:
    """The losses of the resamples that give the metric, rising, with one row of doubt (`studentised.moments`); and
    their standard error, which knows no other `doubt`. What was seen may be `farther` off, so many times; how far what
    was not seen may be, no resample says."""
    known = np.isfinite(before) & np.isfinite(after)
    losses, own = (after - before)[known], before[known]
    if not len(losses):
        return 0.0, losses
    one_row = float(own.std() / np.sqrt(drawn.units))
    noise = np.random.default_rng(drawn.seed + 1).normal(size=len(losses))
    seen = value + farther * (losses - value)
    return float(np.hypot(losses.std(), one_row)), np.sort(seen + noise * max(one_row, doubt))


def _resamples(drawn: _Drawn) -> Iterator[Floats]:
    """How often each row was drawn, (resamples, rows)."""
    rng, units = np.random.default_rng(drawn.seed), drawn.units
    chunk = max(1, NUMBERS_MAX // drawn.rows)
    for begin in range(0, RESAMPLES, chunk):
        size = min(chunk, RESAMPLES - begin)
        places = rng.integers(0, units, (size, units)) + units * np.arange(size)[:, None]
        times = np.bincount(places.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)
        yield drawn.of_rows(times)


def _unlike(before: Metric, after: Metric, drawn: _Drawn, value: float) -> float:
    """The same where groups of other sizes tell how far large ones may be off (`groups.random_effects_inflation`): by
    what halves of groups, left out one after another, do to the loss."""
    if drawn.groups is None or drawn.units > GROUPS_MAX:
        return 1.0
    known, halves, sizes = np.unique(_halves(drawn.groups, drawn.seed), return_inverse=True, return_counts=True)
    losses, chunk = np.empty(len(known)), max(1, NUMBERS_MAX // drawn.rows)
    for begin in range(0, len(known), chunk):
        places = np.arange(begin, min(begin + chunk, len(known)))
        weights = (halves[None, :] != places[:, None]).astype(np.float64)
        losses[places] = after(weights) - before(weights)
    if not np.isfinite(losses).all():
        return 1.0
    own = (value - losses) * (drawn.rows - sizes) / sizes  # as of a mean of which they are parts
    parts = np.bincount(known // 2, sizes * own) / drawn.rows
    return random_effects_inflation(own, parts - parts.mean(), known // 2, sizes)


def _halves(groups: Ints, seed: int) -> Ints:
    """Of each row, (rows,): 2 g or 2 g + 1 in the group g."""
    order = np.random.default_rng(seed).permutation(len(groups))
    order = order[np.argsort(groups[order], kind="stable")]
    found, held = np.empty_like(groups), groups[order]
    found[order] = 2 * held + (np.arange(len(groups)) - np.searchsorted(held, held)) % 2
    return found


def _acceleration(before: Metric, after: Metric, drawn: _Drawn) -> float:
    """By the jackknife over parts of the rows."""
    part = np.random.default_rng(drawn.seed).permutation(drawn.units) % min(PARTS_MAX, drawn.units)
    weights = drawn.of_rows((part[None, :] != np.arange(part.max() + 1)[:, None]).astype(np.float64))
    found: Any = after(weights) - before(weights)
    off = found[np.isfinite(found)].mean() - found[np.isfinite(found)] if np.isfinite(found).any() else np.zeros(1)
    squares = float((off**2).sum())
    return float((off**3).sum()) / (6 * squares**1.5) if squares > 0 else 0.0
