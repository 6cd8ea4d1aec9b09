"""What answers are worth that are the same for every row: what a model has to beat."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from aias.core.arrays import Floats
from aias.core.events import Event, Watch
from aias.core.task import LABEL_METRICS, Measurement, Task, written
from aias.training.scoring import metrics
from aias.training.selection.weights import worth


def chance(task: Task, y: Any) -> float:
    """By the task's metric, turned so that more is better."""
    return _of_all(task, y, metrics.alike(task, y))


def tell_of_chance(task: Task, y: Any, learned: Any, measured: Sequence[Measurement], *, watch: Watch) -> bool:
    """Where it is not certain that more is known of the judged rows `y` than what is usual, or that one label for all
    is not as good; whether that is so. What is usual is known from the rows that were `learned`: of labels their
    shares, each with a row more (Laplace), since by the judged rows' own it would know which labels came up."""
    labels: Any = np.eye(len(task.classes)) if task.metric in LABEL_METRICS - {"recall"} else []
    usual = metrics.alike(task, learned)
    if task.classes:
        usual = (len(learned) * usual + 1) / (len(learned) + len(task.classes))
    known = max(_of_all(task, y, each) for each in (usual, *labels))
    sign = 1.0 if task.direction == "higher" else -1.0
    for one in measured:
        ends = [end * sign for end in (one.low, one.high) if end is not None]
        if one.metric == task.metric != "ece" and min(ends, default=known) <= known:  # few rows have no interval
            said = f"the same answer for every row gives {one.metric} {written(known * sign)}"
            facts = {"metric": one.metric, "usual": known * sign}
            watch(Event("train.chance", f"{said}: this is not certain to be better", "warning", facts))
            return True
    return False


def _of_all(task: Task, y: Any, same: Floats) -> float:
    found = worth(task, y, np.tile(same, (len(y), 1)))
    return found if np.isfinite(found) else -np.inf
