"""Whether one model is better than another on the same rows, and not by chance: a gain is a loss below 0."""

from typing import Any

from aias.artifact.optimised import Gain
from aias.compress.comparison import Answered, evidence
from aias.compress.gate.evidence import SPENT, loss_of
from aias.core.arrays import Ints
from aias.core.task import Task


def certify(
    task: Task, y: Any, parent: Answered, child: Answered, *, seed: int, groups: Ints | None = None,
    classes: Ints | None = None,
) -> Gain:  # fmt: skip
    """The gain of `child` over `parent` by the task's metric; `groups` of the rows, where some belong together;
    `classes`: all that such rows have, though these may lack some.

    What decides is its lower limit, at the risk of any verdict: limits hold nearly, not exactly, as often as they say.
    """
    found = evidence(task, y, parent, child, seed=seed, groups=groups, classes=classes)
    loss = loss_of(task.metric, found)
    return Gain(loss.metric, -loss.value, -found.limit(1 - SPENT), -loss.low, loss.rows)
