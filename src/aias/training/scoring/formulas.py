"""The metrics as formulas. Each is given a case once, and then many weightings of its rows at the same time.

Rows weighted by how often a resample drew them give the metric of that resample: so hundreds of resamples cost little
more than one, and the value itself is the case of equal weights.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import numpy as np

from aias.core.arrays import Flags, Floats, Ints
from aias.core.task import MEDIAN, quantile_of

ECE_BINS: Final = 15
PROBABILITY_MIN: Final = 1e-15
"""What a probability of 0 counts in the log loss, for what happened all the same."""


@dataclass(frozen=True, slots=True)
class Case:
    """`y`: class indices or values, (rows,). `scores`: (rows, classes) or (rows, 1). `labels`: what is answered, where
    the metric judges that."""

    metric: str
    y: Any
    scores: Floats
    labels: Ints  # (rows,)

    @property
    def classes(self) -> int:
        return int(self.scores.shape[1])

    @property
    def errors(self) -> Floats:
        """Answer less truth, (rows,)."""
        return np.asarray(self.scores.ravel() - self.y)


Values = Callable[[Floats], Floats]
"""From weights (weightings, rows) to values (weightings,); NaN where the rows cannot give it."""


def _mean(losses: Any) -> Values:
    return lambda w: np.asarray(w @ losses / w.sum(axis=1))


def _log_loss(case: Case) -> Floats:
    true = case.scores[np.arange(len(case.y)), case.y]
    return np.asarray(-np.log(np.maximum(true, PROBABILITY_MIN)))


def _brier(case: Case) -> Floats:
    """Two classes: of the second one; more: the sum over classes (Brier 1950)."""
    if case.classes == 2:
        return np.asarray((case.scores[:, 1] - (case.y == 1)) ** 2)
    return np.asarray(((case.scores - np.eye(case.classes)[case.y]) ** 2).sum(axis=1))


def _ece(case: Case) -> Values:
    """Mean gap between what was said and what came, over 15 bins of equally many rows (Nguyen and O'Connor 2015).

    Said is the probability of the second class or, of more than two, that of the likeliest. Equal ones share a bin.
    """
    best = case.scores.argmax(axis=1)
    said = case.scores[:, 1] if case.classes == 2 else case.scores.max(axis=1)
    came = case.y == 1 if case.classes == 2 else best == case.y
    edges = np.quantile(said, np.arange(1, ECE_BINS) / ECE_BINS)
    gaps = np.zeros((len(said), ECE_BINS))
    gaps[np.arange(len(said)), np.searchsorted(edges, said, side="right")] = said - came
    return lambda w: np.asarray(np.abs(w @ gaps).sum(axis=1) / w.sum(axis=1))


def _auc(positive: Flags, scores: Floats) -> Values:
    """The chance that a positive row is scored above a negative one; ties count half (Mann and Whitney 1947)."""
    ones, zeros = np.flatnonzero(positive), np.flatnonzero(~positive)
    zeros = zeros[np.argsort(scores[zeros], kind="stable")]
    low = np.searchsorted(scores[zeros], scores[ones], side="left")
    high = np.searchsorted(scores[zeros], scores[ones], side="right")

    def values(w: Floats) -> Floats:
        below = np.zeros((len(w), len(zeros) + 1))
        np.cumsum(w[:, zeros], axis=1, out=below[:, 1:])
        won = np.einsum("ij,ij->i", w[:, ones], below[:, low] + below[:, high]) / 2
        return _ratio(won, w[:, ones].sum(axis=1) * below[:, -1], otherwise=np.nan)

    return values


def _roc_auc(case: Case) -> Values:
    return _auc(case.y == 1, case.scores[:, -1])


def _roc_auc_ovr(case: Case) -> Values:
    """The mean, over the classes that these rows have, of the AUC of each against the rest."""
    each = [_auc(case.y == label, case.scores[:, label]) for label in np.unique(case.y)]

    def values(w: Floats) -> Floats:
        found = np.array([value(w) for value in each])  # (classes, weightings)
        known = np.isfinite(found)
        return _ratio(np.where(known, found, 0).sum(axis=0), known.sum(axis=0), otherwise=np.nan)

    return values


def _pr_auc(case: Case) -> Values:
    """Average precision: precision at each threshold, weighted by what it adds to recall; where all rows are positive
    any order gives 1, and NaN is what it says."""
    order = np.argsort(-case.scores[:, 1], kind="stable")
    ends = np.flatnonzero(np.diff(case.scores[order, 1], append=np.nan))
    ones = np.flatnonzero(case.y[order] == 1)
    # Of thresholds only those add to recall at which a positive row stands.
    first = np.flatnonzero(np.diff(np.searchsorted(ends, ones), prepend=-1))
    ends = ends[np.searchsorted(ends, ones[first])]

    def values(w: Floats) -> Floats:
        if not len(ones):
            return np.full(len(w), np.nan)
        w = w[:, order]
        added = np.add.reduceat(w[:, ones], first, axis=1)
        hits = np.cumsum(added, axis=1)
        precision = _ratio(hits, np.cumsum(w, axis=1)[:, ends], otherwise=0.0)
        found = _ratio((added * precision).sum(axis=1), hits[:, -1], otherwise=np.nan)
        return np.where(hits[:, -1] < w.sum(axis=1), found, np.nan)

    return values


@dataclass(frozen=True, slots=True)
class Counts:
    """For each weighting and class: rows answered right, rows of the class, rows answered so."""

    hits: Floats  # (weightings, classes)
    rows: Floats
    found: Floats


def _counted(case: Case, of: Callable[[Counts], Floats]) -> Values:
    hits = np.where(case.labels == case.y, case.y, case.classes)

    def sums(codes: Ints, w: Floats) -> Floats:
        """By class; the place behind the last holds what counts for none."""
        width = case.classes + 1
        places = codes + width * np.arange(len(w))[:, None]
        found = np.bincount(places.ravel(), w.ravel(), width * len(w)).reshape(len(w), width)
        return np.asarray(found[:, :-1])

    return lambda w: of(Counts(sums(hits, w), sums(case.y, w), sums(case.labels, w)))


def _ratio(above: Any, below: Any, *, otherwise: float) -> Floats:
    return np.asarray(np.divide(above, below, out=np.full(np.shape(below), otherwise), where=below > 0))


def _accuracy(c: Counts) -> Floats:
    return np.asarray(c.hits.sum(axis=1) / c.rows.sum(axis=1))


def _balanced_accuracy(c: Counts) -> Floats:
    return np.asarray(np.nanmean(_ratio(c.hits, c.rows, otherwise=np.nan), axis=1))


def _f1(c: Counts) -> Floats:
    """Of each class; NaN where it stands neither in the rows nor in the answers."""
    return _ratio(2 * c.hits, c.rows + c.found, otherwise=np.nan)


def _f1_weighted(c: Counts) -> Floats:
    return np.asarray(np.nansum(_f1(c) * c.rows, axis=1) / c.rows.sum(axis=1))


def _mcc(c: Counts) -> Floats:
    """The correlation of labels and answers (Gorodkin 2004); 0 where either does not vary."""
    n = c.rows.sum(axis=1)
    together = c.hits.sum(axis=1) * n - (c.rows * c.found).sum(axis=1)
    apart = (n**2 - (c.rows**2).sum(axis=1)) * (n**2 - (c.found**2).sum(axis=1))
    return _ratio(together, np.sqrt(apart), otherwise=0.0)


COUNTED: Final[Mapping[str, Callable[[Counts], Floats]]] = MappingProxyType({
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    "f1": lambda c: _f1(c)[:, 1],
    "f1_macro": lambda c: np.asarray(np.nanmean(_f1(c), axis=1)),
    "f1_micro": _accuracy,  # the same, of one label a row
    "f1_weighted": _f1_weighted,
    "precision": lambda c: _ratio(c.hits[:, 1], c.found[:, 1], otherwise=0.0),
    "recall": lambda c: _ratio(c.hits[:, 1], c.rows[:, 1], otherwise=np.nan),
    "mcc": _mcc,
})  # fmt: skip
"""The metrics that judge labels, from counts."""


def _squared_logs(case: Case) -> Floats:
    """Of log(1 + amount); answers below 0 count as 0, and NaN where an amount is below 0."""
    if (case.y < 0).any():
        return np.full(len(case.y), np.nan)
    return np.asarray((np.log1p(np.maximum(case.scores.ravel(), 0)) - np.log1p(case.y)) ** 2)


def _mape(case: Case) -> Floats:
    """A share, not per cent. As scikit-learn does, an amount of 0 counts as 2e-16: one such row ruins it."""
    return np.asarray(np.abs(case.errors) / np.maximum(np.abs(case.y), np.finfo(np.float64).eps))


def _quantile_loss(case: Case) -> Floats:
    """Too low costs `quantile`, too high the rest of 1 (Koenker and Bassett 1978)."""
    quantile = quantile_of(case.metric) or MEDIAN
    return np.maximum(-quantile * case.errors, (1 - quantile) * case.errors)


ROW_LOSSES: Final[Mapping[str, Callable[[Case], Floats]]] = MappingProxyType({
    "log_loss": _log_loss,
    "brier": _brier,
    "mae": lambda case: np.abs(case.errors),
    "mape": _mape,
    "quantile_loss": _quantile_loss,
})  # fmt: skip
"""The metrics that are the mean of a loss of each row, (rows,)."""

ROW_SQUARES: Final[Mapping[str, Callable[[Case], Floats]]] = MappingProxyType({
    "rmse": lambda case: case.errors**2, "rmsle": _squared_logs,
})  # fmt: skip
"""The metrics that are the root of the mean of a square of each row, (rows,)."""


def _mean_of(losses: Callable[[Case], Floats]) -> Callable[[Case], Values]:
    return lambda case: _mean(losses(case))


def _root_of(squares: Callable[[Case], Floats]) -> Callable[[Case], Values]:
    def formula(case: Case) -> Values:
        mean = _mean(squares(case))
        return lambda w: np.sqrt(mean(w))

    return formula


def _median_absolute_error(case: Case) -> Values:
    found = np.abs(case.errors)
    order = np.argsort(found)

    def values(w: Floats) -> Floats:
        up_to = np.cumsum(w[:, order], axis=1)
        half = up_to[:, -1:] / 2
        lower, upper = (up_to < half).sum(axis=1), (up_to <= half).sum(axis=1)
        return np.asarray((found[order][lower] + found[order][np.minimum(upper, len(found) - 1)]) / 2)

    return values


def _r2(case: Case) -> Values:
    centred = case.y - np.median(case.y)  # of equal amounts exactly 0, which their mean need not give
    squared = case.errors**2

    def values(w: Floats) -> Floats:
        spread = w @ centred**2 - (w @ centred) ** 2 / w.sum(axis=1)
        return 1 - _ratio(w @ squared, spread, otherwise=np.nan)

    return values


FORMULAS: Final[Mapping[str, Callable[[Case], Values]]] = MappingProxyType({
    "roc_auc": _roc_auc,
    "roc_auc_ovr": _roc_auc_ovr,
    "pr_auc": _pr_auc,
    "ece": _ece,
    **{name: partial(_counted, of=of) for name, of in COUNTED.items()},
    **{name: _mean_of(losses) for name, losses in ROW_LOSSES.items()},
    **{name: _root_of(squares) for name, squares in ROW_SQUARES.items()},
    "median_absolute_error": _median_absolute_error,
    "r2": _r2,
})  # fmt: skip
