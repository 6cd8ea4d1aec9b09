"""Distillation: boosted trees learn what the whole parent answers, on a transfer set larger than the training rows.

A student is limited by how often the parent may be asked (Fakoor et al. 2020, FAST-DAD), so rows are synthesised: real
rows in which some columns come from another row. The parent's answers are soft targets: for two classes the probability
is the label itself (cross-entropy takes it); for more, a row for each class, weighted by its probability.

A parent of one member knows little more of its own training rows than their labels, and adds its errors. There, real
rows keep their labels, and synthetic rows stay nearer to them and count less.
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

TRANSFER_SHARE: Final = 0.15
"""The share of the time for asking the whole parent. Without a fold one fit of each member answers, in less."""

ROWS_MIN: Final = 5_000
"""Asked, however little time there is."""

ONE_MEMBER: Final = (3, 0.1, 0.3)
"""For a parent of one member: synthetic rows per real row; the share of their columns that come from another row; and
the weight of each."""

THREADS: Final = 1
"""More threads wait for each other in every round: on a busy machine two took 1.2 s of both cores, one thread 3 ms."""


@dataclass(frozen=True, slots=True)
class Size:
    """`of`: how many trees are fitted, of which the first `trees` are kept; 0 for no more than these. `again`: whether
    all their leaves are refitted together afterwards (`compress.refitted_leaves`)."""

    trees: int
    leaves: int
    rate: float
    of: int = 0
    again: bool = False

    def __str__(self) -> str:
        return f"{self.trees} trees of {self.leaves} leaves{', fitted again' if self.again else ''}"


def able(task: Task, sizes: Iterable[Size]) -> list[Size]:
    """The same sizes, without refitting where there are too many trees: a round has one for each of several classes."""
    trees = task.outputs if task.type == "multiclass" else 1
    found = (replace(each, again=each.again and each.trees * trees <= TREES_MAX) for each in sizes)
    return list(dict.fromkeys(found))


@dataclass(frozen=True, slots=True)
class Synthesis:
    """Synthetic rows for a parent of several members: `times` as many as real ones. Each column takes its value from
    another row with probability `share`. At most `rows` altogether, half of them real where there are more; and at most
    `values`."""

    times: int
    share: float
    rows: int
    values: int = 4_000_000

    def rows_max(self, width: int) -> int:
        return min(self.rows, self.values // max(width, 1))


CLASSES: Final = Synthesis(6, 0.25, 70_000)
AMOUNTS: Final = Synthesis(20, 0.1, 240_000)
"""Margins are narrow for amounts, and both networks and trees gain by more rows that are nearly real (docs/log.md)."""


@dataclass(frozen=True, slots=True, eq=False)
class TransferSet:
    """Rows and the soft targets to learn, `said`. The first `real` rows are real; the first `own` of these keep their
    labels, noise included."""

    columns: Floats  # (rows, width)
    said: Floats  # (rows, outputs)
    weight: Floats  # (rows,)
    real: int
    own: int


def transfer_set(context: Context, fold: int) -> TransferSet:
    """From the rows that may be fitted on; made once for a fold."""
    synthesis = CLASSES if context.task.classes else AMOUNTS
    return context.once(("transfer set", fold), lambda: _transfer_set(context, fold, synthesis))


def taught(context: Context, size: Size, fold: int, *, places: Sequence[int] | None = None) -> ColumnsPipeline:
    """Boosted trees in single precision, fitted once to the transfer set; on the columns at `places` only, if given:
    column j of what the pipeline then reads is column `places[j]` of the transfer set.
    """
    kept = list(range(context.encoder.layout.width)) if places is None else list(places)
    whole = replace(size, trees=size.of or size.trees, of=0, again=False)
    key = ("taught", whole, fold, tuple(kept))
    trees, seconds, left = context.once(key, lambda: _fitted(context, whole, fold, kept))
    forest = trees.forest()
    count = size.trees * forest.outputs  # a round has a tree for each output
    check_whole(seconds, left=left, less=forest.trees < count, done=forest.trees / count)
    forest, told = forest.some(np.arange(min(count, forest.trees))), transfer_set(context, fold)
    columns = told.columns[:, kept]
    if size.again:
        said, weight = told.said[told.own :, 1 if trees.two else 0 :], told.weight[told.own :]
        weight = weight / weight.mean() if len(weight) else weight
        forest = corrected(forest, trees.link, columns[told.own :], said, weight, seed=context.seed)
    fitted: Any = replace(trees, trees=in_single(forest, columns))
    return ColumnsPipeline([], fitted)


def _fitted(context: Context, size: Size, fold: int, kept: list[int]) -> tuple[PlainTrees, float, float]:
    """And the seconds that it was given, and had left."""
    told, layout = transfer_set(context, fold), context.encoder.layout
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


def _transfer_set(context: Context, fold: int, synthesis: Synthesis) -> TransferSet:
    rows, most = context.inside(fold), _rows_max(context, synthesis)
    rng = np.random.default_rng(context.seed + fold - ALL)
    alone = len(context.members) == 1
    if len(rows) > most // 2 and not alone:
        rows = np.sort(rng.permutation(rows)[: most // 2])
    real = context.encoded(rows)
    times, share, each = ONE_MEMBER if alone else (synthesis.times, synthesis.share, 1.0)
    columns = real.columns if context.extra is None else np.vstack([real.columns, context.extra.columns])
    known = len(rows) if alone else 0  # not asked: these rows keep their own labels
    synthetic = _synthetic(columns, min(times * len(columns), max(most - len(columns) + known, 0)), share, rng)
    asked = replace(real, columns=np.vstack([columns[known:], synthetic]))
    assert isinstance(asked, Encoded)
    said = np.concatenate([own_answers(context, rows[:known]), _said(context.teacher(fold), asked, context.threads)])
    weight = np.concatenate([np.ones(len(columns)), np.full(len(synthetic), each)])
    sound = np.asarray(np.isfinite(said).all(axis=1))  # an imported parent may have no answer where values are missing
    columns = np.vstack([columns, synthetic])
    counted, own = int(sound[: len(rows)].sum()), int(sound[:known].sum())
    return TransferSet(columns[sound], said[sound], weight[sound], counted, own)


def _said(teacher: Teacher, asked: Encoded, threads: int) -> Floats:
    """(rows, outputs), a part of the rows in each thread: the teacher takes longer than the student."""
    parts = [asked.take(rows) for rows in np.array_split(np.arange(asked.rows), threads) if len(rows)]
    with ThreadPoolExecutor(threads) as pool:
        return np.concatenate(list(pool.map(teacher.scores, parts)))


def _rows_max(context: Context, synthesis: Synthesis) -> int:
    """As many as the whole parent can answer in its share of the time, at the speed measured when it was published."""
    row_seconds, most = 1e-6 * context.parent.manifest.row_us, synthesis.rows_max(context.encoder.layout.width)
    if not row_seconds:
        return most
    able = int(TRANSFER_SHARE * context.deadline.seconds * context.threads / row_seconds)
    return min(max(able, ROWS_MIN), most)


def own_answers(context: Context, rows: Ints) -> Floats:
    """The labels of rows of the table, in the form of a teacher's answers: (rows, outputs)."""
    y = context.answers(rows)
    return np.asarray(np.eye(context.task.outputs)[y] if context.task.classes else y[:, None])


def _synthetic(columns: Floats, count: int, share: float, rng: np.random.Generator) -> Floats:
    """Each a real row with some columns of another: (rows, width)."""
    own, other = rng.integers(0, len(columns), (2, count))
    swapped = rng.random((count, columns.shape[1])) < share
    return np.asarray(np.where(swapped, columns[other], columns[own]))


def _examples(context: Context, columns: Floats, told: TransferSet) -> Examples:
    weight = None if (told.weight == 1).all() else told.weight / told.weight.mean()
    if context.task.type == "binary":
        return Examples(columns, told.said[:, 1], weight)
    return soft(context.task, columns, told.said, weight, least=CHANCE_MIN)
