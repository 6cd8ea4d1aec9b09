"""Labels that stand in one row alone, or in copies of one: no fold can judge them, for none would have seen them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from aias.core.events import Event
from aias.core.task import Task
from aias.data.dataset import Ints

SHOWN_MAX: Final = 5


def alone(groups: Ints, labels: Ints) -> Ints:
    """The labels all of whose rows are in one group that has no other label; (labels,)."""
    pairs = np.unique(np.stack([labels, groups]), axis=1)  # (2, pairs)
    _, at, counts = np.unique(pairs[0], return_index=True, return_counts=True)
    shared = np.bincount(pairs[1])
    single = at[counts == 1]
    return np.asarray(pairs[0][single[shared[pairs[1][single]] == 1]], np.int64)


def notes_on(
    y: npt.NDArray[np.generic], judged: npt.NDArray[np.bool_], task: Task, *, straddling: Ints | tuple[()] = ()
) -> list[Event]:
    """What is to be known of the scores: labels that judge nowhere, and those that are known again by heart."""
    if not task.classes:
        return []
    found = []
    if len(gone := np.setdiff1d(y, y[judged])):
        names = [task.classes[code] for code in gone]
        message = (
            f"{_called(names)} learned, but scores say nothing of that: no row of it can judge, there is one alone, "
            "copies of one, one group, or too few"
        )
        found.append(Event("data.unjudged", message, "warning", {"labels": names}))
    if len(straddling):
        names = [task.classes[code] for code in straddling]
        message = (
            f"{_called(names)} known by copies of one row alone, which are in several folds: scores say how well these "
            "are known again, not how well other rows would be"
        )
        found.append(Event("data.alike", message, "warning", {"labels": names}))
    return found


def _called(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:SHOWN_MAX])
    if len(names) == 1:
        return f"the label {shown} is"
    return f"{len(names)} labels ({shown}{', …' if len(names) > SHOWN_MAX else ''}) are"
