"""A small neural network on words and whatever else is sparse: its first layer reads the features that `linear` reads.

It is trained by stochastic gradient descent in NumPy (`networks/descent.py`): plainly (`update="sgd"`), with momentum,
with Adam or schedule-free. It takes part only where it is asked for by name.
"""

from typing import Any, ClassVar, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.graph import GraphWriter
from aias.core.task import LINKS, Task
from aias.learners.contract import COUNT, Examples, Fit, Kind, Number, OneOf, State
from aias.networks.answers import span_of, usual_outputs
from aias.networks.arithmetic import Graph, Numpy
from aias.networks.best_epoch import BestEpoch
from aias.networks.chain import Chain, new_chain
from aias.networks.descent import RATES, Descent
from aias.networks.initial import INITIAL
from aias.networks.schedule import SCHEDULES, Schedule
from aias.networks.smaller import made_smaller

__all__ = ["TextMlp"]

DEFAULTS: Final[dict[str, Any]] = {
    "width": 32, "layers": 1, "update": "adam", "schedule": "cosine", "batch_rows": 64, "epochs": 20, "patience": 5,
    "weight_decay": 0.0, "average_epochs": 0.0,
}  # fmt: skip

TELL_SECONDS: Final = 0.5
"""Between two events."""


class TextMlpModel:
    """What `LinearPipeline` asks of a model: the weights of the features, and what follows from their sums."""

    def __init__(self, chain: Chain, *, classes: int, settings: dict[str, Any], judged: Floats | None = None) -> None:
        self.chain, self.classes, self.settings, self.judged = chain, classes, settings, judged
        self.weights = chain.weights.astype(np.float64)

    def scores(self, x: Any) -> Floats:
        return self.answer(np.asarray(x @ self.weights))

    def answer(self, sums: Floats) -> Floats:
        return np.asarray(self.chain.answer(Numpy(), sums.astype(np.float32)))

    def export_answer(self, graph: GraphWriter, sums: str) -> str:
        do = Graph(graph)
        return str(self.chain.answer(do, do.cast(sums, np.float32)))

    def state(self) -> State:
        return self.chain.state()


class TextMlp:
    name: ClassVar[str] = "text_mlp"
    sparse: ClassVar[bool] = True
    needs: ClassVar[tuple[str, ...]] = ()
    asked_only: ClassVar[bool] = True

    @staticmethod
    def takes() -> dict[str, Kind | None]:
        counts = ("width", "layers", "batch_rows", "epochs", "patience", "neurons", "rank")
        return {
            **dict.fromkeys(counts, COUNT), "update": OneOf(tuple(RATES)), "schedule": OneOf(SCHEDULES),
            "initial": OneOf(INITIAL),
            "learning_rate": Number(above=True), "weight_decay": Number(), "average_epochs": Number(),
        }  # fmt: skip

    @staticmethod
    def fit(train: Examples, valid: Examples | None, how: Fit) -> TextMlpModel:
        training = _Training(train, valid, how)
        fitted = training.run()
        how.tell_curve(training.losses, learner="text_mlp", counted="Epochs")
        return fitted

    @staticmethod
    def load(state: State, task: Task, settings: dict[str, Any]) -> TextMlpModel:
        return TextMlpModel(Chain.load(state), classes=len(task.classes), settings=settings)


