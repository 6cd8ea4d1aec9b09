"""Train, validation and test rows: at random, by time or by group. Copies of a row never straddle."""

from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from typing import Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Floats, Ints
from aias.core.task import Task
from aias.data.copies import TWINS_SHARE, numbered, twins
from aias.data.copies import copies as copies_of
from aias.data.dataset import Dataset
from aias.data.errors import BadSplit
from aias.data.singletons import singletons
from aias.data.straddling import without_straddling
from aias.encoders.time import Time

FRACTIONS: Final = (0.7, 0.15, 0.15)
ROWS_MIN: Final = 3

FORWARD_SHARE: Final = 0.5
"""Of the rows, that judge under `time`: what is fitted on the earliest block alone has seen half of them."""

TIMES_MIN: Final = 50
"""Of fewer times nothing can be said of times to come: rows stand for themselves."""

JUDGED_SHARE_MIN: Final = 0.5
"""Of the rows that judge where labels of one row do not."""

_STRATA: Final = 10
"""Amounts are stratified by their tenths."""


@dataclass(frozen=True, eq=False)
class Split:
    """Sorted positions of rows; no row is in two parts; copies that would have straddled are in none."""

    train: Ints
    validation: Ints
    test: Ints
    reason: str


@dataclass(frozen=True, eq=False)
class Folds:
    """`judges`: for each row the fold in which it judges, or -1 for none; with `straddling.beside(fold)` that fold is
    not fitted on it either, and with `straddling.LEFT_OUT` none is.

    `blocks`: under `time`, the place of each row in it. Fold f is then fitted on the blocks up to f and judged by block
    f + 1. None where a fold is fitted on every row that does not judge in it.
    """

    judges: npt.NDArray[np.int16]  # (rows,)
    blocks: npt.NDArray[np.int16] | None = None  # (rows,)
    straddling: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    """Labels that stand in copies of one row alone, which are in several folds all the same."""
    copied: int = 0
    """Rows that judge nowhere, or that no fold is fitted on, since copies of them are in groups of other folds."""


def split(
    dataset: Dataset,
    y: Ints | Floats,
    *,
    task: Task,
    seed: int,
    how: str = "random",
    fractions: tuple[float, float, float] = FRACTIONS,
) -> Split:
    """Divide the rows of `dataset`, whose labels are `y`.

    `how`: `random` (stratified by label), `time:<column>` (the latest rows are the test) or `group:<column>` (rows of
    one group stay together). Under `time` and `group`, a row of validation or test that equals one of an earlier part
    is left out. A fraction of 0 gives an empty part. Raises `BadSplit`.
    """
    assert len(y) == dataset.rows
    way, column = _way(how)
    if min(fractions) < 0 or fractions[0] <= 0 or abs(sum(fractions) - 1) > 1e-9:
        raise BadSplit(
            f"the fractions {fractions} do not divide the rows", hint="use three that sum to 1: 0.7, 0.15, 0.15"
        )
    if dataset.rows < ROWS_MIN:
        raise BadSplit(f"{dataset.rows} rows cannot be divided in three", hint=f"give at least {ROWS_MIN}, better 100")
    copies = copies_of(dataset)
    if way == "random":
        return _random(copies, _strata(y, task), fractions, np.random.default_rng(seed))
    if way == "group":
        groups = _groups(dataset, column)
        parts = _assign(groups, np.zeros(len(groups), np.int64), fractions, np.random.default_rng(seed))
        reason = f"rows with the same `{column}` stay together ({groups.max() + 1:,} groups)"
    else:
        moments = _moments(dataset, column)
        parts = _by_time(moments, fractions, column)
        reason = f"the latest rows by `{column}` are the test, those before them the validation"
        if unknown := int(np.isnan(moments).sum()):
            reason += f"; {unknown:,} rows without a `{column}` are in train"
    return _without_copies(parts, copies, reason)


