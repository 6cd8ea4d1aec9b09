"""Whether two sets of rows can be told apart: training rows from test rows, or from those that came later.

A classifier is fitted to say which set a row is from (adversarial validation): an AUC of 0.5 is a coin's, and 1 means
that what was learned on one set need not hold on the other. Beside it stands how different each field is alone.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.events import Event
from aias.core.task import Measurement
from aias.training.scoring.metrics import measure_with_interval

ROWS_MAX: Final = 10_000
"""Of each set: the standard error of the AUC is then 0.006, and the check takes about a second."""

COLUMNS_MAX: Final = 40
"""That the built-in classifier looks at: those that differ most alone."""

BINS: Final = 12
CATEGORIES_MAX: Final = 30
RIDGE: Final = 10.0
STEPS_MAX: Final = 40
TOLD_MAX: Final = 3
AUC_WARNING: Final = 0.6
"""Below, drift is real but changes scores by less than their intervals."""

RISK: Final = 0.05
"""That any field of equal sets is taken for different."""

Tell = Callable[[Floats], Floats]
"""From columns to how much each row looks like one of the second set: (rows,)."""


@dataclass(frozen=True, slots=True)
class FieldDrift:
    """`distance`: between the two distributions, from 0 to 1. `noise`: what a field of equal sets reaches in 1 of 20
    such checks.
    """

    field: str
    distance: float
    noise: float

    @property
    def is_real(self) -> bool:
        return self.distance > self.noise


@dataclass(frozen=True, slots=True)
class Drift:
    """How well a classifier tells the two sets of rows apart, and by which fields. `auc`: 0.5 where it cannot."""

    auc: Measurement
    fields: tuple[FieldDrift, ...]
    """The most different first."""

    def event(self) -> Event:
        real = [each.field for each in self.fields if each.is_real]
        facts: dict[str, object] = {
            "auc": self.auc.value, "low": self.auc.low, "high": self.auc.high, "rows": self.auc.n,
            "fields": {each.field: round(each.distance, 4) for each in self.fields if each.is_real},
        }  # fmt: skip
        if self.auc.low is None or self.auc.low <= 0.5:
            if self.auc.value > AUC_WARNING:
                message = f"whether the two sets of rows are alike so few cannot tell (AUC {self.auc.value:.3f})"
                return Event("train.drift", message, facts=facts)
            return Event("train.drift", f"the two sets of rows look alike (AUC {self.auc.value:.3f})", facts=facts)
        where = f", most by {', '.join(f'`{name}`' for name in real[:TOLD_MAX])}" if real else ""
        message = f"the two sets of rows can be told apart (AUC {self.auc.value:.3f}){where}"
        return Event("train.drift", message, "warning" if self.auc.low > AUC_WARNING else "info", facts)


def drift(
    first: Floats, second: Floats, fields: Mapping[str, Sequence[int]], *, categories: Collection[int], seed: int,
    clusters: tuple[Ints | None, Ints | None] = (None, None),
) -> Drift:  # fmt: skip
    """Compare encoded columns, (rows, width); `categories` are those that hold codes, missing is NaN or the code 0.
    `clusters`: for each set, where some of its rows belong together, the number of each row's.

    What tells them apart is a logistic regression over ranges and categories: joint, but blind to what only
    combinations of fields show.
    """
    rng = np.random.default_rng(seed)
    kept = [np.sort(rng.permutation(len(x))[:ROWS_MAX]) for x in (first, second)]
    first, second = first[kept[0]], second[kept[1]]
    together = [_units(rows, each) for rows, each in zip(kept, clusters, strict=True)]
    sets = np.repeat([0, 1], [len(first), len(second)])
    columns = np.vstack([first, second])
    coded = np.column_stack([_codes(column, is_category=i in categories) for i, column in enumerate(columns.T)])
    auc = _auc(coded, sets, together, seed=seed)
    each = [
        (_by_categories if i in categories else _by_values)(column, sets, columns.shape[1])
        for i, column in enumerate(columns.T)
    ]
    found = [FieldDrift(name, *max(each[place] for place in places)) for name, places in fields.items()]
    return Drift(auc, tuple(sorted(found, key=lambda one: -one.distance)))


def _by_values(column: Floats, sets: Ints, checks: int) -> tuple[float, float]:
    """Kolmogorov and Smirnov's distance, missing values below all others; and its noise (Smirnov 1948)."""
    first, second = (np.sort(np.nan_to_num(column[sets == side], nan=-np.inf, neginf=-np.inf)) for side in (0, 1))
    both = np.concatenate([first, second])
    below = [np.searchsorted(part, both, side="right") / len(part) for part in (first, second)]
    return float(np.abs(below[0] - below[1]).max()), float(np.sqrt(-np.log(RISK / checks / 2) / 2 * _spread(sets)))


