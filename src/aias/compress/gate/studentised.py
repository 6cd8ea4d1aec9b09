"""A loss that is a mean, or nearly one, over rows: Student's t, corrected for skewness (Hall 1992, JRSS B 54, 221-228).

Differences between two good models are 0 on most rows and large on few, so their mean is skewed, and a bootstrap of
percentiles is as far off as the plain t is. With T the studentised loss and s the skewness of its estimate

    g(T) = ((1 + s T / 3)³ - 1) / s + s / 6

is normal up to terms of 1 / rows: one-sided limits are as right as those of the studentised bootstrap, without chance
and without resampling. The standard error is itself found from few rows where few differ: it has 2 rows / (k - 1)
degrees of freedom at a kurtosis of k (3 for normal differences; Satterthwaite 1946), and g(T) is read from Student's
distribution with as many. `tests/unit/compress/gate` measures the coverage.

    mean losses     log loss, Brier, absolute errors                        the differences themselves
    root of a mean  RMSE, RMSLE     r₂ - r₁, each r = √mean(e²)             (e² - r²) / 2 r, how r hangs on each row
    ratio of means  R²              s₂ - s₁, each s = mean(e²) / mean(d²)   (e² - s d²) / mean(d²); d from the mean
    AUC             DeLong, DeLong and Clarke-Pearson 1988                  what each row wins against the other class
"""

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from scipy.special import stdtr, stdtrit

from aias.compress.gate.evidence import ROUNDING, Evidence, Unknown, lost, of_rows
from aias.compress.gate.groups import TINY, group_sums, leverage_correction, mean_group_size, random_effects_inflation
from aias.compress.gate.unseen import Unseen, unseen
from aias.core.arrays import Floats, Ints

LARGEST_SPREAD: Final = np.full((2, 2), 0.5)
"""Of places between 0 and 1, of each model and class, and `WHOLE` how much they can add: where no row has come up."""

WHOLE: Final = np.ones((2, 2))


@dataclass(frozen=True, slots=True, eq=False)
class Guarded:
    """The more doubtful of two: what rows say, and what rows not seen may add, to a loss and (`other`) to a gain."""

    seen: "Studentised"
    more: Unseen
    other: Unseen

    @property
    def value(self) -> float:
        return self.seen.value

    @property
    def rows(self) -> int:
        return self.seen.rows

    @property
    def spread(self) -> float:
        return self.seen.spread

    def confidence(self, loss: float) -> float:
        found = self.seen.confidence(loss)
        if found >= 0.5:
            return max(0.5, min(found, self.more.confidence(loss) if loss > self.value else 0.5))
        return min(0.5, max(found, 1 - self.other.confidence(-loss) if loss < self.value else 0.5))

    def limit(self, confidence: float) -> float:
        found = self.seen.limit(confidence)
        if confidence >= 0.5:
            return max(found, self.more.limit(confidence))
        return min(found, -self.other.limit(1 - confidence))


@dataclass(frozen=True, slots=True)
class Studentised:
    """`error`: the standard error; `skewness`: of the estimate, that of the rows divided by √rows; `freedom`: of the
    error, its degrees of freedom."""

    value: float
    error: float
    skewness: float
    freedom: float
    rows: int

    @property
    def spread(self) -> float:
        return self.error * float(np.sqrt(self.rows))

    def confidence(self, loss: float) -> float:
        return float(confidence(self.value, self.error, self.skewness, self.freedom, loss))

    def limit(self, confidence: float) -> float:
        return float(limit(self.value, self.error, self.skewness, self.freedom, confidence))


def confidence(value: Any, error: Any, skewness: Any, freedom: Any, loss: Any) -> Any:
    """`Evidence.confidence` of many at once."""
    return stdtr(freedom, -_straight((value - loss) / error, skewness))


def limit(value: Any, error: Any, skewness: Any, freedom: Any, wanted: Any) -> Any:
    """`Evidence.limit` of many at once."""
    return value - error * _bent(stdtrit(freedom, 1 - np.asarray(wanted)), skewness)


def moments(parts: Any, doubt: Any) -> tuple[Any, Any, Any]:
    """The standard error of an estimate, its skewness, and the degrees of freedom of the error.

    `parts`: what each row adds to the error of the estimate, (..., rows), of mean 0; `doubt`: what one row that was not
    seen may add to its square.
    """
    rows = parts.shape[-1]
    squares = (parts**2).sum(axis=-1)
    variance = np.maximum(squares * rows / (rows - 1) + doubt, TINY)
    kurtosis = rows * (parts**4).sum(axis=-1) / np.maximum(squares, TINY) ** 2
    skewness = (parts**3).sum(axis=-1) / variance**1.5
    return np.sqrt(variance), skewness, np.clip(2 * rows / np.maximum(kurtosis - 1, 1), 1, rows - 1)


