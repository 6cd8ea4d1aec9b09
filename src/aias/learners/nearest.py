"""Nearest neighbours: the answers of the training rows around, those nearer counting more.

    weight of row i = max(0, 1.1 d_k² + ε - d_i²)        d_k: the distance of the k-th nearest

The kernel is Epanechnikov's, as wide as the neighbourhood is sparse. Weights hang continuously on distances, so it does
not matter in which order equal distances come; and the nearest row always counts, however far it is.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Floats, Ints
from aias.core.graph import DOUBLE, GraphWriter
from aias.core.task import Task
from aias.learners.contract import COUNT, Examples, Fit, Kind, State, halves, joined

__all__ = ["Nearest"]

NEIGHBOURS: Final = (1, 2, 4, 8, 16, 32, 64, 128)
NEIGHBOURS_USUAL: Final = 16
WIDER: Final = 1.1
NEAR: Final = 1e-4
"""ε above, in squares of standard deviations: rows nearer than this are alike."""

FAR: Final = 4.0
"""Numbers count as at most so many deviations from their median."""

CODES_MAX: Final = 32
"""Of a category; the rarer ones count as one."""

ROWS_AT_ONCE: Final = 512


class Neighbours:
    """`points` (training rows, dimensions); `answers` (training rows, outputs + 1): weighted, and the weights."""

    def __init__(
        self, space: "_Space", points: Floats, answers: Floats, *, classes: int, settings: dict[str, Any]
    ) -> None:
        # In the order in which they are stored, so that what was stored adds up to the last bit.
        self.space, self.points, self.answers = space, np.ascontiguousarray(points), np.ascontiguousarray(answers)
        self.classes, self.settings = classes, settings
        self.k = min(int(settings["k"]), len(points))
        self.mean = self.answers[:, :-1].sum(axis=0) / self.answers[:, -1].sum()
        self.judged: Floats | None = None

    def scores(self, x: Floats) -> Floats:
        parts = [self._scores(x[start : start + ROWS_AT_ONCE]) for start in range(0, len(x), ROWS_AT_ONCE)]
        return np.vstack([np.zeros((0, len(self.mean))), *parts])

    def export(self, graph: GraphWriter, x: str) -> str:
        at = self.space.export(graph, x)
        squares = graph.op("ReduceSumSquare", at, graph.constant(np.array([1])))
        products = graph.op("MatMul", at, graph.constant(np.ascontiguousarray(-2 * self.points.T)))
        apart = graph.op("Add", graph.op("Add", products, graph.constant(self._lengths)), squares)
        nearest, _ = graph.ops("TopK", apart, graph.constant(np.array([self.k])), outputs=2, largest=0)
        last = graph.op("Gather", nearest, graph.constant(np.array([self.k - 1])), axis=1)
        reach = graph.op("Add", graph.op("Mul", last, graph.constant(WIDER)), graph.constant(NEAR))
        weights = graph.op("Relu", graph.op("Sub", reach, apart))
        sums = graph.op("MatMul", weights, graph.constant(self.answers))
        outputs = len(self.mean)
        parts = [graph.constant(np.arange(outputs)), graph.constant(np.array([outputs]))]
        over, under = (graph.op("Gather", sums, part, axis=1) for part in parts)
        means = graph.op("Div", over, under)
        if not self.classes:
            return means
        share, rest = self._shares
        return graph.op("Add", graph.op("Mul", means, graph.constant(share)), graph.constant(rest))

    def state(self) -> State:
        return {**self.space.state(), "points": self.points, "answers": self.answers}

    @property
    def _lengths(self) -> Floats:
        return np.asarray((self.points**2).sum(axis=1))

    @property
    def _shares(self) -> tuple[float, Floats]:
        """Probabilities are never 0: the shares of all rows count as one neighbour more."""
        return self.k / (self.k + 1), self.mean / (self.k + 1)

    def _scores(self, x: Floats) -> Floats:
        return self.answer(self.distances(self.space.points(x)))

    def distances(self, at: Floats) -> Floats:
        """Squared: (rows, training rows)."""
        return np.asarray(at @ (-2 * self.points.T) + self._lengths + (at**2).sum(axis=1, keepdims=True))

    def answer(self, apart: Floats) -> Floats:
        last = np.partition(apart, self.k - 1, axis=1)[:, self.k - 1 : self.k]
        sums = np.maximum(WIDER * last + NEAR - apart, 0) @ self.answers
        means = sums[:, :-1] / sums[:, -1:]
        share, rest = self._shares
        return np.asarray(means * share + rest if self.classes else means)


class Nearest:
    name: ClassVar[str] = "nearest"
    sparse: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ()
    rows_max: ClassVar[int] = 3_000
    """The graph compares a row with each of these; 4,096 rows at once hold matrices of 100 MB."""
    means: ClassVar[bool] = True

    @staticmethod
    def takes() -> dict[str, Kind | None]:
        return {"k": COUNT}

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> Neighbours:
        space = _Space.fit(train.x, how)
        points, answers = space.points(train.x), _answers(train, len(how.task.classes))
        classes = len(how.task.classes)

        def made(k: int) -> Neighbours:
            return Neighbours(space, points, answers, classes=classes, settings={**how.settings, "k": k})

        if valid is None or "k" in how.settings:
            return made(int(how.settings.get("k", NEIGHBOURS_USUAL)))
        apart = made(1).distances(space.points(valid.x))
        tried: dict[int, Floats] = {}
        losses: dict[int, list[float]] = {}  # of all rows that judge, and of each half
        parts = [(slice(None), valid), *((slice(i, None, 2), half) for i, half in enumerate(halves(valid)))]
        for k in [k for k in NEIGHBOURS if k <= len(points)]:
            scores = tried[k] = made(k).answer(apart)
            losses[k] = [_loss(scores[rows], part, classes) for rows, part in parts]
            said = f"nearest: {k} neighbours, validation loss {losses[k][0]:.4f}"
            how.tell(
                said, valid, scores, learner="nearest", counted="Neighbours", round=k, validation_loss=losses[k][0]
            )
            if how.deadline.passed:
                break
        best, *others = (min(losses, key=lambda k: losses[k][place]) for place in range(len(parts)))
        found = made(best)
        # What scores one half is chosen by the other.
        found.judged = joined([tried[k][rows] for k, (rows, _) in zip(others[::-1], parts[1:], strict=True)])
        return found

    @staticmethod
    def load(state: State, task: Task, settings: dict[str, Any]) -> Neighbours:
        space = _Space(**{name: state[name] for name in _SPACE})
        return Neighbours(space, state["points"], state["answers"], classes=len(task.classes), settings=settings)


_SPACE: Final = ("numbers", "middle", "spread", "gaps", "hot_places", "hot_codes")


@dataclass(frozen=True, slots=True, eq=False)
class _Space:
    """Where rows lie: robustly standardised numbers, whether some are missing, and categories as corners."""

    numbers: Ints  # (numbers,) columns
    middle: Floats  # (numbers,)
    spread: Floats  # (numbers,)
    gaps: Ints  # (gaps,) columns that were missing in training
    hot_places: Ints  # (hot,) the column that a corner is of
    hot_codes: Floats  # (hot,)

    @classmethod
    def fit(cls, x: Floats, how: Fit) -> "_Space":
        numbers = np.setdiff1d(np.arange(x.shape[1]), how.categories)
        known = np.where(np.isfinite(x[:, numbers]), x[:, numbers], np.nan)
        known[:, np.isnan(known).all(axis=0)] = 0.0
        low, middle, high = np.nanquantile(known, [0.25, 0.5, 0.75], axis=0) if len(numbers) else np.zeros((3, 0))
        with np.errstate(over="ignore"):
            deviation = np.nanstd(known, axis=0)
        spread = np.where(high > low, (high - low) / _QUARTILES, deviation)
        spread[~((spread > 0) & np.isfinite(spread))] = 1.0
        gaps = numbers[np.isnan(x[:, numbers]).any(axis=0)]
        sizes = [min(size, CODES_MAX) for size in how.category_sizes]
        codes = np.concatenate([np.zeros(0), *(np.arange(float(size)) for size in sizes)])
        places = np.repeat(np.array(how.categories, np.int64), np.array(sizes, np.int64))
        return cls(numbers, middle, spread, gaps, places, codes)

    def points(self, x: Floats) -> Floats:
        """(rows, dimensions); two rows of unlike categories are 1 apart in each."""
        numbers = x[:, self.numbers]
        with np.errstate(over="ignore"):
            apart = np.clip((numbers - self.middle) / self.spread, -FAR, FAR)
        hot = np.minimum(x[:, self.hot_places], CODES_MAX - 1) == self.hot_codes
        missing = np.hstack([np.isnan(x[:, self.gaps]), hot]) * _CORNER
        return np.hstack([np.where(np.isnan(numbers), 0.0, apart), missing])

    def export(self, graph: GraphWriter, x: str) -> str:
        """`points` in the graph."""
        parts = []
        if len(self.numbers):
            numbers = graph.op("Gather", x, graph.constant(self.numbers), axis=1)
            centred = graph.op("Sub", numbers, graph.constant(self.middle))
            apart = graph.op("Div", centred, graph.constant(self.spread))
            apart = graph.op("Clip", apart, graph.constant(-FAR), graph.constant(FAR))
            parts.append(graph.op("Where", graph.op("IsNaN", numbers), graph.constant(0.0), apart))
        if len(self.gaps):
            missing = graph.op("IsNaN", graph.op("Gather", x, graph.constant(self.gaps), axis=1))
            parts.append(self._corners(graph, missing))
        if len(self.hot_places):
            codes = graph.op("Gather", x, graph.constant(self.hot_places), axis=1)
            codes = graph.op("Min", codes, graph.constant(CODES_MAX - 1.0))
            parts.append(self._corners(graph, graph.op("Equal", codes, graph.constant(self.hot_codes))))
        return graph.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {name: getattr(self, name) for name in _SPACE}

    @staticmethod
    def _corners(graph: GraphWriter, flags: str) -> str:
        return graph.op("Mul", graph.op("Cast", flags, to=DOUBLE), graph.constant(_CORNER))


_CORNER: Final = float(np.sqrt(0.5))
_QUARTILES: Final = 1.349
"""Between the quartiles of a normal distribution, in standard deviations."""


def _answers(train: Examples, classes: int) -> Floats:
    each = np.ones(len(train.y)) if train.weight is None else train.weight
    answers = np.eye(classes)[train.y] if classes else np.asarray(train.y, np.float64)[:, None]
    return np.hstack([answers, np.ones((len(answers), 1))]) * each[:, None]


def _loss(scores: Floats, valid: Examples, classes: int) -> float:
    if classes:
        loss = -np.log(np.maximum(scores[np.arange(len(scores)), valid.y], 1e-15))
    else:
        loss = (scores[:, 0] - valid.y) ** 2
    return float(np.average(loss, weights=valid.weight))
