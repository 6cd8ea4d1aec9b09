"""A loss by any metric at all: the paired bootstrap, bias-corrected and accelerated (Efron 1987, JASA 82, 171-185).

Both models are measured on the same resamples, so what makes rows hard for both cancels out. For metrics that are no
means of rows (F1, correlation, precision at thresholds); the others have their own files here, which need no chance.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from scipy.special import ndtr, ndtri

from aias.compress.gate.evidence import Evidence, Floats, Unknown

RESAMPLES: Final = 2_000
"""A limit then varies by a thirtieth of the interval."""

GROUPS_MAX: Final = 100
"""Of rows, left out one after another, to see how much the error changes with the loss."""

NUMBERS_MAX: Final = 1_000_000
"""Weights held at once: 8 MB."""

Metric = Callable[[Floats], Floats]
"""From weights of the rows (weightings, rows) to what the metric is under each, (weightings,): lower is better."""


@dataclass(frozen=True, slots=True, eq=False)
class Resampled:
    """`losses`: of the resamples, rising; `bias` and `acceleration`: z₀ and a of the source."""

    value: float
    losses: Floats = field(repr=False)
    bias: float
    acceleration: float
    rows: int

    @property
    def spread(self) -> float:
        return float(self.losses.std() * np.sqrt(self.rows))

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


def resampled_loss(before: Metric, after: Metric, rows: int, *, seed: int) -> Evidence:
    """Of `after` against `before`, over the same resamples of the rows."""
    value = float((after(np.ones((1, rows))) - before(np.ones((1, rows))))[0])
    found = [np.concatenate(each) for each in zip(*_both(before, after, rows, seed), strict=True)]
    losses = np.sort(_doubted(found[0], found[1], rows, seed))
    if len(losses) < RESAMPLES // 2 or not np.isfinite(value) or losses[0] == losses[-1]:
        return Unknown(rows)
    below = np.searchsorted(losses, value, "left") + np.searchsorted(losses, value, "right")
    share = (below + 1) / (2 * len(losses) + 2)
    return Resampled(value, losses, float(ndtri(share)), _acceleration(before, after, rows, seed), rows)


def _both(before: Metric, after: Metric, rows: int, seed: int) -> Iterator[tuple[Floats, Floats]]:
    for times in _resamples(rows, seed):
        yield before(times), after(times)


def _doubted(before: Floats, after: Floats, rows: int, seed: int) -> Floats:
    """The losses of the resamples that give the metric, with one row of doubt (`studentised.moments`)."""
    known = np.isfinite(before) & np.isfinite(after)
    losses, own = (after - before)[known], before[known]
    if not len(losses):
        return losses
    return np.asarray(losses + np.random.default_rng(seed + 1).normal(size=len(losses)) * own.std() / np.sqrt(rows))


def _resamples(rows: int, seed: int) -> Iterator[Floats]:
    """How often each row was drawn, (resamples, rows)."""
    rng = np.random.default_rng(seed)
    together = max(1, NUMBERS_MAX // rows)
    for begin in range(0, RESAMPLES, together):
        size = min(together, RESAMPLES - begin)
        places = rng.integers(0, rows, (size, rows)) + rows * np.arange(size)[:, None]
        yield np.bincount(places.ravel(), minlength=size * rows).reshape(size, rows).astype(np.float64)


def _acceleration(before: Metric, after: Metric, rows: int, seed: int) -> float:
    """By the jackknife over groups of rows."""
    group = np.random.default_rng(seed).permutation(rows) % min(GROUPS_MAX, rows)
    weights = (group[None, :] != np.arange(group.max() + 1)[:, None]).astype(np.float64)
    found: Any = after(weights) - before(weights)
    off = found[np.isfinite(found)].mean() - found[np.isfinite(found)] if np.isfinite(found).any() else np.zeros(1)
    squares = float((off**2).sum())
    return float((off**3).sum()) / (6 * squares**1.5) if squares > 0 else 0.0
