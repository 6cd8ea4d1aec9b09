"""Whether one model is better than another on the same rows, and not by chance: a gain is a loss below 0."""

from dataclasses import dataclass
from typing import Any

from aias.artifact.optimised import gained
from aias.compress.gate.evidence import loss_of
from aias.compress.paired import Answered, evidence
from aias.core.task import Task
from aias.encoders.contract import Ints


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better by the metric; above 0 is better, whatever its direction. With 95 % confidence the gain is above
    `low`, and with the same below `high`."""

    metric: str
    value: float
    low: float
    high: float
    rows: int

    @property
    def certain(self) -> bool:
        return self.low > 0

    def __str__(self) -> str:
        return f"{self.metric} {gained(self.value)} ({gained(self.low)} to {gained(self.high)}, {self.rows:,} rows)"


def certify(task: Task, y: Any, parent: Answered, child: Answered, *, seed: int, groups: Ints | None = None) -> Gain:
    """The gain of `child` over `parent` by the task's metric; `groups` of the rows, where some belong together."""
    loss = loss_of(task.metric, evidence(task, y, parent, child, seed=seed, groups=groups))
    return Gain(loss.metric, -loss.value, -loss.high, -loss.low, loss.rows)
