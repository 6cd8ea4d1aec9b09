"""Distillation: trees are taught what the whole parent says of rows, of more rows than there are.

A student is limited by how often it may ask (Fakoor et al. 2020, FAST-DAD), so rows are made up: real ones in which
some columns come from another row. What the parent says of them are soft targets: probabilities, of two classes as the
label itself (cross-entropy takes it), of more by a row for each class, weighted.

A parent of one member knows of the rows that it was fitted on little more than their own answers, and adds its errors:
real rows then keep these, and rows that are made up stay nearer to them and count less.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from aias.compress.context import Context, Teacher, check_whole
from aias.compress.plain_trees import PlainTrees, in_single, plain
from aias.compress.refitted_leaves import TREES_MAX, corrected
from aias.core.arrays import Floats, Ints
from aias.core.catalog import member
from aias.core.events import nobody
from aias.core.task import Task
from aias.encoders.rows import Encoded
from aias.learners.contract import Examples, Fit
from aias.training.pipeline import ColumnsPipeline
from aias.training.selection.configuration import ALL
from aias.training.soft_labels import CHANCE_MIN, soft

LESSON_SHARE: Final = 0.15
"""Of all the time, to ask the whole parent; without a fold one fit of each member answers, in a part of that."""

ROWS_MIN: Final = 5_000
"""That are asked, however little time there is."""

ONE_MEMBER: Final = (3, 0.1, 0.3)
"""Of a parent of one: rows made up, times the real ones; the share of their columns that another row gives; and what
each weighs."""

THREADS: Final = 1
"""More wait for each other in every round: beside busy neighbours one took 1.2 s of both cores; by one thread, 3 ms."""


@dataclass(frozen=True, slots=True)
class Size:
    """`of`: how many trees are fitted, of which these are the first; 0 for no more than these. `again`: whether their
    leaves are then fitted once more, all together (`compress.refitted_leaves`)."""

    trees: int
    leaves: int
    rate: float
    of: int = 0
    again: bool = False

    def __str__(self) -> str:
        return f"{self.trees} trees of {self.leaves} leaves{', fitted again' if self.again else ''}"


def able(task: Task, sizes: Iterable[Size]) -> list[Size]:
    """These, but for fitting again what has too many trees: a round has one for each of several classes."""
    trees = task.outputs if task.type == "multiclass" else 1
    found = (replace(each, again=each.again and each.trees * trees <= TREES_MAX) for each in sizes)
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Kind:
    """What is asked of a parent of several members: `times` as many made-up rows as real ones, to each of whose columns
    another row gives its value with a chance of `share`; at most `rows` altogether, half of them real where there are
    more, and `values`."""

    times: int
    share: float
    rows: int
    values: int = 4_000_000

    def rows_max(self, width: int) -> int:
        return min(self.rows, self.values // max(width, 1))


CLASSES: Final = Kind(6, 0.25, 70_000)
AMOUNTS: Final = Kind(20, 0.1, 240_000)
"""Margins are narrow there, and both networks and trees learn more of more rows that are nearly real (docs/log.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """`said`: soft answers to the rows, the first of which are `real`."""

    columns: Floats  # (rows, width)
    said: Floats  # (rows, outputs)
    weight: Floats  # (rows,)
    real: int
    own: int
    """So many of these keep their own answers, and the noise in them."""


def lesson(context: Context, fold: int) -> Lesson:
    """Of the rows that may be fitted on; made once for a fold."""
    return context.once(("lesson", fold), lambda: _lesson(context, fold, CLASSES if context.task.classes else AMOUNTS))


def taught(context: Context, size: Size, fold: int, *, places: Sequence[int] | None = None) -> ColumnsPipeline:
    """Boosted trees in single precision that learned the lesson; over the columns at `places` only, if they are given:
    column j of what the pipeline then reads is column `places[j]` of the lesson. They are fitted once.
    """
    kept = list(range(context.encoder.layout.width)) if places is None else list(places)
    whole = replace(size, trees=size.of or size.trees, of=0, again=False)
    key = ("taught", whole, fold, tuple(kept))
    trees, seconds, left = context.once(key, lambda: _fitted(context, whole, fold, kept))
    forest = trees.forest()
    count = size.trees * forest.outputs  # a round has a tree for each output
    check_whole(seconds, left=left, less=forest.trees < count)
    forest, told = forest.some(np.arange(min(count, forest.trees))), lesson(context, fold)
    columns = told.columns[:, kept]
    if size.again:
        said, weight = told.said[told.own :, 1 if trees.two else 0 :], told.weight[told.own :]
        weight = weight / weight.mean() if len(weight) else weight
        forest = corrected(forest, trees.link, columns[told.own :], said, weight, seed=context.seed)
    fitted: Any = replace(trees, trees=in_single(forest, columns))
    return ColumnsPipeline([], fitted)


def _fitted(context: Context, size: Size, fold: int, kept: list[int]) -> tuple[PlainTrees, float, float]:
    """And the seconds that there were for it, and were left."""
    told, layout = lesson(context, fold), context.encoder.layout
    columns = np.ascontiguousarray(told.columns[:, kept])
    categories = dict(zip(layout.categories, layout.category_sizes, strict=True))
    settings: dict[str, Any] = {"rounds": size.trees, "num_leaves": size.leaves, "learning_rate": size.rate}
    if context.task.type == "binary":
        settings["objective"] = "cross_entropy"
    how = Fit(
        context.task, context.seed + fold + 1, context.fit_deadline(), THREADS, nobody, settings,
        categories=tuple(i for i, place in enumerate(kept) if place in categories),
        category_sizes=tuple(categories[place] for place in kept if place in categories),
    )  # fmt: skip
    trees = member("learners", "boosted_trees").fit(_examples(context, columns, told), None, how)
    left = how.deadline.left
    return plain(trees, two=context.task.type == "binary"), how.deadline.seconds, left


def _lesson(context: Context, fold: int, kind: Kind) -> Lesson:
    rows, most, rng = context.inside(fold), _rows_max(context, kind), np.random.default_rng(context.seed + fold - ALL)
    alone = len(context.members) == 1
    if len(rows) > most // 2 and not alone:
        rows = np.sort(rng.permutation(rows)[: most // 2])
    real = context.encoded(rows)
    times, share, each = ONE_MEMBER if alone else (kind.times, kind.share, 1.0)
    columns = real.columns if context.extra is None else np.vstack([real.columns, context.extra.columns])
    known = len(rows) if alone else 0  # rows that are not asked, for they keep their own answers
    made_up = _made_up(columns, min(times * len(columns), max(most - len(columns) + known, 0)), share, rng)
    asked = replace(real, columns=np.vstack([columns[known:], made_up]))
    assert isinstance(asked, Encoded)
    said = np.concatenate([own_answers(context, rows[:known]), _said(context.teacher(fold), asked, context.threads)])
    weight = np.concatenate([np.ones(len(columns)), np.full(len(made_up), each)])
    sound = np.asarray(np.isfinite(said).all(axis=1))  # a parent from elsewhere may have no answer for gaps
    columns = np.vstack([columns, made_up])
    counted, own = int(sound[: len(rows)].sum()), int(sound[:known].sum())
    return Lesson(columns[sound], said[sound], weight[sound], counted, own)


def _said(teacher: Teacher, asked: Encoded, threads: int) -> Floats:
    """(rows, outputs), a part of the rows in each thread: who teaches takes longer than who learns."""
    parts = [asked.take(rows) for rows in np.array_split(np.arange(asked.rows), threads) if len(rows)]
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(teacher.scores, parts)))


def _rows_max(context: Context, kind: Kind) -> int:
    """That the whole parent can answer in its share of the time, as fast as it answered when it was published."""
    row_seconds, most = 1e-6 * context.parent.manifest.row_us, kind.rows_max(context.encoder.layout.width)
    if not row_seconds:
        return most
    able = int(LESSON_SHARE * context.deadline.seconds * context.threads / row_seconds)
    return min(max(able, ROWS_MIN), most)


def own_answers(context: Context, rows: Ints) -> Floats:
    """Of rows of the table, as a teacher would say them: (rows, outputs)."""
    y = context.answers(rows)
    return np.asarray(np.eye(context.task.outputs)[y] if context.task.classes else y[:, None])


def _made_up(columns: Floats, count: int, share: float, rng: np.random.Generator) -> Floats:
    """Each a real row with some columns of another: (rows, width)."""
    own, other = rng.integers(0, len(columns), (2, count))
    swapped = rng.random((count, columns.shape[1])) < share
    return np.asarray(np.where(swapped, columns[other], columns[own]))


def _examples(context: Context, columns: Floats, told: Lesson) -> Examples:
    weight = None if (told.weight == 1).all() else told.weight / told.weight.mean()
    if context.task.type == "binary":
        return Examples(columns, told.said[:, 1], weight)
    return soft(context.task, columns, told.said, weight, least=CHANCE_MIN)