def _by_categories(column: Floats, sets: Ints, checks: int) -> tuple[float, float]:
    """Half of what the shares differ by; and its noise: the mean of equal ones, and McDiarmid's bound around it."""
    shares = _shares(np.unique(np.nan_to_num(column), return_inverse=True)[1], sets)
    pooled = shares.mean(axis=0)
    usual = np.sqrt(pooled * (1 - pooled) * _spread(sets) / (2 * np.pi)).sum()
    return _variation(shares), float(usual + np.sqrt(-np.log(RISK / checks) / 2 * _spread(sets)))


def _spread(sets: Ints) -> float:
    """The variance of a difference of two means, of variables of variance 1."""
    return float((1 / np.bincount(sets)).sum())


def _shares(codes: Ints, sets: Ints) -> Floats:
    """How the rows of each set spread over the codes: (2, codes)."""
    counts = np.bincount(codes + sets * (codes.max() + 1), minlength=2 * (codes.max() + 1)).reshape(2, -1)
    return np.asarray(counts / counts.sum(axis=1, keepdims=True))


def _variation(shares: Floats) -> float:
    return float(np.abs(shares[0] - shares[1]).sum() / 2)


def _codes(column: Floats, *, is_category: bool) -> Ints:
    """Few codes: ranges of about equally many rows, or the most frequent categories; 0 is all that is left."""
    if not is_category:
        known = column[~np.isnan(column)]
        cuts = np.unique(np.quantile(known, np.arange(1, BINS) / BINS, method="higher")) if len(known) else known
        return np.where(np.isnan(column), 0, 1 + np.searchsorted(cuts, column, side="right"))
    _, codes, counts = np.unique(np.nan_to_num(column), return_inverse=True, return_counts=True)
    frequent = np.argsort(-counts, kind="stable")[:CATEGORIES_MAX]
    places = np.zeros(len(counts), np.int64)
    places[frequent] = np.arange(1, len(frequent) + 1)
    return np.asarray(places[codes])


def _units(rows: Ints, clusters: Ints | None) -> Ints:
    """What is in one half or the other as a whole: clusters, where there are several, or else each row, from 0."""
    units = np.arange(len(rows)) if clusters is None else np.unique(clusters[rows], return_inverse=True)[1]
    return np.asarray(units if units.any() else np.arange(len(rows)))


def _auc(codes: Any, sets: Ints, together: Sequence[Ints], *, seed: int) -> Measurement:
    """Fitted on one half of the rows and measured on the other. `together`: of each set, its rows' units.

    Not on folds: what two parts share by chance would count there twice, and the interval be about half as wide as it
    ought to be. Nor do copies of a row, by which it is known again, lie in both.
    """
    rng = np.random.default_rng(seed)
    counts = [int(units.max()) + 1 for units in together]
    halves = [rng.permutation(count)[units] < count // 2 for count, units in zip(counts, together, strict=True)]
    inside = np.concatenate(halves)
    groups = np.concatenate([together[0], counts[0] + together[1]])[~inside] if sum(counts) < len(sets) else None
    scores = _logistic(codes[inside], sets[inside])(codes[~inside])
    return measure_with_interval(sets[~inside], scores[:, None], metric="roc_auc", seed=seed, groups=groups)


def _logistic(codes: Any, sets: Ints) -> Tell:
    """Logistic regression with a weight for each code of the columns that differ most in these rows."""
    from scipy.optimize import minimize

    apart = [_variation(_shares(column, sets)) for column in codes.T]
    kept = np.sort(np.argsort(-np.array(apart), kind="stable")[:COLUMNS_MAX])
    offsets = (CATEGORIES_MAX + 1) * np.arange(len(kept))
    size = (CATEGORIES_MAX + 1) * len(kept)
    places = codes[:, kept] + offsets  # (rows, kept)
    balance = (1 / np.bincount(sets))[sets] / 2
    sign = 2.0 * sets - 1

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = sign * weights[places].sum(axis=1)
        pull = -balance * sign / (1 + np.exp(np.clip(margin, -500, 500)))
        slope = np.bincount(places.ravel(), np.repeat(pull, len(kept)), size) + RIDGE / len(sets) * weights
        value = (balance * np.logaddexp(0, -margin)).sum() + RIDGE / len(sets) * (weights @ weights) / 2
        return float(value), slope

    weights = minimize(loss, np.zeros(size), jac=True, method="L-BFGS-B", options={"maxiter": STEPS_MAX}).x
    return lambda other: np.asarray(weights[other[:, kept] + offsets].sum(axis=1))
