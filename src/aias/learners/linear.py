"""Logistic regression and ridge: one convex problem, solved for one strength of regularisation after another.

    minimise  Σ weight loss(y, x W + b) / n + ‖W‖² / (2 C n)        loss: log loss, or half the squared error

by L-BFGS (Liu and Nocedal 1989) over variables scaled by the diagonal of the Hessian, so that rare terms move as easily
as common ones. From C = 1, or the setting `first`, upwards, and downwards when that hardly helped, each solution starts
from the last, until the validation loss rises; of few rows the loss of all of them, parts of which are left out in turn
(`Fit.folds`; a lasso's choice was no better for it, in seconds more). Regression targets are standardised in fitting.

With the setting `ratios` each weight of a class is held back the less, the more its feature tells that class from the
others by itself: ‖W / s‖² in place of ‖W‖², s = |log odds of the class where the feature is over 0, less those where it
is not| + RATIO_MIN (after Wang and Manning 2012, who scale the features of texts so).

With the setting `sparse` most weights come to nothing: Σ |W| / (10 C) in place of ‖W‖² / (2 C n) (the lasso, Tibshirani
1996). As |w| ≤ w² / 2|v| + |v| / 2, with equality at w = v, that is a ridge again and again, each held back by what the
one before left (Hunter and Li 2005).
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.events import nobody
from aias.core.graph import GraphWriter
from aias.core.lbfgs import Vector, minimise
from aias.core.links import answers, sigmoid, write_answers
from aias.core.side_by_side import SideBySide
from aias.core.task import Task
from aias.data.straddling import apart
from aias.learners.contract import FLAG, Examples, Fit, Kind, Number, State

__all__ = ["Linear"]

STRENGTHS: Final = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Below 0.03 where columns are many and each says little; below 0.003 few rows choose worse (docs/log.md)."""
USUAL: Final = 1.0
COARSE_FROM: Final = 3_000_000
"""Stored values times outputs from which a pass over the data costs so much that every second C must do."""
NARROW: Final = 2_000
"""Columns whose sums fit into a processor's nearest cache."""

WIDE: Final = 400
WIDE_VALUES_MIN: Final = 500_000
"""Columns, and stored values, from which those without zeros are held as they are: as CSR a product with them takes
several times as long, and that is what such a fit does all the time. Of fewer nothing is gained."""

FULL: Final = 0.4
"""Of a column's values that are no zeros, from which zeros may be multiplied, too."""

BLOCK_ROWS: Final = 65_536

PASSES_MIN: Final = 2
"""Over the rows: from where it starts, and after one step."""

ROUNDS_MAX: Final = 200
"""L-BFGS iterations for each C; the warm start makes most of them unnecessary."""
GAIN_MIN: Final = 1e-3
"""Of the loss at the first C, that less regularisation has to gain, or more is tried as well: where iterations end it
early, a solution hardly moves, and is better or worse by chance."""

LOSS_TOLERANCE: Final = 1e-6
COARSE_LOSS_TOLERANCE: Final = 1e-5
"""Relative. On ten classes of 44,000 texts the coarse one takes a quarter of the passes, and the validation loss is 1 %
higher."""
RATIO_MIN: Final = 1.0
"""Of 0, 0.1, 0.3, 0.5 and 1 the lowest log loss on `sms_spam`, `subj`, `chnsenticorp_hotel`, `review_polarity_docs`."""

SPARSE_STEPS: Final = 20
"""Ridges, one after another: 10 leave a tenth to a fifth more error, 40 a twentieth less."""
SPARSE: Final = 0.1
"""What |W| weighs at C = 1; on three draws of 100 × 600 numbers C = 3 to 10 was best."""
SPARSE_MIN: Final = 1e-3
"""A weight below is nothing, and can still come back."""

CURVATURE: Final = 0.1
"""Of the log loss at probabilities between sure and undecided: p (1 - p)."""


