"""Amounts that spread over orders of magnitude, learned as their logarithms: with the setting `log_target`.

    learned    z = log(y + shift)                     shift 0 where all amounts are above 0, 1 where some are 0
    answered   smear exp(z) - shift                   z kept within what was seen, `ROOM` beyond on either side

The exponential of a mean logarithm is a median, too low for a mean; `smear` is the factor by which the judging rows'
amounts are nearest to it in squares (a least squares form of Duan 1983, JASA 78, 605-610) or, by MAPE, in shares.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.graph import GraphWriter
from aias.core.task import Task
from aias.encoders.rows import Encoded
from aias.learners.contract import State, joined
from aias.training.pipeline import Pipeline

ROOM: Final = float(np.log(1.5))
"""A linear model that goes on beyond what it saw is soon wrong by orders of magnitude."""

SMEARED: Final = frozenset({"rmse", "r2"})
"""Metrics that are best at the mean."""

JUDGED_BY: Final = SMEARED | {"mae", "median_absolute_error", "mape", "rmsle"}

SKEWED_MIN: Final = 0.75
"""Below, logarithms learn nothing that the amounts do not; normal amounts have 0, exponential ones 2."""


@dataclass(frozen=True, slots=True)
class Logarithms:
    """`low`, `high`: between which a logarithm is answered."""

    shift: float
    low: float
    high: float
    smears: bool
    shares: bool = False
    """Whether errors are judged as shares of the amounts."""

    @classmethod
    def of(cls, task: Task, y: Floats) -> "Logarithms":
        """Of all amounts that are learned from, (rows,), none below 0."""
        shift = 0.0 if y.min() > 0 else 1.0
        z = np.log(y + shift)
        return cls(shift, float(z.min()) - ROOM, float(z.max()) + ROOM, task.metric in SMEARED, task.metric == "mape")

    def to(self, y: Any) -> Floats:
        return np.asarray(np.log(y + self.shift))

    def back(self, z: Floats, smear: float = 1.0) -> Floats:
        return smear * np.exp(np.clip(z, self.low, self.high)) - self.shift

    def smear(self, y: Floats, z: Floats) -> float:
        """`y`: amounts; `z`: what was answered for their logarithms, both (rows,)."""
        said = self.back(z) + self.shift
        if self.shares and len(y):
            return _median(y / said, said / y)
        return float((y + self.shift) @ said / (said @ said)) if self.smears and len(y) else 1.0

    def judged(self, y: Floats, z: Floats) -> Floats:
        """The answers to the rows that judge, (rows, 1); each half is smeared as the other says."""
        if len(y) < 2:
            return self.back(z)
        halves = (slice(0, None, 2), slice(1, None, 2))
        smears = [self.smear(y[half], z[half, 0]) for half in reversed(halves)]
        return joined([self.back(z[half], smear) for half, smear in zip(halves, smears, strict=True)])


@dataclass(eq=False)
class LogPipeline:
    """A pipeline that knows logarithms, answering amounts."""

    inner: Pipeline
    logarithms: Logarithms
    smear: float

    @property
    def settings(self) -> Mapping[str, Any]:
        return self.inner.settings

    def scores(self, encoded: Encoded) -> Floats:
        return self.logarithms.back(self.inner.scores(encoded), self.smear)

    def state(self) -> State:
        return self.inner.state()

    def export(self, graph: GraphWriter) -> str:
        z, logs = self.inner.export(graph), self.logarithms
        held = graph.op("Clip", z, graph.constant(np.float64(logs.low)), graph.constant(np.float64(logs.high)))
        amounts = graph.op("Mul", graph.op("Exp", held), graph.constant(np.float64(self.smear)))
        return graph.op("Sub", amounts, graph.constant(np.float64(logs.shift))) if logs.shift else amounts


def learned_as(task: Task) -> Task:
    """What is learned of logarithms: a share of an amount is a difference of them."""
    return replace(task, metric="mae") if task.metric == "mape" else task


def _median(values: Floats, weights: Floats) -> float:
    """The value by which Σ weight |value - it| is least."""
    order = np.argsort(values)
    up_to = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(up_to, up_to[-1] / 2)])


def is_skewed(task: Task, y: Any) -> bool:
    """Whether amounts are worth learning as logarithms: none below 0, and much less skewed so."""
    if task.type != "regression" or task.metric not in JUDGED_BY or not len(y) or y.min() < 0:
        return False
    plain, logs = _skewness(y), abs(_skewness(Logarithms.of(task, y).to(y)))
    return plain > SKEWED_MIN and logs < plain


def _skewness(x: Floats) -> float:
    deviation = x.std()
    return float((((x - x.mean()) / deviation) ** 3).mean()) if deviation > 0 else 0.0
