"""Rows in groups: what a group adds to a mean, how far a large one pulls it, and how far it may be off unseen."""

from typing import Any, Final

import numpy as np

from aias.compress.gate.evidence import halved
from aias.core.arrays import Floats, Ints

TINY: Final = 1e-60
"""In place of a variance of 0, far below that of any estimate."""


def group_sums(parts: Floats, groups: Ints | None) -> Floats:
    """Of each group."""
    if groups is None:
        return parts
    return np.asarray(np.bincount(np.unique(groups, return_inverse=True)[1], parts), np.float64)


def leverage_correction(groups: Ints | None) -> Any:
    """A group that holds a share h of the rows pulls the mean to itself, and what it adds seems smaller by 1 - h: that
    is undone (Bell and McCaffrey 2002). Where all are equal it is 1: (groups,)."""
    if groups is None:
        return 1.0
    sizes = np.unique(groups, return_counts=True)[1]
    return (1 - 1 / len(sizes)) / np.maximum(1 - sizes / sizes.sum(), TINY)


def mean_group_size(groups: Ints | None) -> float:
    """Rows in the group of a row, in the mean."""
    if groups is None:
        return 1.0
    sizes = np.unique(groups, return_counts=True)[1]
    return float((sizes**2).sum() / sizes.sum())


def random_effects_inflation(values: Floats, parts: Floats, groups: Ints | None, sizes: Ints | None = None) -> float:
    """How much larger the standard error of a mean is than by what each group adds to it, its `parts`, where a large
    group may be as far off as a small one, though those that were seen are not.

    A group's mean has the variance τ² + σ² / rows, however large it is. With σ², that of rows within groups, squares so
    weighted come to groups - 1 (Paule and Mandel 1982). The mean of all, of which groups hold shares h, has τ² Σh² +
    σ² / rows: where groups are equal just what their parts say, so that this is 1.

    `values`: of rows or, with their `sizes`, means of some rows.
    """
    if groups is None or not parts.any():
        return 1.0
    unit = float(np.abs(values).max())  # whose squares are to be numbers
    values, parts, numbers = values / unit, parts / unit, np.unique(groups, return_inverse=True)[1]
    each: Any = np.ones(len(values)) if sizes is None else sizes
    rows, freedom = np.bincount(numbers, each), len(parts) - 1
    means = np.bincount(numbers, each * values) / rows
    within = float((each * (values - means[numbers]) ** 2).sum()) / max(len(values) - len(rows), 1) + TINY

    def short(between: Any) -> float:
        weights = 1 / (between + within / rows)
        return freedom - float((weights * (means - weights @ means / weights.sum()) ** 2).sum())

    if short(0.0) >= 0:  # groups differ by no more than their rows do
        return 1.0
    between, shares = float(halved(short, 0.0, 0.0, means.var(ddof=1))), rows / rows.sum()
    expected = between * float((shares**2).sum()) + within / float(rows.sum())
    return float(np.sqrt(max(1.0, expected / (float((parts**2).sum()) * len(parts) / freedom))))


__all__ = ["TINY", "group_sums", "leverage_correction", "mean_group_size", "random_effects_inflation"]
