"""Whether one model is better than another on the same rows, and not by chance: a gain is a loss below 0."""

from typing import Any

from aias.artifact.optimised import Gain
from aias.compress.comparison import Answered, evidence
from aias.compress.gate.evidence import loss_of
from aias.core.arrays import Ints
from aias.core.task import Task


def certify(
    task: Task, y: Any, parent: Answered, child: Answered, *, seed: int, groups: Ints | None = None,
    classes: Ints | None = None,
) -> Gain:  # fmt: skip
    """The gain of `child` over `parent` by the task's metric; `groups` of the rows, where some belong together;
    `classes`: all that such rows have, though these may lack some."""
    loss = loss_of(task.metric, evidence(task, y, parent, child, seed=seed, groups=groups, classes=classes))
    return Gain(loss.metric, -loss.value, -loss.high, -loss.low, loss.rows)
