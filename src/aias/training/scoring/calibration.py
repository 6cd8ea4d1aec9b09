"""Probabilities that come true as often as they say: nothing, a temperature, offsets of classes that were weighed,
Platt's line or an isotonic curve, as the rows decide.

Scores are probabilities (rows, classes), out of fold where something is fitted on them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, Final, Protocol, Self

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.graph import GraphWriter
from aias.training.scoring.upright import taken_back

ISOTONIC_ROWS_MIN: Final = 5_000
"""With fewer rows the steps of an isotonic curve follow the noise (Niculescu-Mizil and Caruana 2005)."""

KNOTS_MAX: Final = 50
SLOPE_MAX: Final = 1_000.0
"""A steeper curve would make a visible difference of what a learner's float32 leaves open."""

END: Final = 1e-9
"""So near to 0 or 1 is there."""

FOLDS: Final = 5
PROBABILITY_MIN: Final = 1e-10
"""Below this a float64 that was rounded elsewhere is a visibly different logarithm, and a small power shows it."""
POWER_MAX: Final = 20.0
"""And its inverse: beyond, the scores say nothing or are perfect, and the search would run away."""
OFFSET_MAX: Final = 20.0
"""Of log odds, which are within 23 by `PROBABILITY_MIN`; to count one class a million times moves them by 14."""

OFFSET_SPREAD: Final = 0.5
"""How far, as a standard deviation, offsets lie from those that class weights imply before rows say otherwise."""

OFFSET_ROWS_MIN: Final = 20
"""For each class, in the mean. To find c offsets on n rows costs c / 2n of log loss: on fewer, what weights imply is
nearer."""

OFFSET_NUMBERS_MAX: Final = 400_000
"""Rows × classes that offsets are found on: 4 ms each time that they are asked."""

OWN_SHARE: Final = 1e-3
"""How much of the score itself is in an isotonic answer: so that float32, too, sees no ties where there were none."""


class Calibration(Protocol):
    """From scores to probabilities that come true as often as they say."""

    @classmethod
    def fit(cls, y: Any, scores: Floats) -> Self: ...

    def apply(self, scores: Floats) -> Floats:
        """(rows, classes) → (rows, classes)"""

    def export(self, graph: GraphWriter, scores: str) -> str:
        """Write `apply` into the graph, over the tensor `scores`, float64."""

    def as_dict(self) -> dict[str, Any]:
        """JSON values; `from_dict` gives an equal one."""


@dataclass(frozen=True, slots=True)
class Temperature:
    """Probabilities to the power of `power` = 1 / temperature, made to sum to 1 (Guo et al. 2017). Labels stay."""

    power: float
    kind: ClassVar[str] = "temperature"

    @classmethod
    def fit(cls, y: Any, scores: Floats) -> Self:
        """The power of the least log loss, a convex function of it."""
        return cls(_power(y, scores, 0.0))

    def apply(self, scores: Floats) -> Floats:
        raised = self.power * np.log(np.maximum(scores, PROBABILITY_MIN))
        return np.asarray(np.exp(raised - _log_of_sums(raised)[:, None]))

    def export(self, graph: GraphWriter, scores: str) -> str:
        logs = graph.op("Log", graph.op("Max", scores, graph.constant(np.float64(PROBABILITY_MIN))))
        return graph.op("Softmax", graph.op("Mul", logs, graph.constant(np.float64(self.power))), axis=1)

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "power": self.power}