class LinearModel:
    """`weights` (width, outputs) and `intercept` (outputs,); a binary task has one output, the positive class's."""

    merges: ClassVar[bool] = True

    def __init__(self, weights: Floats, intercept: Floats, *, classes: int, settings: dict[str, Any]) -> None:
        self.weights, self.intercept = weights, intercept
        self.classes, self.settings = classes, settings
        self._link = "identity" if not classes else "sigmoid" if classes == 2 else "softmax"
        self.judged: Floats | None = None

    def scores(self, x: Any) -> Floats:
        return self.answer(np.asarray(x @ self.weights))

    def state(self) -> State:
        return {"weights": self.weights, "intercept": self.intercept}

    def answer(self, sums: Floats) -> Floats:
        """From `x @ weights` to probabilities or predictions."""
        return answers(sums + self.intercept, self._link)

    def export_answer(self, graph: GraphWriter, z: str) -> str:
        """`answer` in the graph, of sums that begin with the intercept."""
        return write_answers(graph, z, self._link)

    def export_both(self, graph: GraphWriter, z: str) -> str:
        """`answer` of a binary task, from the sums of both classes."""
        return graph.op("Sigmoid", z)


class Linear:
    name: ClassVar[str] = "linear"
    sparse: ClassVar[bool] = True
    merges: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ()
    shared: ClassVar[tuple[str, ...]] = ("C",)
    means: ClassVar[bool] = True

    @staticmethod
    def takes() -> dict[str, Kind | None]:
        return {"C": Number(above=True), "first": Number(above=True), "ratios": FLAG, "sparse": FLAG}

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> LinearModel:
        judged = valid or train
        if valid is None:  # how well it knows what it was fitted on is nobody's business
            how = replace(how, watch=nobody, score=None)
        problem = _Problem(train, len(how.task.classes), how)
        first = how.settings.get("C", how.settings.get("first", USUAL))
        if "C" in how.settings:
            return problem.step(None, first, judged).model
        path = _Path(problem, judged, train, how)
        best = start = path.step(None, first)
        step = 1 + problem.large
        weaker, stronger = [c for c in STRENGTHS if c > first], [c for c in reversed(STRENGTHS) if c < first]
        for strengths in (weaker[step - 1 :: step], stronger[step - 1 :: step]):
            last = lowest = start
            for c in strengths:
                if lowest is not last or problem.late():
                    break
                last = path.step(last, c)
                lowest = min(lowest, last, key=lambda step: step.loss)
            best = min(best, lowest, key=lambda step: step.loss)
            if best.loss < (1 - GAIN_MIN) * start.loss:
                break
        return best.steps[0].model

    @staticmethod
    def load(state: State, task: Task, settings: dict[str, Any]) -> LinearModel:
        return LinearModel(state["weights"], state["intercept"], classes=len(task.classes), settings=settings)


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """A solution for one C and its loss on the rows that judge."""

    state: Floats
    model: LinearModel
    loss: float


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """Solutions for one C, and the mean loss of all rows that judge, each by one that was fitted without it."""

    steps: list[_Step]
    loss: float


class _Path:
    """From one C to the next, for all rows, which come first, and for all but each part of them in turn."""

    def __init__(self, problem: "_Problem", judged: Examples, train: Examples, how: Fit) -> None:
        self.problems, self.judged = [problem], [judged]
        quiet = replace(how, watch=nobody, score=None)
        folds = np.zeros(0, np.int64) if how.folds is None or how.settings.get("sparse") else how.folds
        for part in np.unique(folds):
            self.problems.append(_Problem(train.take(apart(folds, part, how.copies)), problem.classes, quiet))
            self.judged.append(train.take(folds == part))

    def step(self, before: _Steps | None, c: float) -> _Steps:
        starts = before.steps if before else [None] * len(self.problems)
        all_three = zip(self.problems, starts, self.judged, strict=True)
        steps = [problem.step(start, c, judged) for problem, start, judged in all_three]
        rows = [len(judged.y) for judged in self.judged]
        return _Steps(steps, float(np.average([step.loss for step in steps], weights=rows)))


