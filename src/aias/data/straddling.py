"""Copies of a row in several groups: whole groups are in one fold each, so that the copies would straddle folds.

A row that judges must not have been learned from, nor any row of its group:

several folds     all copies judge nowhere, and are fitted on wherever their own group does not judge
too few left      of all copies one alone, by chance, judges, or is fitted on where it does not; the others do neither

Within what a fold is fitted on, where each row is told something by those of other parts, its copies tell it nothing
(`apart`): there no row can be left out.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Flags, Ints
from aias.data.errors import BadSplit

LEFT_OUT: Final = -(2**15)
"""What stands for rows that no fold is fitted on, and that judge in none."""

SHARE_MIN: Final = 0.5
"""Of the rows that judged, that have to be left to judge without any of their copies."""

TELLING_MIN: Final = 0.2
"""Of the rows of other parts, that have to be left to tell something: of six copies by chance a third are."""

DRAWS: Final = 20
"""Of the copies that stand for all, until there is something to learn and to judge by: one is enough of many rows."""


def beside(fold: Any) -> Any:
    """What stands for rows that judge nowhere and belong to those that judge in this fold."""
    return -2 - fold


def apart(folds: Ints, fold: int, copies: Ints | None) -> Flags:
    """The rows of other folds that equal none of this one, (rows,); all of other folds, where too few of them would be
    left. `copies`: the number of each row's, (rows,), where some lie in several folds."""
    if copies is None or not tells(folds, fold, copies):
        return np.asarray(folds != fold)
    return _apart(folds, fold, copies)


def tells(folds: Ints, fold: int, copies: Ints) -> bool:
    """Whether enough rows of other folds equal none of this one."""
    return bool(_apart(folds, fold, copies).sum() >= TELLING_MIN * (folds != fold).sum())


def _apart(folds: Ints, fold: int, copies: Ints) -> Flags:
    others = folds != fold
    return np.asarray(others & ~np.isin(copies, copies[~others]))


def without_straddling(
    judges: npt.NDArray[np.int16], copies: Ints, labels: Ints | None, *, seed: int
) -> tuple[npt.NDArray[np.int16], int]:
    """The fold in which each row judges (`data.split.Folds`), and how many rows have a part no more. `copies`: the
    number of each row's; `labels`: of each row, where there are any. Raises `BadSplit`."""
    straddles = ~_in_one(judges, copies)
    judged = judges >= 0
    rows = np.flatnonzero(straddles & judged)
    if not len(rows):
        return judges, 0
    found = judges.copy()
    found[rows] = beside(judges[rows])
    left = found >= 0
    if left.sum() < SHARE_MIN * judged.sum() or (labels is not None and len(np.unique(labels[left])) < 2):
        found = _ones(judges, copies, straddles, labels, seed=seed)
    return _dense(found), int((found != judges).sum())


def _ones(
    judges: npt.NDArray[np.int16], copies: Ints, straddles: Flags, labels: Ints | None, *, seed: int
) -> npt.NDArray[np.int16]:
    """With one of all copies, drawn by chance: where each row stands in each group, the first ones are all in one. A
    label that is left in one fold alone judges nowhere, as there it is not learned."""
    rows, rng = np.flatnonzero(straddles), np.random.default_rng(seed)
    for _ in range(DRAWS):
        drawn = rng.permutation(rows)
        ones = drawn[np.unique(copies[drawn], return_index=True)[1]]
        found = np.where(straddles, np.int16(LEFT_OUT), judges)
        found[ones] = judges[ones]
        if labels is not None:
            kept = np.flatnonzero(found != LEFT_OUT)
            alone = kept[_in_one(found[kept], labels[kept]) & (found[kept] >= 0)]
            found[alone] = beside(found[alone])
        if _serves(found, np.arange(len(found)) if labels is None else labels):
            return found
    raise BadSplit(
        "the rows are copies of too few that stand in several groups: there is nothing left to judge by that was not"
        " learned from",
        hint="give more rows, or use the split `random`",
    )


def _in_one(folds: npt.NDArray[np.int16], numbers: Ints) -> Flags:
    """Whether all rows of a row's number are in its fold: (rows,)."""
    lowest, highest = np.full(int(numbers.max()) + 1, -LEFT_OUT), np.full(int(numbers.max()) + 1, LEFT_OUT)
    np.minimum.at(lowest, numbers, folds)
    np.maximum.at(highest, numbers, folds)
    return np.asarray((lowest == highest)[numbers])


def _serves(found: npt.NDArray[np.int16], labels: Ints) -> bool:
    """Whether several labels judge, and each fold learns several."""
    folds = np.unique(found[found >= 0])
    learned = ((found != fold) & (found != beside(fold)) & (found != LEFT_OUT) for fold in folds)
    return all(len(np.unique(labels[part])) > 1 for part in (found >= 0, *learned))


def _dense(judges: npt.NDArray[np.int16]) -> npt.NDArray[np.int16]:
    """The same without folds in which nothing judges any more."""
    kept = np.unique(judges[judges >= 0])
    held, aside = judges >= 0, (judges < -1) & (judges != LEFT_OUT)
    found = judges.copy()
    found[held] = np.searchsorted(kept, judges[held])
    fold = beside(judges[aside])
    found[aside] = np.where(np.isin(fold, kept), beside(np.searchsorted(kept, fold)), -1)
    return found