class _Training:
    """Epoch after epoch, until epochs, patience or time are out; the best epoch is kept."""

    def __init__(self, train: Examples, valid: Examples | None, how: Fit) -> None:
        chosen = {**DEFAULTS, **how.settings}
        self.settings: dict[str, Any] = {"learning_rate": RATES[chosen["update"]], **chosen}
        self.how, self.valid = how, valid
        self.x = train.x.astype(np.float32)
        weight = np.ones(self.x.shape[0]) if train.weight is None else train.weight
        self.weight = weight.astype(np.float32)
        span = span_of(train.y, train.weight, how.task) if how.start is None else Chain.load(how.start).span
        self.y = train.y if how.task.classes else ((train.y - span[0]) / span[1]).astype(np.float32)
        chain = self._new(train, span) if how.start is None else Chain.load(how.start)
        self.descent = Descent(made_smaller(chain, self.x, self.settings), how.task, self.settings)
        self.choice, self.best = BestEpoch(), self.descent.chain()
        self.rng = np.random.default_rng(how.seed)
        self.epoch, self.told_at = 0, -TELL_SECONDS
        self.losses: dict[int, float] = {}

    def run(self) -> TextMlpModel:
        rows, batch = self.x.shape[0], self.settings["batch_rows"]
        count = -(-rows // batch)
        schedule = Schedule(self.settings["schedule"], self.settings["epochs"] * count)
        while self.epoch < self.settings["epochs"]:
            for part in np.array_split(self.rng.permutation(rows), count):
                if self.descent.steps and self.how.deadline.passed:
                    return self._fitted(self._last())
                rate = self.settings["learning_rate"] * schedule.rate(self.descent.steps)
                self.descent.step(self.x[part], self.y[part], self.weight[part], rate)
                if self.settings["average_epochs"]:
                    self.descent.average(max(1.0, self.settings["average_epochs"] * count))
            self.epoch += 1
            if self.valid is not None and self._stale():
                break
            if self.how.keep is not None:
                kept: Any = lambda: self._fitted(self._last())  # noqa: E731
                self.how.keep(kept)
        return self._fitted(self._last())

    def _last(self) -> Chain:
        return self.best if self.choice.best_epoch else self.descent.chain()

    def _stale(self) -> bool:
        """After the epoch was judged: whether too many have passed since the best."""
        assert self.valid is not None
        chain = self.descent.chain()
        answers = TextMlpModel(chain, classes=len(self.how.task.classes), settings={}).scores(self.valid.x)
        losses = _losses(self.how.task, answers, self.valid.y, chain.span)
        weighed = losses if self.valid.weight is None else losses * self.valid.weight
        if self.choice.better(self.epoch, answers, weighed):
            self.best = chain
        self.losses[self.epoch] = float(self.choice.last_loss)
        self._tell(answers)
        return bool(self.epoch - self.choice.best_epoch >= self.settings["patience"])

    def _tell(self, answers: Floats) -> None:
        how, loss, now = self.how, self.choice.last_loss, self.how.deadline.left
        if self.epoch > 1 and abs(self.told_at - now) < TELL_SECONDS:
            return
        self.told_at = now
        how.tell(
            f"text_mlp: {self.epoch} epochs, validation loss {loss:.4f}", self.valid, answers,
            learner="text_mlp", counted="Epochs", round=self.epoch, validation_loss=loss,
            best_round=self.choice.best_epoch,
        )  # fmt: skip

    def _fitted(self, chain: Chain) -> TextMlpModel:
        epochs = self.choice.best_epoch or max(self.epoch, 1)
        judged = None if self.choice.judged is None else self.choice.judged.copy()
        settings = {**self.settings, "epochs": epochs}
        return TextMlpModel(chain, classes=len(self.how.task.classes), settings=settings, judged=judged)

    def _new(self, train: Examples, span: Floats) -> Chain:
        task, settings = self.how.task, self.settings
        outputs = 1 if task.type != "multiclass" else len(task.classes)
        sizes = [self.x.shape[1], *[settings["width"]] * settings["layers"], outputs]
        length = float(np.sqrt(self.x.multiply(self.x).sum() / max(self.x.shape[0], 1)))
        return new_chain(
            sizes,
            length=length,
            link=LINKS[task.type],
            usual=usual_outputs(train.y, train.weight, task),
            span=span,
            seed=self.how.seed,
            initial=settings.get("initial", INITIAL[0]),
        )


def _losses(task: Task, answers: Floats, y: Any, span: Floats) -> Floats:
    """Of each row: the log loss, or the squared error in units of the training variance."""
    if task.classes:
        return np.asarray(-np.log(np.maximum(answers[np.arange(len(y)), y], 1e-7)))
    return np.asarray(((answers[:, 0] - y) / span[1]) ** 2)
