"""Of how many rows a metric is: where it is of each class, the smallest tells most of how far off it may be."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.task import METRICS
from aias.training.scoring.formulas import ROW_LOSSES, ROW_SQUARES, Case

AVERAGED: Final = frozenset({"roc_auc_ovr", "balanced_accuracy", "f1_macro"})
"""Means over the classes."""

PER_CLASS: Final = AVERAGED | {"roc_auc", "pr_auc", "mcc"}
POSITIVE: Final = frozenset({"recall", "f1"})

TAILED: Final = {name: name for name in ("rmse", "mae", "mape", "rmsle", "quantile_loss")} | {"r2": "rmse"}
"""Metrics of amounts that are means over rows, by the losses of these."""

FEW: Final = 5
"""Of fewer, all lie on one side of their median in one of eight times and more (2 / 2^n): no resample of them then
reaches to the other."""

OUTSIDE: Final = 0.025
"""The chance of the truth to lie below an interval, and above it."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """Those of the classes that a metric judges, or of all rows. Rows of one group count as equal groups would that
    say as much (Kish 1965)."""

    each: Floats
    averaged: bool

    @property
    def drawn(self) -> float:
        """Degrees of freedom, and one, of the sum of the classes' errors (Satterthwaite 1946)."""
        if len(self.each) == 1:
            return max(float(self.each[0]), 2.0)
        variances = 1 / self.each
        freedom = np.maximum(self.each - 1, 1e-9)
        return max(float(variances.sum() ** 2 / (variances**2 / freedom).sum()) + 1, 2.0)

    @property
    def rows(self) -> float:
        """As many of one class would have the same variance."""
        return float(len(self.each) ** 2 / (1 / self.each).sum()) if self.averaged else self.fewest

    @property
    def fewest(self) -> float:
        return float(self.each.min())


def sizes_of(case: Case, groups: Ints | None) -> Sizes:
    losses = {**ROW_LOSSES, **ROW_SQUARES}.get(TAILED.get(case.metric.partition(":")[0], ""))
    if losses is not None:
        return Sizes(np.array([1 + _freedom(losses(case), groups)]), averaged=False)
    found = [_size(rows, groups) for rows in _judged(case)]
    return Sizes(np.array([size for size in found if size] or [1.0]), case.metric in AVERAGED)


def _freedom(losses: Floats, groups: Ints | None) -> float:
    """Degrees of freedom of the variance of their mean: 2 n / (kurtosis - 1), by what a sample's variance varies
    (Satterthwaite 1946); where a few rows lose nearly all, hardly any."""
    apart = losses - losses.mean()
    apart = apart if groups is None else np.bincount(groups, apart)
    apart = apart[apart != 0] / max(float(np.abs(apart).max()), np.finfo(float).tiny)
    most = max(len(apart) - 1.0, 1.0)
    spread = float((apart**2).mean()) if len(apart) else 0.0
    beyond = float((apart**4).mean()) / spread**2 - 1 if spread else 0.0
    return min(max(2 * len(apart) / beyond, 1.0), most) if beyond > 0 else most


def is_share(case: Case) -> bool:
    """Whether its best is 1, and it is of classes: then it varies at most as a share does."""
    return case.y.dtype.kind == "i" and METRICS[case.metric.partition(":")[0]][0] == "higher"


def ends_of(metric: str) -> tuple[float, float]:
    """The worst and the best of a metric that is a share."""
    return (-1.0, 1.0) if metric == "mcc" else (0.0, 1.0)


def certain_share(metric: str, value: float, rows: float) -> tuple[float, float]:
    """What a share may be that was found so large among so many, with 95 % (Clopper and Pearson 1934)."""
    from scipy.special import betaincinv  # late: as the percentiles

    least, most = ends_of(metric)
    span = most - least
    hits = rows * min(1.0, max(0.0, (value - least) / span))
    low = float(betaincinv(hits, rows - hits + 1, OUTSIDE)) if hits > 0 else 0.0
    high = float(betaincinv(hits + 1, rows - hits, 1 - OUTSIDE)) if hits < rows else 1.0
    return least + span * low, least + span * high


def certain_recalls(case: Case, sizes: Sizes) -> tuple[float, float]:
    """What the mean of the classes' recalls may be, where each of them is 0 or 1 on these rows."""
    classes = zip(np.unique(case.y), sizes.each, strict=True)
    ends = [
        certain_share("recall", float((case.labels[case.y == label] == label).mean()), rows) for label, rows in classes
    ]
    low, high = np.mean(ends, axis=0)
    return float(low), float(high)


def _judged(case: Case) -> list[Any]:
    """Which rows each size is of."""
    if case.metric in PER_CLASS:
        return [case.y == label for label in np.unique(case.y)]
    if case.metric in POSITIVE:
        return [case.y == 1]
    return [case.labels == 1 if case.metric == "precision" else np.ones(len(case.y), bool)]


def _size(rows: Any, groups: Ints | None) -> float:
    if groups is None:
        return float(rows.sum())
    sizes = np.unique(groups[rows], return_counts=True)[1].astype(np.float64)
    return float(sizes.sum() ** 2 / (sizes**2).sum()) if len(sizes) else 0.0