def folds(
    dataset: Dataset,
    y: Ints | Floats,
    *,
    task: Task,
    seed: int,
    count: int,
    how: str = "random",
    holdout: float = 0.2,
) -> Folds:
    """Which rows judge what was fitted on which others.

    Copies of a row, and rows of one group, are in one fold, or else do not judge; labels or tenths of amounts are
    spread evenly. A label that stands in copies of one row alone, or in one group, judges nowhere, since what it would
    judge had never seen it; where too little would be left to judge, copies are in several folds, but never a group.
    With a `count` of 1 a share `holdout` of the rows judges. Under `time:<column>` folds lead forward: each is judged
    by rows later than all that it was fitted on, less those that equal an earlier one; equal times stay together, so
    there may be fewer folds than `count`. Raises `BadSplit`.
    """
    way, column = _way(how)
    if way == "time":
        share = holdout if count == 1 else FORWARD_SHARE
        return _forward(_moments(dataset, column), copies_of(dataset), count=count, share=share, column=column)
    copies, strata = copies_of(dataset), _strata(y, task)
    if way == "random":
        if count > 1:
            return _dealt(copies, strata, task, count, seed, column=column)
        parts = split(dataset, y, task=task, seed=seed, how=how, fractions=(1 - holdout, holdout, 0.0))
        return Folds(np.where(np.isin(np.arange(dataset.rows), parts.validation), 0, -1).astype(np.int16))
    whole = _grouped(_groups(dataset, column), strata, task, count, seed, column=column, holdout=holdout)
    judges, copied = without_straddling(whole, copies, strata if task.classes else None, seed=seed)
    return Folds(judges, copied=copied)


def _grouped(
    groups: Ints, strata: Ints, task: Task, count: int, seed: int, *, column: str, holdout: float
) -> npt.NDArray[np.int16]:
    """The fold in which each row judges, whatever its copies do."""
    if count > 1:
        return _dealt(groups, strata, task, count, seed, column=column).judges
    if task.classes and len(singletons(groups, strata)):
        first = _dealt(groups, strata, task, max(2, round(1 / holdout)), seed, column=column).judges == 0
    else:
        shares, rng = (1 - holdout, holdout, 0.0), np.random.default_rng(seed)
        first = _assign(groups, np.zeros(len(groups), np.int64), shares, rng) == 1
    return np.where(first, 0, -1).astype(np.int16)


def _dealt(groups: Ints, strata: Ints, task: Task, count: int, seed: int, *, column: str) -> Folds:
    """`column`: whose groups they are, which then always stay together; none where they are copies of rows."""
    found = singletons(groups, strata) if task.classes else np.empty(0, np.int64)
    inside = np.isin(strata, found)
    left = strata[~inside]
    few = len(found) > 0 and len(np.unique(left)) < 2
    if few and column:
        raise BadSplit(
            f"no label, or only one, occurs in more than one group of `{column}`: nothing could be judged on a group"
            " that was not learned from",
            hint="give more groups, or use the split `random`",
        )
    if not column and (few or (len(found) and len(left) < JUDGED_SHARE_MIN * len(strata))):
        groups = numbered(np.where(inside, len(groups) + np.arange(len(groups)), groups))
        several = found[np.bincount(strata)[found] > 1]
        return Folds(_deal(groups, strata, count, np.random.default_rng(seed)), straddling=several)
    judges = np.full(len(strata), -1, np.int16)
    judges[~inside] = _deal(numbered(groups[~inside]), left, count, np.random.default_rng(seed))
    return Folds(judges)


def _way(how: str) -> tuple[str, str]:
    way, _, column = how.partition(":")
    if way not in {"random", "time", "group"} or (way == "random") == bool(column):
        raise BadSplit(f"there is no split {how!r}", hint="use random, time:<column> or group:<column>")
    return way, column


