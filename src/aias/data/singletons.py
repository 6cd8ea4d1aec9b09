"""Singletons: labels with one row only, or with copies of one row. No fold can judge them: no fit has seen them."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Flags, Ints
from aias.core.events import Event
from aias.core.task import Task

SHOWN_MAX: Final = 5


def singletons(groups: Ints, labels: Ints) -> Ints:
    """The labels all of whose rows are in one group that has no other label; (labels,)."""
    first, last = _ends(groups, labels)
    lowest, highest = _ends(labels, groups)
    found = np.unique(labels)
    found = found[first[found] == last[found]]
    return np.asarray(found[lowest[first[found]] == highest[first[found]]], np.int64)


def _ends(values: Ints, of: Ints) -> tuple[Ints, Ints]:
    """The smallest and the largest value of each group; both (largest of `of` + 1,)."""
    least, most = np.full(int(of.max()) + 1, np.iinfo(np.int64).max), np.full(int(of.max()) + 1, -1)
    np.minimum.at(least, of, values)
    np.maximum.at(most, of, values)
    return least, most


def notes_on(
    y: npt.NDArray[np.generic], judged: Flags, task: Task, *, straddling: Ints | tuple[()] = ()
) -> list[Event]:
    """Warnings about the scores: labels that are judged nowhere, and labels that are recognised by copies of a row."""
    if not task.classes:
        return []
    found = []
    if len(gone := np.setdiff1d(y, y[judged])):
        names = [task.classes[code] for code in gone]
        message = (
            f"{_called(names)} learned, and no score says how well: too few rows, only copies of one row, or only one "
            "group"
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
