"""Where a teacher gave answers, those that rows hold judge: what a teacher has wrong its own cannot show.

random    rows that a teacher answered are learned from in every fold
group     in every fold but that of their group
time      in every fold that is later than they are
and none of them where a copy of it judges
"""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from aias.core.arrays import Flags, Ints
from aias.core.events import Event, Watch
from aias.core.task import Task
from aias.data.copies import copies as copies_of
from aias.data.dataset import Dataset
from aias.data.split import Folds, folds
from aias.data.straddling import beside

JUDGES_MIN: Final = {True: 200, False: 40}
"""Rows with answers of their own from which on they judge alone: where others were set aside that measure what comes
out, and where none were. By fewer, what is better could not be seen, and when to stop."""


def folds_of(
    dataset: Dataset, y: Any, own: Flags, *, task: Task, seed: int, count: int, how: str, holdout: float, tested: bool,
    watch: Watch,
) -> Folds:  # fmt: skip
    """`tested`: whether other rows measure what comes out. Raises `BadSplit`."""

    def made(rows: Ints) -> Folds:
        parts = min(count, max(2, len(rows) // 2)) if count > 1 else 1
        return folds(dataset.take(rows), y[rows], task=task, seed=seed, count=parts, how=how, holdout=holdout)

    mine, every = np.flatnonzero(own), np.arange(dataset.rows)
    if len(mine) == dataset.rows:
        return made(every)
    facts: dict[str, object] = {"own": len(mine), "taught": dataset.rows - len(mine)}
    if len(mine) < JUDGES_MIN[tested] or (task.classes and len(np.unique(y[mine])) < 2):
        message = f"a teacher's answers judge as well: only {len(mine):,} rows that are learned from have their own"
        watch(Event("train.judges", message, "info" if tested else "warning", facts))
        return made(every)
    watch(Event("train.judges", f"{len(mine):,} rows judge, those that no teacher answered", facts=facts))
    if how == "random":
        found = made(mine)
        judges = np.full(dataset.rows, -1, np.int16)
        judges[mine] = found.judges
        return replace(found, judges=_beside_copies(judges, copies_of(dataset)), straddling=found.straddling)
    found = made(every)
    other = -1 if found.blocks is not None else beside(found.judges)
    judges = np.where(own | (found.judges < 0), found.judges, other).astype(np.int16)
    return replace(found, judges=judges)


def _beside_copies(judges: Any, numbers: Ints) -> Any:
    """Whoever judges nowhere is not learned from in the fold in which a copy judges: what is said of that very row
    would be known by heart. `numbers`: of copies, (rows,)."""
    judged = judges >= 0
    fold = np.full(int(numbers.max()) + 1, -1, np.int16)
    fold[numbers[judged]] = judges[judged]
    of_copy = fold[numbers]
    return np.where(~judged & (of_copy >= 0), beside(of_copy), judges).astype(np.int16)


def drawn(y: Any, said: Any, rows: Flags, *, seed: int) -> Any:
    """Labels by chance, as likely as they are `said` to be, of these rows. Where a teacher's answers judge, its
    likeliest labels would have the surest model win: of a rare one there may be none."""
    if said is None or said.shape[1] < 2:
        return y
    held = np.where(np.isfinite(said), said, 0.0).cumsum(axis=1)
    luck = np.random.default_rng(seed).random(len(held))
    found = np.minimum((luck[:, None] > held).sum(axis=1), said.shape[1] - 1)
    return np.where(rows & np.isfinite(said).all(axis=1), found, y).astype(y.dtype)


def test_of(kept: Ints, aside: Ints, own: Flags, *, how: str, copies: Ints | None = None) -> tuple[Ints, Ints]:
    """The rows to learn from and those to measure on, which answer for themselves. Of the others those that nothing
    holds back from it are learned from, but for copies of those that measure. `copies`: the number of each row's,
    (rows,)."""
    taught, measuring = aside[~own[aside]], aside[own[aside]]
    if copies is not None:
        taught = taught[~np.isin(copies[taught], copies[measuring])]
    kept = np.sort(np.concatenate([kept, taught])) if how == "random" else kept
    return kept, measuring
