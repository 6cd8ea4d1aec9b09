"""95 % intervals of many metrics at once, by the percentile bootstrap over rows (Efron and Tibshirani 1993, ch. 13), or
over whole groups of them where rows of one group belong together (Davison and Hinkley 1997, 3.8); of few further out.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.expanded_percentiles import expanded_tail
from aias.training.scoring.formulas import Values

RESAMPLES: Final = 400
"""The interval's ends then vary by about a tenth of its width."""

RESAMPLED_ROWS_MAX: Final = 20_000
"""Above this the interval is computed on a sample and narrowed by the square root of the ratio."""

NUMBERS_MAX: Final = 200_000
"""Weights held at once: what fits in the caches is three times as fast."""

RISK: Final = 0.025
"""On either side of an interval."""

Z: Final = 1.959964
"""Standard deviations to each side that hold 95 % of a normal distribution."""

Interval = tuple[float, float]


def intervals(
    metrics: Sequence[Values], *, rows: int, units: Sequence[float], seed: int, groups: Ints | None = None
) -> list[Interval | None]:
    """Of each metric over the same resamples; None where most of these cannot give it, or all rows are of one group.
    `units`: of how many each is; `groups`: the number of each row's, (rows,)."""
    groups = None if groups is None else np.unique(groups, return_inverse=True)[1]
    if groups is not None and not groups.any():
        return [None] * len(metrics)
    found = [np.concatenate(parts) for parts in zip(*_resampled(metrics, rows, seed, groups), strict=True)]
    return [_interval(values, expanded_tail(each, RISK)) for values, each in zip(found, units, strict=True)]


def wilson(share: Any, rows: Any) -> tuple[Any, Any]:
    """From and to, of shares of so many rows (Wilson 1927)."""
    spread = Z * Z / rows
    middle = (share + spread / 2) / (1 + spread)
    half = Z * np.sqrt(share * (1 - share) / rows + spread / (4 * rows)) / (1 + spread)
    return middle - half, middle + half


def sampled(rows: int, seed: int) -> Any:
    """The rows to resample from."""
    if rows <= RESAMPLED_ROWS_MAX:
        return slice(None)
    return np.random.default_rng(seed).choice(rows, RESAMPLED_ROWS_MAX, replace=False)


def _resampled(metrics: Sequence[Values], rows: int, seed: int, groups: Ints | None) -> Iterator[list[Floats]]:
    rng, units = np.random.default_rng(seed), rows if groups is None else int(groups.max()) + 1
    together = max(1, NUMBERS_MAX // rows)
    for begin in range(0, RESAMPLES, together):
        size = min(together, RESAMPLES - begin)
        places = rng.integers(0, units, (size, units)) + units * np.arange(size)[:, None]
        times = np.bincount(places.ravel(), minlength=size * units).reshape(size, units).astype(np.float64)
        times = times if groups is None else times[:, groups]
        yield [values(times) for values in metrics]


def _interval(values: Floats, tail: float) -> Interval | None:
    known = values[np.isfinite(values)]
    if len(known) < RESAMPLES // 2:
        return None
    low, high = np.quantile(known, [tail, 1 - tail])
    return float(low), float(high)
