"""A neural network for tables: members that share their layers (TabM), on robustly scaled numbers (RealMLP).

It is trained by PyTorch, and then needs it no more: NumPy and the graph run the same layers in float32.
"""

from typing import Any, ClassVar, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.graph import GraphWriter
from aias.core.task import LINKS, Task
from aias.learners.contract import COUNT, Examples, Fit, Kind, Number, OneOf, State
from aias.networks.answers import span_of, usual_outputs
from aias.networks.arithmetic import Graph, Numpy
from aias.networks.design import design
from aias.networks.initial import INITIAL
from aias.networks.inputs import ONE_HOT_MAX, Inputs
from aias.networks.network import ACTIVATIONS, EXPANSIONS, Network, in_parts
from aias.networks.optimizers import RATES
from aias.networks.rows import Rows, rows_of
from aias.networks.schedule import SCHEDULES
from aias.networks.smaller import network_made_smaller
from aias.networks.training import Training

__all__ = ["Mlp"]

DEFAULTS: Final[dict[str, Any]] = {
    "members": 8, "layers": 2, "activation": "relu", "expansion": "pieces", "expansion_parts": 16,
    "expansion_width": 4, "frequency": 0.3, "vector_width": 4, "dropout": 0.1, "weight_decay": 0.03,
    "label_smoothing": 0.0, "update": "adamw", "schedule": "warmup_stable_decay", "average_epochs": 1.0,
}  # fmt: skip

WIDTH: Final = ((10_000, 64), (100_000, 128))
"""Up to so many rows, so wide; beyond, 256."""

BATCH_ROWS: Final = ((1_000, 64), (4_000, 128), (50_000, 256), (200_000, 512))
"""Up to so many rows, so many in a batch; beyond, 1,024."""

EPOCHS: Final = ((2_000, 200), (20_000, 100), (100_000, 50))
"""Up to so many rows, at most so many epochs; beyond, 50. Most fits are stopped by patience."""

PATIENCE: Final = ((1_000, 16), (4_000, 10))
"""Up to so many rows, so many epochs without a gain before it ends; beyond, 6. Few rows are few steps an epoch."""

CODE_ROWS_MIN: Final = 20
"""Rows of a code, on average, from which codes get vectors."""

SMALLER_ROWS: Final = 2_000
"""By which it is told what neurons say, where some are left out."""

TELL_SECONDS: Final = 0.5
"""Between two events."""


class FittedMlp:
    def __init__(self, network: Network, settings: dict[str, Any], *, judged: Floats | None = None) -> None:
        self.network, self.settings, self.judged = network, settings, judged

    def scores(self, x: Floats) -> Floats:
        members, _, width = self.network.adapter.shape
        widest = max([width, *(len(layer.bias) for layer in self.network.dense)])
        found: Floats = in_parts(lambda part: self.network.scores(Numpy(), part), x, widest=members * widest)
        return found

    def export(self, graph: GraphWriter, x: str) -> str:
        return str(self.network.scores(Graph(graph), x))

    def state(self) -> State:
        return self.network.state()