@dataclass(frozen=True, slots=True)
class Platt:
    """Log odds of the second class times `slope` plus `offset` (Platt 1999): ranks stay, and scores that lean to one
    class, as after class weights or much regularisation, are set upright."""

    slope: float
    offset: float
    kind: ClassVar[str] = "platt"

    @classmethod
    def fit(cls, y: Any, scores: Floats) -> Self:
        """The line of the least log loss against targets that are never certain, a convex function of it."""
        from scipy.optimize import minimize

        odds = np.diff(np.log(np.maximum(scores, PROBABILITY_MIN)), axis=1)[:, 0]
        ones, rows = int(np.sum(y)), len(y)
        target = np.where(y == 1, (ones + 1) / (ones + 2), 1 / (rows - ones + 2))

        def loss(line: Floats) -> tuple[float, Floats]:
            z = line[0] * odds + line[1]
            off = np.exp(-np.logaddexp(0, -z)) - target
            return float((np.logaddexp(0, z) - target * z).mean()), np.array([(off * odds).mean(), off.mean()])

        bounds = ((1 / POWER_MAX, POWER_MAX), (-OFFSET_MAX, OFFSET_MAX))
        found = minimize(loss, np.array([1.0, 0.0]), jac=True, bounds=bounds, method="L-BFGS-B", tol=1e-12)
        return cls(float(found.x[0]), float(found.x[1]))

    def apply(self, scores: Floats) -> Floats:
        raised = self.slope * np.log(np.maximum(scores, PROBABILITY_MIN)) + np.array([0.0, self.offset])
        return np.asarray(np.exp(raised - _log_of_sums(raised)[:, None]))

    def export(self, graph: GraphWriter, scores: str) -> str:
        logs = graph.op("Log", graph.op("Max", scores, graph.constant(np.float64(PROBABILITY_MIN))))
        raised = graph.op("Mul", logs, graph.constant(np.float64(self.slope)))
        raised = graph.op("Add", raised, graph.constant(np.array([[0.0, self.offset]])))
        return graph.op("Softmax", raised, axis=1)

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "slope": self.slope, "offset": self.offset}


@dataclass(frozen=True, slots=True)
class Offsets:
    """Platt's line for more than two classes: logarithms times `power` plus an offset for each class (vector scaling
    with one power; Guo et al. 2017): scores that lean to some classes, as after class weights, are set upright."""

    power: float
    offsets: tuple[float, ...]
    kind: ClassVar[str] = "offsets"

    @classmethod
    def fit(cls, y: Any, scores: Floats, *, costs: Floats | None = None) -> Self:
        """Those of the least log loss against targets that are never certain, a convex function of them, each held by a
        normal distribution to what `costs`, (classes,), imply: how much each class counted. Of few rows the power alone
        is found, and a class without rows stays there, too."""
        from scipy.optimize import minimize

        if scores.size > OFFSET_NUMBERS_MAX:
            some = np.random.default_rng(0).permutation(len(y))[: OFFSET_NUMBERS_MAX // scores.shape[1]]
            y, scores = y[some], scores[some]
        rows, classes = scores.shape
        implied = np.zeros(classes) if costs is None else np.log(taken_back(costs)).clip(-OFFSET_MAX, OFFSET_MAX)
        if rows < OFFSET_ROWS_MIN * classes:
            return cls(_power(y, scores, implied), tuple(map(float, implied)))
        logs, counts = np.log(np.maximum(scores, PROBABILITY_MIN)), np.bincount(y, minlength=classes)
        doubt, said = _doubt(rows), _said(y, logs)
        shares = (1 - doubt) * counts / rows + doubt / classes

        def loss(at: Floats) -> tuple[float, Floats]:
            raised = at[0] * logs + at[1:]
            sums = _log_of_sums(raised)
            each = np.exp(raised - sums[:, None])
            moved = at[1:] - implied
            pull = moved / (OFFSET_SPREAD**2 * rows)
            slope = np.concatenate([[(each * logs).sum(axis=1).mean() - said], each.mean(axis=0) - shares + pull])
            return float(sums.mean() - at[0] * said - at[1:] @ shares + pull @ moved / 2), slope

        lowest, highest = np.where(counts > 0, [[-OFFSET_MAX], [OFFSET_MAX]], implied)  # (classes,)
        bounds = [(1 / POWER_MAX, POWER_MAX), *zip(lowest, highest, strict=True)]
        found = minimize(loss, np.append(1.0, implied), jac=True, bounds=bounds, method="L-BFGS-B", tol=1e-9).x
        return cls(float(found[0]), tuple(map(float, found[1:])))

    def apply(self, scores: Floats) -> Floats:
        raised = self.power * np.log(np.maximum(scores, PROBABILITY_MIN)) + np.array(self.offsets)
        return np.asarray(np.exp(raised - _log_of_sums(raised)[:, None]))

    def export(self, graph: GraphWriter, scores: str) -> str:
        logs = graph.op("Log", graph.op("Max", scores, graph.constant(np.float64(PROBABILITY_MIN))))
        raised = graph.op("Mul", logs, graph.constant(np.float64(self.power)))
        return graph.op("Softmax", graph.op("Add", raised, graph.constant(np.array([self.offsets]))), axis=1)

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "power": self.power, "offsets": list(self.offsets)}


