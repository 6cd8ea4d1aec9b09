"""Whether one model is better than another on the same rows, and not by chance: a gain is a loss below 0."""

from typing import Any

from aias.artifact.optimised import Gain
from aias.compress.comparison import Answered, evidence
from aias.compress.gate.evidence import loss_of
from aias.core.arrays import Ints
from aias.core.task import Task


def certify(task: Task, y: Any, parent: Answered, child: Answered, *, seed: int, groups: Ints | None = None) -> Gain:
    """The gain of `child` over `parent` by the task's metric; `groups` of the rows, where some belong together."""
    loss = loss_of(task.metric, evidence(task, y, parent, child, seed=seed, groups=groups))
    return Gain(loss.metric, -loss.value, -loss.high, -loss.low, loss.rows)