class Mlp:
    name: ClassVar[str] = "mlp"
    sparse: ClassVar[bool] = False
    needs: ClassVar[tuple[str, ...]] = ("torch",)
    paced: ClassVar[bool] = True

    @staticmethod
    def takes() -> dict[str, Kind | None]:
        counts = (
            "width", "batch_rows", "epochs", "patience", "neurons", "members", "layers", "expansion_parts",
            "expansion_width", "vector_width",
        )  # fmt: skip
        return {
            **dict.fromkeys(counts, COUNT), "activation": OneOf(ACTIVATIONS[1:]), "update": OneOf(tuple(RATES)),
            "expansion": OneOf((*EXPANSIONS, "none")), "schedule": OneOf(SCHEDULES), "dropout": Number(0, 0.95),
            "initial": OneOf(INITIAL),
            "label_smoothing": Number(0, 0.95), "learning_rate": Number(above=True), "frequency": Number(above=True),
            "weight_decay": Number(), "average_epochs": Number(),
        }  # fmt: skip

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> FittedMlp:
        from aias.networks.tensors import threads

        settings = _settings(how, len(train.y))
        started = None if how.start is None else Network.load(how.start)
        inputs = started.inputs if started else _inputs(train, how)
        span = started.range if started else span_of(train.y, train.weight, how.task)
        with threads(how.threads):
            rows = _rows(inputs, train, how.task, span)
            network = started or design(
                inputs, None if rows.numbers is None else rows.numbers.numpy(), link=LINKS[how.task.type],
                usual=usual_outputs(train.y, train.weight, how.task), span=span, settings=settings, seed=how.seed,
            )  # fmt: skip
            network = network_made_smaller(network, np.asarray(train.x)[:SMALLER_ROWS], settings)
            judges = None if valid is None else _rows(inputs, valid, how.task, span)
            monitor = _Monitor(how, valid)
            training = Training(
                network, rows, judges, task=how.task, settings=settings, seed=how.seed, deadline=how.deadline,
                after=monitor.after,
            )  # fmt: skip
            training.run()
        if valid is None and training.is_short:
            # No rows judge it: what a fold's fit of other length reached says nothing of it.
            how.cuts.append(Mlp.name)
        how.tell_curve(monitor.losses, learner="mlp", counted="Epochs")
        return _fitted(training)

    @staticmethod
    def load(state: State, task: Task, settings: dict[str, Any]) -> FittedMlp:  # noqa: ARG004  the state knows its task
        return FittedMlp(Network.load(state), settings)


def _fitted(training: Training) -> FittedMlp:
    epochs = training.choice.best_epoch or max(training.epoch, 1)
    answers = None if training.choice.judged is None else training.choice.judged.copy()
    return FittedMlp(training.fitted(), {**training.settings, "epochs": epochs}, judged=answers)


class _Monitor:
    """Tells how training goes, and keeps what it has reached."""

    def __init__(self, how: Fit, valid: Examples | None) -> None:
        self.how, self.valid, self.told_at = how, valid, -TELL_SECONDS
        self.losses: dict[int, float] = {}

    def after(self, training: Training) -> None:
        now = self.how.deadline.clock()
        if self.valid is not None:
            self.losses[training.epoch] = float(training.choice.last_loss)
        if self.valid is not None and now - self.told_at >= TELL_SECONDS:
            self.told_at = now
            self._tell(training, now - training.started_at)
        if self.how.keep is not None:
            self.how.keep(lambda: _fitted(training))

    def _tell(self, training: Training, seconds: float) -> None:
        choice, loss = training.choice, training.choice.last_loss
        self.how.tell(
            f"mlp: {training.epoch} epochs, validation loss {loss:.4f}", self.valid,
            lambda x: _fitted(training).scores(x),
            learner="mlp", counted="Epochs", round=training.epoch, validation_loss=loss, best_round=choice.best_epoch,
            rows_per_second=training.step * training.batch_rows / max(seconds, 1e-9),
        )  # fmt: skip


def _settings(how: Fit, rows: int) -> dict[str, Any]:
    chosen = {
        **DEFAULTS, "width": _by_rows(WIDTH, rows, 256), "batch_rows": _by_rows(BATCH_ROWS, rows, 1_024),
        "epochs": _by_rows(EPOCHS, rows, 50), "patience": _by_rows(PATIENCE, rows, 6),
    }  # fmt: skip
    chosen |= how.settings
    return {"learning_rate": RATES[chosen["update"]], **chosen}


def _by_rows(steps: tuple[tuple[int, int], ...], rows: int, beyond: int) -> int:
    return next((value for most, value in steps if rows <= most), beyond)


def _rows(inputs: Inputs, examples: Examples, task: Task, span: Floats) -> Rows:
    return rows_of(inputs, np.asarray(examples.x), examples.y, examples.weight, task=task, span=span)


def _inputs(train: Examples, how: Fit) -> Inputs:
    """Codes of few rows each would be learned by heart: they are a number, how frequent the value is."""
    sizes = zip(how.categories, how.category_sizes, strict=True)
    known = [(place, size) for place, size in sizes if size * CODE_ROWS_MIN <= len(train.y) or size <= ONE_HOT_MAX]
    return Inputs.fit(np.asarray(train.x), [place for place, _ in known], [size for _, size in known])