@dataclass(frozen=True, slots=True)
class Isotonic:
    """A strictly increasing curve of straight lines over the probability of the second class, so that ranks stay.

    Centred isotonic regression (Oron and Flournoy 2017): each level of an isotonic regression stands at the mean of
    its scores, and lines lead from one to the next.
    """

    knots: tuple[float, ...]
    values: tuple[float, ...]
    kind: ClassVar[str] = "isotonic"

    def __post_init__(self) -> None:
        assert 2 <= len(self.knots) == len(self.values) <= KNOTS_MAX, "a curve has knots"
        assert (np.diff(self.knots) > 0).all() and (np.diff(self.values) > 0).all(), "a curve rises"

    @classmethod
    def fit(cls, y: Any, scores: Floats) -> Self:
        knots, values = _levels(np.asarray(y, np.float64), scores[:, 1])
        rows = len(y)
        values = (rows * values + np.mean(y)) / (rows + 1)  # no probability of 0 or 1 from rows that happened to agree
        knots, values = _to_the_ends(knots, values)
        values = (1 - OWN_SHARE) * values + OWN_SHARE * knots
        return cls(tuple(map(float, knots)), tuple(map(float, values)))

    def apply(self, scores: Floats) -> Floats:
        second = np.interp(scores[:, 1], self.knots, self.values)
        return np.column_stack([1 - second, second])

    def export(self, graph: GraphWriter, scores: str) -> str:
        """Each line adds what it rises by, times how far along it the score is, from 0 to 1: nothing cancels."""
        knots, values = np.array(self.knots), np.array(self.values)
        second = graph.op("Gather", scores, graph.constant(np.array([1])), axis=1)  # (rows, 1)
        past = graph.op("Sub", second, graph.constant(knots[None, :-1]))
        along = graph.op("Div", past, graph.constant(np.diff(knots)[None, :]))
        along = graph.op("Clip", along, graph.constant(np.float64(0)), graph.constant(np.float64(1)))
        risen = graph.op("MatMul", along, graph.constant(np.diff(values)[:, None]))
        answer = graph.op("Add", risen, graph.constant(values[:1]))
        return graph.op("Concat", graph.op("Sub", graph.constant(np.float64(1)), answer), answer, axis=1)

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "knots": list(self.knots), "values": list(self.values)}


def from_dict(held: Mapping[str, Any]) -> Calibration:
    kinds: dict[str, Callable[[], Calibration]] = {
        Temperature.kind: lambda: Temperature(held["power"]),
        Platt.kind: lambda: Platt(held["slope"], held["offset"]),
        Offsets.kind: lambda: Offsets(held["power"], tuple(held["offsets"])),
        Isotonic.kind: lambda: Isotonic(tuple(held["knots"]), tuple(held["values"])),
    }
    return kinds[held["kind"]]()


Fitting = Callable[[Any, Floats], Calibration]
"""From answers and scores to what is fitted on them."""


def choose(y: Any, scores: Floats, *, folds: Ints, seed: int, costs: Floats | None = None) -> Calibration | None:
    """As `fitting` says, fitted on all rows."""
    fit = fitting(y, scores, folds=folds, seed=seed, costs=costs)
    return fit(y, scores) if fit else None


def fitting(y: Any, scores: Floats, *, folds: Ints, seed: int, costs: Floats | None = None) -> Fitting | None:
    """What lowers the log loss of folds that it was not fitted on by more than a standard error; else nothing.

    Each kind must beat the simpler ones by as much. A single fold is cut into five at random. `costs`: how much each
    class counted while fitting, (classes,), where they did not all alike.
    """
    if len(np.unique(folds)) < 2:
        folds = np.random.default_rng(seed).permutation(len(y)) % FOLDS
    best: Fitting | None = None
    losses = _losses(y, scores)
    for fit in _kinds(y, scores, costs):
        found = _cross_fitted(fit, y, scores, folds)
        if _is_clear(losses - found):
            best, losses = fit, found
    return best


def _kinds(y: Any, scores: Floats, costs: Floats | None) -> tuple[Fitting, ...]:
    """From the simplest on."""
    if costs is not None and scores.shape[1] > 2:
        return (Temperature.fit, partial(Offsets.fit, costs=costs))
    if scores.shape[1] != 2 or len(np.unique(y)) != 2:
        return (Temperature.fit,)
    kinds = (Temperature.fit, Platt.fit)
    return (*kinds, Isotonic.fit) if len(y) >= ISOTONIC_ROWS_MIN else kinds


