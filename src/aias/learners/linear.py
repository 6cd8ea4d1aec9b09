"""Logistic regression and ridge: one convex problem, solved from strong to weak regularisation.

    minimise  mean loss(y, x W + b) + ‖W‖² / (2 C n)        loss: log loss, or half the squared error

by L-BFGS (Liu and Nocedal 1989) along a path of C, each step starting from the last, until the validation loss has
risen twice. Regression targets are standardised while fitting.
"""

from typing import Any, ClassVar, Final

import numpy as np

from aias.core.events import Event
from aias.core.graph import GraphWriter
from aias.encoders.contract import Floats
from aias.learners.contract import Examples, Fit

__all__ = ["Linear"]

PATH: Final = (0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
SHORT_PATH: Final = (1.0, 10.0, 100.0)
"""For many outputs, where each step costs many times more."""
MANY_OUTPUTS: Final = 10
ROUNDS_MAX: Final = 200
"""L-BFGS iterations for each C; the warm start makes most of them unnecessary."""
LOSS_TOLERANCE: Final = 1e-6
"""Relative; on six text and table sets a tighter one moved no accuracy by more than 0.1 points."""


class LinearModel:
    """`weights` (width, outputs) and `intercept` (outputs,); a binary task has one output, the positive class's."""

    def __init__(self, weights: Floats, intercept: Floats, *, classes: int, settings: dict[str, Any]) -> None:
        self.weights, self.intercept = weights, intercept
        self.classes, self.settings = classes, settings

    def scores(self, x: Any) -> Floats:
        return self.answer(np.asarray(x @ self.weights))

    def answer(self, sums: Floats) -> Floats:
        """From `x @ weights` to probabilities or predictions."""
        z = sums + self.intercept
        if not self.classes:
            return z
        if self.classes == 2:
            return _sigmoid(z * np.array([[-1.0, 1.0]]))
        return _softmax(z)

    def export_answer(self, graph: GraphWriter, sums: str) -> str:
        """`answer` in the graph."""
        z = graph.op("Add", sums, graph.constant(self.intercept))
        if not self.classes:
            return z
        if self.classes == 2:
            return graph.op("Sigmoid", graph.op("Mul", z, graph.constant(np.array([[-1.0, 1.0]]))))
        return graph.op("Softmax", z, axis=1)


class Linear:
    name: ClassVar[str] = "linear"
    sparse: ClassVar[bool] = True

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> LinearModel:
        classes = len(how.task.classes)
        problem = _Problem(train, classes, how)
        usual = SHORT_PATH if classes > MANY_OUTPUTS else PATH
        path = [how.settings["C"]] if "C" in how.settings else list(usual)
        best: LinearModel | None = None
        best_loss, worse = np.inf, 0
        state = problem.start
        for step, c in enumerate(path):
            state = problem.solve(state, c, how)
            model = problem.model(state, {"C": c})
            loss = problem.loss(model, valid or train)
            problem.tell(how, model, valid or train, {"round": step + 1, "rounds": len(path), "validation_loss": loss})
            worse = worse + 1 if loss >= best_loss else 0
            if loss < best_loss:
                best, best_loss = model, loss
            if worse == 2 or how.deadline.passed:
                break
        assert best is not None, "the path has at least one step, and its loss is finite"
        return best


class _Problem:
    """The loss of one data set as a function of a flat vector of weights, feature by feature, then intercepts."""

    def __init__(self, train: Examples, classes: int, how: Fit) -> None:
        self.x, self.x_transposed, self.classes = train.x, train.x.T.tocsr(), classes
        self.rows, self.width = train.x.shape
        self.outputs = classes if classes > 2 else 1
        if classes:
            self.shift, self.scale = 0.0, 1.0
            self.y = np.eye(classes)[train.y][:, (1 if classes == 2 else slice(None))].reshape(self.rows, -1)
        else:
            self.shift, self.scale = float(np.mean(train.y)), float(np.std(train.y)) or 1.0
            self.y = ((train.y - self.shift) / self.scale)[:, None]
        self.passes, self.started_at = 0, how.deadline.clock()
        self.start = np.zeros((self.width + 1) * self.outputs)
        if classes:
            rates = np.clip(self.y.mean(axis=0), 1e-6, 1 - 1e-6)
            self.start[-self.outputs :] = np.log(rates) if classes > 2 else np.log(rates / (1 - rates))

    def solve(self, state: Floats, c: float, how: Fit) -> Floats:
        """L-BFGS from `state`; what it has reached when the deadline comes."""
        from scipy import optimize

        def stop_in_time(at: Floats) -> None:
            nonlocal state
            state = at
            if how.deadline.passed:
                raise StopIteration

        found = optimize.minimize(
            self._value, state, args=(1 / (c * self.rows),), jac=True, method="L-BFGS-B", callback=stop_in_time,
            options={"maxiter": ROUNDS_MAX, "ftol": LOSS_TOLERANCE},
        )  # fmt: skip
        return np.asarray(found.x, np.float64)

    def model(self, state: Floats, settings: dict[str, Any]) -> LinearModel:
        weights, intercept = self._parts(state)
        return LinearModel(
            weights * self.scale, intercept * self.scale + self.shift, classes=self.classes, settings=settings
        )

    def loss(self, model: LinearModel, examples: Examples) -> float:
        """Mean log loss, or the mean squared error in units of the training variance."""
        scores = model.scores(examples.x)
        if self.classes:
            right = scores[np.arange(len(scores)), examples.y]
            return float(-np.log(np.maximum(right, 1e-15)).mean())
        return float((((scores[:, 0] - examples.y) / self.scale) ** 2).mean())

    def tell(self, how: Fit, model: LinearModel, judged: Examples, facts: dict[str, object]) -> None:
        """One step of the path, for whoever watches."""
        seconds = max(how.deadline.clock() - self.started_at, 1e-9)
        facts |= {"learner": "linear", "C": model.settings["C"], "rows_per_second": self.passes * self.rows / seconds,
                  "seconds_left": how.deadline.left}  # fmt: skip
        if how.score is not None:
            facts["score"] = how.score(judged.y, model.scores(judged.x))
        message = f"linear: C={model.settings['C']:g}, validation loss {facts['validation_loss']:.4f}"
        how.watch(Event("train.round", message + _scored(how, facts), "debug", facts))

    def _parts(self, state: Floats) -> tuple[Floats, Floats]:
        split = self.width * self.outputs
        return state[:split].reshape(self.width, self.outputs), state[split:]

    def _value(self, state: Floats, penalty: float) -> tuple[float, Floats]:
        self.passes += 1
        weights, intercept = self._parts(state)
        z = self.x @ weights + intercept
        if not self.classes:
            off = z - self.y
            loss = 0.5 * float((off * off).mean())
        elif self.classes == 2:
            off = _sigmoid(z) - self.y
            loss = float((np.logaddexp(0, z) - self.y * z).mean())
        else:
            top = z.max(axis=1, keepdims=True)
            sums = np.exp(z - top).sum(axis=1, keepdims=True)
            off = np.exp(z - top) / sums - self.y
            loss = float((np.log(sums) + top - (self.y * z).sum(axis=1, keepdims=True)).mean())
        gradient = np.asarray(self.x_transposed @ off) / self.rows + penalty * weights
        whole = np.concatenate([gradient.ravel(), off.mean(axis=0)])
        return loss + 0.5 * penalty * float((weights * weights).sum()), whole


def _sigmoid(z: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return 1 / (1 + np.exp(-z))


def _softmax(z: Floats) -> Floats:
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def _scored(how: Fit, facts: dict[str, object]) -> str:
    return f", {how.task.metric} {facts['score']:.4f}" if "score" in facts else ""