def _deal(groups: Ints, strata: Ints, count: int, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """Whole groups, the largest first, each to the fold that has the fewest rows of its stratum, then of all."""
    sizes, stratum = _of_groups(groups, strata)
    fold = np.zeros(len(sizes), np.int16)
    rows = [0] * count
    for one in np.unique(stratum):
        members = rng.permutation(np.flatnonzero(stratum == one))
        members = members[np.argsort(-sizes[members], kind="stable")]
        waiting = [(0, rows[each], each) for each in range(count)]
        heapify(waiting)
        for group, size in zip(members.tolist(), sizes[members].tolist(), strict=True):
            held, together, each = waiting[0]
            fold[group] = each
            heapreplace(waiting, (held + size, together + size, each))
        for _, together, each in waiting:
            rows[each] = together
    return fold[groups]


def _of_groups(groups: Ints, strata: Ints) -> tuple[Ints, Ints]:
    """The rows of each, and its stratum: of several labels that of its first row; (groups,) both."""
    first = np.unique(groups, return_index=True)[1]
    return np.bincount(groups), strata[first]


def _strata(y: Ints | Floats, task: Task) -> Ints:
    if task.type != "regression":
        return y.astype(np.int64)
    strata = max(1, min(_STRATA, len(y) // _STRATA))
    edges = np.unique(np.quantile(y / 2, np.linspace(0, 1, strata + 1)[1:-1]) * 2)
    return np.searchsorted(edges, y, side="right").astype(np.int64)


def _random(copies: Ints, strata: Ints, fractions: tuple[float, float, float], rng: np.random.Generator) -> Split:
    parts = _assign(copies, strata, fractions, rng)
    twins = len(copies) - int(copies.max()) - 1
    reason = "at random, stratified by the target"
    return _split(parts, reason + (f"; {twins:,} copies of rows stay with their originals" if twins else ""))


def _assign(
    groups: Ints, strata: Ints, fractions: tuple[float, float, float], rng: np.random.Generator
) -> npt.NDArray[np.int8]:
    """A part (0 train, 1 validation, 2 test) for each row, whole groups at a time, each stratum divided by itself."""
    sizes, stratum = _of_groups(groups, strata)
    part = np.zeros(len(sizes), np.int8)
    owed = np.zeros(3)  # what rounding kept from validation and test in the strata before
    for one in np.unique(stratum):
        members = rng.permutation(np.flatnonzero(stratum == one))
        rows = sizes[members].sum()
        for place in (2, 1):
            owed[place] += fractions[place] * rows
            taken = _take(sizes[members], owed[place])
            part[members[taken]] = place
            owed[place] -= sizes[members[taken]].sum()
            members = np.delete(members, taken)
    return _none_empty(part, sizes, fractions, rng)[groups]


def _take(sizes: Ints, wanted: float) -> Ints:
    """Which groups, from the first on, bring the sum of sizes nearest to `wanted`; train keeps at least one."""
    if wanted < 0.5:
        return np.empty(0, np.int64)
    if len(sizes) and sizes.max() == 1:
        return np.arange(min(round(wanted), len(sizes) - 1))
    taken: list[int] = []
    left = wanted
    for place, size in enumerate(sizes.tolist()):
        if size <= left + size / 2 and size <= max(wanted, 1) * 1.5 and len(taken) < len(sizes) - 1:
            taken.append(place)
            left -= size
        if left < 0.5:
            break
    return np.array(taken, np.int64)


def _none_empty(
    part: npt.NDArray[np.int8], sizes: Ints, fractions: tuple[float, float, float], rng: np.random.Generator
) -> npt.NDArray[np.int8]:
    """On tiny data rounding may leave a part without rows: the smallest groups of train go there."""
    wanted = [place for place in (2, 1) if fractions[place] > 0 and not (part == place).any()]
    for place in (*wanted, *(() if (part == 0).any() else (0,))):
        donors = np.flatnonzero(part == (0 if place else 2))
        if len(donors) < 2:
            raise BadSplit(
                f"only {len(sizes)} different groups of rows: too few to divide",
                hint="give more rows, or another split",
            )
        shuffled = rng.permutation(donors)
        part[shuffled[np.argmin(sizes[shuffled])]] = place
    return part


def clusters_of(dataset: Dataset, how: str) -> Ints | None:
    """For each row the number of those whose scores say no more than few others would, (rows,): of its group; of its
    time, where many rows share the times that they are parted by; or of its copies. None where each stands for itself.
    """
    way, column = _way(how)
    if way == "group":
        return _members(dataset, column)
    if way == "time":
        times, at = np.unique(_moments(dataset, column), return_inverse=True, equal_nan=False)
        if TIMES_MIN <= len(times) < (1 - TWINS_SHARE) * dataset.rows:
            return np.asarray(at)
    return twins(dataset)


def _groups(dataset: Dataset, column: str) -> Ints:
    numbers = _members(dataset, column)
    if numbers.max() + 1 < ROWS_MIN:
        raise BadSplit(f"`{column}` has only {numbers.max() + 1} groups", hint="a split needs at least 3")
    return numbers


def _members(dataset: Dataset, column: str) -> Ints:
    """Numbers of the groups; a row without a group is one of its own."""
    values = dataset.column(column)
    missing = values.is_null().to_numpy()
    numbers = numbered(values.rank("dense").fill_null(0).to_numpy().astype(np.int64))
    numbers[missing] = len(numbers) + np.arange(int(missing.sum()))
    return numbered(numbers)


def _moments(dataset: Dataset, column: str) -> Floats:
    field = dataset.schema[column]
    if field.kind == "number":
        return np.asarray(dataset.values(column), np.float64)
    if field.kind != "time":
        raise BadSplit(f"`{column}` holds no times but {field.kind} values", hint="name a time or a number column")
    return Time(field).column(dataset.values(column))[:, 0]


def _by_time(moments: Floats, fractions: tuple[float, float, float], column: str) -> npt.NDArray[np.int8]:
    """Cut the sorted times where the fractions ask for it, moved so that equal times stay together."""
    known = ~np.isnan(moments)
    times, counts = np.unique(moments[known], return_counts=True)
    wanted = [place for place in (1, 2) if fractions[place] > 0]
    if len(times) < 1 + len(wanted):
        raise BadSplit(f"`{column}` has only {len(times)} different times", hint="use another column, or `random`")
    upto = np.cumsum(counts)
    total = upto[-1]
    after_train = int(np.abs(upto - fractions[0] * total).argmin()) + 1
    after_train = min(max(after_train, 1), len(times) - len(wanted))
    after_validation = int(np.abs(upto - (fractions[0] + fractions[1]) * total).argmin()) + 1
    after_validation = after_train if fractions[1] == 0 else max(after_validation, after_train + 1)
    after_validation = len(times) if fractions[2] == 0 else min(after_validation, len(times) - 1)
    parts = np.zeros(len(moments), np.int8)
    for place, after in ((1, after_train), (2, after_validation)):
        if after < len(times):
            parts[known & (moments >= times[after])] = place
    return parts


def _forward(moments: Floats, copies: Ints, *, count: int, share: float, column: str) -> Folds:
    """Cut the latest `share` of the rows into blocks of about one size. Rows without a time are in the first block."""
    times, counts = np.unique(moments[~np.isnan(moments)], return_counts=True)
    if len(times) < 2:
        raise BadSplit(f"`{column}` has only {len(times)} different times", hint="use another column, or `random`")
    at = np.where(np.isnan(moments), -1, np.searchsorted(times, moments))  # (rows,)
    first = np.full(int(copies.max()) + 1, len(times))
    np.minimum.at(first, copies, at)
    news = np.unique(at[(at == first[copies]) & (at > 0)])  # times with rows that equal no earlier one: a block's begin
    if not len(news):
        raise BadSplit("every later row is a copy of an earlier one", hint="use the split `random`")
    before = (np.cumsum(counts) - counts)[news]
    wanted = counts.sum() * (1 - share + share * np.arange(count) / count)
    starts = np.unique([news[np.abs(before - rows).argmin()] for rows in wanted])
    blocks = np.searchsorted(starts, at, side="right")
    judges = np.where(blocks > np.searchsorted(starts, first, side="right")[copies], -1, blocks - 1)
    return Folds(judges.astype(np.int16), blocks.astype(np.int16))


def _without_copies(parts: npt.NDArray[np.int8], copies: Ints, reason: str) -> Split:
    """Leave out of validation and test what an earlier part already holds."""
    earliest = np.full(int(copies.max()) + 1, 3, np.int8)
    np.minimum.at(earliest, copies, parts)
    straddles = parts > earliest[copies]
    kept = np.where(straddles, np.int8(3), parts)
    gone = int(straddles.sum())
    if gone:
        reason += f"; {gone:,} rows of validation and test equal earlier rows and are left out"
    for place, name in ((1, "validation"), (2, "test")):
        if (parts == place).any() and not (kept == place).any():
            raise BadSplit(f"every row of the {name} part is a copy of an earlier row", hint="use the split `random`")
    return _split(kept, reason)


def _split(parts: npt.NDArray[np.int8], reason: str) -> Split:
    train, validation, test = (np.flatnonzero(parts == place) for place in range(3))
    return Split(train, validation, test, reason)