class _Problem:
    """The loss of one data set as a function of a flat vector: scaled weights feature by feature, then intercepts."""

    def __init__(self, train: Examples, classes: int, how: Fit) -> None:
        self.how, self.classes = how, classes
        self.rows, self.width = train.x.shape
        self.outputs = classes if classes > 2 else 1
        self.large = train.x.nnz * self.outputs > COARSE_FROM
        self.precision: Any = np.float32 if self.large else np.float64
        x = train.x.astype(self.precision, copy=False)
        self.x = x if how.settings.get("ratios") else _with_dense(x)
        # Where it is narrow, what a row adds to stays in the cache, and a second copy of all rows can be spared.
        self.x_transposed = self.x.T if self.large and self.width <= NARROW else self.x.T.tocsr()
        self.each = (np.ones(self.rows) if train.weight is None else train.weight)[:, None] / self.rows  # (rows, 1)
        self.squares = _squares(train.x, self.each)
        if classes:
            self.shift, self.scale = 0.0, 1.0
            self.y = np.eye(classes)[train.y][:, (1 if classes == 2 else slice(None))].reshape(self.rows, -1)
        else:
            self.shift = float(np.average(train.y, weights=self.each[:, 0]))
            self.scale = float(np.sqrt(np.average((train.y - self.shift) ** 2, weights=self.each[:, 0]))) or 1.0
            self.y = ((train.y - self.shift) / self.scale)[:, None]
        self.ease = self._ratios() ** 2 if how.settings.get("ratios") and classes else np.ones((1, 1))
        self.passes, self.steps, self.started_at = 0, 0, how.deadline.clock()

    def step(self, before: _Step | None, c: float, judged: Examples) -> _Step:
        """Solve for C, starting from the solution before, and tell how good it is."""
        state = before.state if before else self._start()
        state = self._solve(state, 1 / (c * self.rows) / self.ease)
        for _ in range(SPARSE_STEPS if self.how.settings.get("sparse") else 0):
            if not self.how.deadline.passed:
                state = self._solve(state, SPARSE / c / np.maximum(np.abs(self._parts(state)[0]), SPARSE_MIN))
        weights, intercept = self._parts(state)
        settings = {**self.how.settings, "C": c}
        model = LinearModel(
            weights * self.scale, intercept * self.scale + self.shift, classes=self.classes, settings=settings
        )
        step = _Step(state, model, self._loss(model, judged))
        self.steps += 1
        self._tell(step, judged)
        return step

    def _ratios(self) -> Floats:
        """How far each feature by itself tells each class from the others, (width, outputs); what is dense tells 1."""
        sparse = self.x.sparse if isinstance(self.x, SideBySide) else self.x
        there = (sparse > 0).astype(np.float64).T.tocsr()
        weight = self.each * self.rows
        rows, all_rows = (self.y * weight).sum(axis=0), weight.sum()
        seen, all_seen = there @ (self.y * weight), there @ weight
        inside = (seen + 1) / (rows + 2)
        outside = (all_seen - seen + 1) / (all_rows - rows + 2)
        ratios = np.abs(np.log(inside / outside)) + RATIO_MIN
        return np.vstack([np.ones((self.width - len(ratios), self.outputs)), ratios])

    def _solve(self, state: Floats, penalty: Floats) -> Floats:
        """L-BFGS from the weights in `state`; what it has reached when the deadline comes."""
        units = 1 / np.sqrt((CURVATURE if self.classes else 1.0) * self.squares[:, None] + penalty)
        shape = (self.width, self.outputs)
        each = np.concatenate([np.broadcast_to(units, shape).ravel(), np.ones(self.outputs)])
        units, penalty = units.astype(self.precision), penalty.astype(self.precision)
        found = minimise(
            lambda at: self._value(at, units, penalty), (state / each).astype(self.precision), rounds_max=ROUNDS_MAX,
            tolerance=COARSE_LOSS_TOLERANCE if self.large else LOSS_TOLERANCE, stop=self.late,
        )  # fmt: skip
        return np.asarray(found * each, np.float64)

    def late(self) -> bool:
        """Whether the deadline ends it here; not before a step, without which nothing would be learned."""
        if passed := self.how.deadline.passed:
            self.how.cuts.append(Linear.name)
        return passed and self.passes >= PASSES_MIN

    def _start(self) -> Floats:
        """No weights, and the intercepts that give the share of each class."""
        start = np.zeros((self.width + 1) * self.outputs)
        if self.classes:
            rates = np.clip((self.each * self.y).sum(axis=0) / self.each.sum(), 1e-6, 1 - 1e-6)
            start[-self.outputs :] = np.log(rates) if self.classes > 2 else np.log(rates / (1 - rates))
        return start

    def _loss(self, model: LinearModel, examples: Examples) -> float:
        """Mean log loss, or the mean squared error in units of the training variance."""
        scores = model.scores(examples.x)
        if self.classes:
            right = scores[np.arange(len(scores)), examples.y]
            return float(np.average(-np.log(np.maximum(right, 1e-15)), weights=examples.weight))
        return float(np.average(((scores[:, 0] - examples.y) / self.scale) ** 2, weights=examples.weight))

    def _tell(self, step: _Step, judged: Examples) -> None:
        """One step of the path, for whoever watches."""
        how, c = self.how, step.model.settings["C"]
        seconds = max(how.deadline.clock() - self.started_at, 1e-9)
        how.tell(
            f"linear: C={c:g}, validation loss {step.loss:.4f}", judged, step.model.scores,
            learner="linear", counted="Strengths of regularisation tried", round=self.steps, C=c,
            validation_loss=step.loss, rows_per_second=self.passes * self.rows / seconds,
        )  # fmt: skip

    def _parts(self, state: Vector) -> tuple[Any, Any]:
        split = self.width * self.outputs
        return state[:split].reshape(self.width, self.outputs), state[split:]

    def _value(self, state: Vector, units: Vector, penalty: Vector) -> tuple[float, Vector]:
        """The objective and its gradient, both with respect to the scaled weights."""
        self.passes += 1
        scaled, intercept = self._parts(state)
        weights = units * scaled
        z = np.asarray(self.x @ weights, np.float64) + intercept
        if not self.classes:
            off = z - self.y
            loss = 0.5 * float((self.each * off * off).sum())
        elif self.classes == 2:
            off = sigmoid(z) - self.y
            loss = float((self.each * (np.logaddexp(0, z) - self.y * z)).sum())
        else:
            top = z.max(axis=1, keepdims=True)
            powers = np.exp(z - top)
            sums = powers.sum(axis=1, keepdims=True)
            off = powers / sums - self.y
            loss = float((self.each * (np.log(sums) + top - (self.y * z).sum(axis=1, keepdims=True))).sum())
        off = self.each * off
        gradient = self.x_transposed @ off.astype(self.precision)
        held_back = penalty * weights
        gradient = units * (gradient + held_back)
        whole = loss + 0.5 * float(np.vdot(held_back, weights))
        return whole, np.concatenate([gradient.ravel(), off.sum(axis=0).astype(self.precision)])


def _with_dense(x: Any) -> Any:
    """The first columns dense, as far as that is faster: numbers come first, and then what is mostly 0."""
    rows, width = x.shape
    if isinstance(x, SideBySide) or width < WIDE or x.nnz < WIDE_VALUES_MIN:
        return x
    spared = np.cumsum(np.bincount(x.indices, minlength=width) - FULL * rows)  # (width,)
    if spared.max() <= 0:
        return x
    first = int(spared.argmax()) + 1
    return SideBySide(x[:, :first].toarray(), x[:, first:])


def _squares(x: Any, each: Floats) -> Floats:
    """Of each column the sum of its squares, each row counted as `each` says: (width,)."""
    if isinstance(x, SideBySide):
        return np.asarray(x.multiply(x).T @ each).ravel()
    sums = np.zeros(x.shape[1])
    for start in range(0, x.shape[0], BLOCK_ROWS):  # of all at once there would be three copies
        block = x[start : start + BLOCK_ROWS]
        counts = np.repeat(each[start : start + BLOCK_ROWS, 0], np.diff(block.indptr))
        np.add.at(sums, block.indices, block.data * block.data * counts)
    return sums