def one_row(own: Any) -> Any:
    """Of doubt: where hardly any row is answered otherwise, one not seen may be, by as much as rows lie apart.

    `own`: what each row adds to the error of the first model's metric, (..., rows), of mean 0.
    """
    return (own**2).sum(axis=-1) / own.shape[-1]


def mean_loss(before: Floats, after: Floats, groups: Ints | None = None) -> Evidence:
    """Of losses of each row, (rows,), lower is better. `groups`: the number of each row's group, (rows,); what groups
    add is independent, what rows of one add is not (Liang and Zeger 1986)."""
    before, after = of_rows(before, after)
    if not _known(before, after):
        return Unknown(len(before))
    return _paired(lost(float(before.mean()), float(after.mean())), before, after, groups)


def root_loss(before: Floats, after: Floats, groups: Ints | None = None) -> Evidence:
    """Of the roots of the means of squared errors of each row, (rows,)."""
    before, after = of_rows(before, after)
    if not _known(before, after):
        return Unknown(len(before))
    roots = [float(np.sqrt(np.mean(each))) for each in (before, after)]
    if min(roots) == 0:
        return mean_loss(before, after, groups) if max(roots) == 0 else Unknown(len(before))
    hanging = [each / (2 * root) for each, root in zip((before, after), roots, strict=True)]
    return _paired(lost(*roots), hanging[0], hanging[1], groups)


def explained_loss(y: Any, before: Any, after: Any, groups: Ints | None = None) -> Evidence:
    """Of R². `y`: amounts, `before`, `after`: squared errors, (rows,) each."""
    y, before, after = of_rows(y, before, after)
    if not (_known(before, after) and np.isfinite(y).all() and np.ptp(y)):
        return Unknown(len(before))
    squares = (y - np.median(y) - np.mean(y - np.median(y))) ** 2
    variance = float(squares.mean())
    if not 0 < variance < np.inf:
        return Unknown(len(before))
    shares = [float(each.mean()) / variance for each in (before, after)]
    hanging = [each / variance - share * (squares / variance - 1)
               for each, share in zip((before, after), shares, strict=True)]  # fmt: skip
    return _paired(lost(*shares), hanging[0], hanging[1], groups)


def auc_loss(positive: Any, before: Any, after: Any, groups: Ints | None = None) -> Evidence:
    """Of areas under the ROC curve. `positive` (rows,) flags; scores (rows,), or several pairs side by side as columns,
    of whose areas the mean is taken: (rows, pairs). A column without rows of both classes has no area: it leaves the
    mean as it is, and is in doubt wholly. Groups as Obuchowski (1997) has them."""
    flags, *scores = map(_columns, of_rows(positive, before, after))
    if np.isnan(scores).any():
        return Unknown(len(before))
    found = [_placements(*each) for each in zip(flags != 0, *scores, strict=True)]
    known = [each for each in found if each is not None]
    if not known:
        return Unknown(len(before))
    values, parts = (np.mean(each, axis=0) for each in list(zip(*known, strict=True))[:2])
    held = [(each[2], each[3]) if each else (LARGEST_SPREAD, WHOLE) for each in found]
    spreads, most = (_of_kinds(flags != 0, np.array(each)) for each in zip(*held, strict=True))
    value, added, many = float(values), group_sums(parts, groups), mean_group_size(groups)
    seen = _evidence(value, added, float(many**2 * (spreads[0] ** 2).sum()), len(before))
    if not isinstance(seen, Studentised):
        return seen
    losses, times = value + len(added) * added, len(added) * many
    off = [(times * float(each.max()), times * float(far.max())) for each, far in zip(spreads, most, strict=True)]
    return Guarded(seen, unseen(losses, *off[0]), unseen(-losses, *off[1]))


def _known(before: Floats, after: Floats) -> bool:
    return bool(len(before) and np.isfinite(before).all() and np.isfinite(after).all())