def _cross_fitted(fit: Fitting, y: Any, scores: Floats, folds: Ints) -> Floats:
    losses = np.empty(len(y))
    for fold in np.unique(folds):
        inside, outside = folds != fold, folds == fold
        losses[outside] = _losses(y[outside], fit(y[inside], scores[inside]).apply(scores[outside]))
    return losses


def _losses(y: Any, scores: Floats) -> Floats:
    return np.asarray(-np.log(np.maximum(scores[np.arange(len(y)), y], PROBABILITY_MIN)))


def _is_clear(gains: Floats) -> bool:
    return bool(gains.mean() > gains.std() / np.sqrt(len(gains)))


def _power(y: Any, scores: Floats, offsets: Floats | float) -> float:
    """Of the least log loss, a convex function of it, where `offsets` stand beside the logarithms."""
    from scipy.optimize import minimize_scalar

    logs = np.log(np.maximum(scores, PROBABILITY_MIN))
    said = _said(y, logs)

    def loss(power: float) -> float:
        return float(_log_of_sums(power * logs + offsets).mean() - power * said)

    found = minimize_scalar(loss, bounds=(1 / POWER_MAX, POWER_MAX), method="bounded", options={"xatol": 1e-6})
    return float(found.x)


def _doubt(rows: int) -> float:
    """The share of each row that all classes have alike, so that scores without an error do not become certainties:
    two rows in all, as Laplace's of two classes. A row for each of many would make all of them likely."""
    return 2 / (rows + 2)


def _said(y: Any, logs: Floats) -> float:
    """What a power of 1 gives the answers in the mean: the logarithm of their probability, with doubt."""
    doubt = _doubt(len(y))
    return float((1 - doubt) * logs[np.arange(len(y)), y].mean() + doubt * logs.mean())


def _log_of_sums(logs: Floats) -> Floats:
    most = logs.max(axis=1, keepdims=True)
    return np.asarray(most[:, 0] + np.log(np.exp(logs - most).sum(axis=1)))


def _levels(y: Floats, score: Floats) -> tuple[Floats, Floats]:
    """Where each level of the isotonic regression stands, and how high; at most two less than may be knots."""
    from scipy.optimize import isotonic_regression

    distinct, places = np.unique(score, return_inverse=True)
    rows = np.bincount(places).astype(np.float64)
    fitted = isotonic_regression(np.bincount(places, y) / rows, weights=rows)
    starts = fitted.blocks[:-1]
    weights = np.add.reduceat(rows, starts)
    knots, values = np.add.reduceat(distinct * rows, starts) / weights, fitted.x[starts]
    while len(knots) > KNOTS_MAX - 2 or (np.diff(values) > SLOPE_MAX * (np.diff(knots) - END)).any():
        # Ward 1963: join the two neighbours whose rows move least, after those that are too steep.
        costs = weights[:-1] * weights[1:] / (weights[:-1] + weights[1:]) * np.diff(values) ** 2
        at = int(np.argmin(np.where(np.diff(values) > SLOPE_MAX * (np.diff(knots) - END), -1 / (1 + costs), costs)))
        share = weights[at + 1] / (weights[at] + weights[at + 1])
        knots, values = _joined(knots, at, share), _joined(values, at, share)
        weights[at] += weights[at + 1]
        weights = np.delete(weights, at + 1)
    return knots, values


def _joined(numbers: Floats, at: int, share: float) -> Floats:
    """The numbers at `at` and behind it become one, which has `share` of the latter."""
    numbers = numbers.copy()
    numbers[at] += share * (numbers[at + 1] - numbers[at])
    return np.delete(numbers, at + 1)


def _to_the_ends(knots: Floats, values: Floats) -> tuple[Floats, Floats]:
    """The same curve from 0 to 1; beyond its ends it goes halfway to what is certain, where that is not too steep."""
    knots = np.where(knots < END, 0.0, np.where(knots > 1 - END, 1.0, knots))
    if knots[0] > 0:
        down = min(values[0] / 2, SLOPE_MAX * knots[0])
        knots, values = np.append(0.0, knots), np.append(values[0] - down, values)
    if knots[-1] < 1:
        up = min((1 - values[-1]) / 2, SLOPE_MAX * (1 - knots[-1]))
        knots, values = np.append(knots, 1.0), np.append(values, values[-1] + up)
    return knots, values