def _paired(value: float, before: Floats, after: Floats, groups: Ints | None) -> Evidence:
    lean = leverage_correction(groups)
    own, other = [lean * group_sums((each - np.mean(each)) / len(each), groups) for each in (before, after)]
    with np.errstate(over="ignore"):
        parts, many, alike = other - own, len(own), not np.ptp(before)
        doubt = (max(np.abs(each).mean() for each in (before, after)) / many) ** 2 if alike else one_row(own)
    if not doubt:  # nobody has ever been off: how far a row can be nothing tells
        return Unknown(len(before))
    found = _evidence(value, parts, doubt, len(before))
    if not isinstance(found, Studentised):
        return found
    found = replace(found, error=found.error * random_effects_inflation(after - before, parts, groups))
    losses, spread = value + many * parts, many * float(np.sqrt(doubt))
    losses[np.abs(losses) <= ROUNDING * many * np.abs(own).max()] = 0.0  # what is left of sums is no row that differs
    return Guarded(found, unseen(losses, spread), unseen(-losses, spread))


def _evidence(value: float, parts: Floats, doubt: float, rows: int) -> Evidence:
    """`parts`: of rows, or of groups of them. Of numbers whose squares are none nothing is known."""
    if len(parts) < 2 or not (np.isfinite(value) and np.isfinite(doubt)):
        return Unknown(rows)
    scale = max(float(np.abs(parts).max()), float(np.sqrt(doubt))) or 1.0  # their fourth powers are to be numbers
    error, skewness, freedom = map(float, moments(parts / scale, (np.sqrt(doubt) / scale) ** 2))
    return Studentised(value, error * scale, skewness, freedom, rows)


def _placements(positive: Any, before: Any, after: Any) -> tuple[float, Floats, Floats, Floats] | None:
    """The loss, what each row adds to its error and, of each model and class, (2, 2), by what spread a row adds to its
    area and how much it can add at most; None without both classes. A row that is alone in its class says nothing of
    how far such rows lie apart.

    Of few rows of a class those seen may all be easy, and spread too little. Shares of a mean A have a spread of
    √(A (1 - A)) at most, as where each row beats all of the other class or none: by that a row not seen may be off. A
    itself is reckoned with one row more, that beats none.
    """
    classes = np.flatnonzero(positive), np.flatnonzero(~positive)
    if not min(map(len, classes)):
        return None
    first, second = (_wins(scores, *classes) for scores in (before, after))
    parts, counts = np.zeros(len(positive)), np.array([len(rows) for rows in classes])
    for rows in classes:
        off, count = first[rows] - second[rows], len(rows)
        parts[rows] = (off - off.mean()) / count * np.sqrt(count / max(count - 1, 1))
    areas = np.array([[wins[rows].mean() for rows in classes] for wins in (first, second)])
    one_more = areas * counts / (counts + 1)
    spreads, own = np.sqrt(one_more * (1 - one_more)) / counts, classes[0]
    return lost(float(second[own].mean()), float(first[own].mean())), parts, spreads, areas / counts


def _of_kinds(positive: Any, by_class: Floats) -> Floats:
    """For each model and kind of row, (2, kinds), the mean over columns of what a row of its class has in each,
    (columns, 2, 2): one of ten classes has only one column in which it is of the few."""
    kinds = positive[:, np.unique(np.packbits(positive, axis=0), axis=1, return_index=True)[1]]
    return np.asarray(np.where(kinds[:, None], by_class[:, :, :1], by_class[:, :, 1:]).mean(axis=0))


def _wins(scores: Any, ones: Any, zeros: Any) -> Floats:
    """The share of the other class that each row is on the right side of; ties count half."""
    found = np.empty(len(scores))
    for own, other, above in ((ones, zeros, True), (zeros, ones, False)):
        others = np.sort(scores[other])
        below = np.searchsorted(others, scores[own], "left") + np.searchsorted(others, scores[own], "right")
        share = below / (2 * len(others))
        found[own] = share if above else 1 - share
    return found


def _columns(each: Any) -> Any:
    each = np.asarray(each)
    return (each[:, None] if each.ndim == 1 else each).T


def _straight(t: Any, skewness: Any) -> Any:
    """g(T)."""
    s = np.where(np.abs(skewness) < 1e-9, 1e-9, skewness)
    return ((1 + s * t / 3) ** 3 - 1) / s + s / 6


def _bent(z: Any, skewness: Any) -> Any:
    """T of g(T)."""
    s = np.where(np.abs(skewness) < 1e-9, 1e-9, skewness)
    return 3 / s * (np.cbrt(1 + s * (z - s / 6)) - 1)
