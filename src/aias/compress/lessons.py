"""What trees are taught: rows with what the whole parent says of them, more rows than there are.

A student is limited by how often it may ask (Fakoor et al. 2020, FAST-DAD), so rows are made up: real ones in which
some columns come from another row. What the parent says of them are soft targets: probabilities, of two classes as the
label itself (cross-entropy takes it), of more by a row for each class, weighted.

A parent of one member knows of the rows that it was fitted on little more than their own answers, and adds its errors:
real rows then keep these, and rows that are made up stay nearer to them and count less.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from aias.compress.plain_trees import plain
from aias.compress.workshop import Workshop
from aias.core.catalog import member
from aias.core.events import nobody
from aias.core.task import Task
from aias.encoders.contract import Floats
from aias.encoders.rows import Encoded
from aias.learners.contract import Examples, Fit
from aias.training.configuration import ALL
from aias.training.pipeline import ColumnsPipeline

ROWS_MADE_UP: Final = (3, 40_000)
"""Times the real ones, and at most."""

FROM_OTHERS: Final = 0.25
"""Of the columns of a row that is made up."""

ONE_MEMBER: Final = (0.1, 0.3)
"""In place of `FROM_OTHERS` and of the weight 1 of rows that are made up, where the parent has one member."""

CHANCE_MIN: Final = 0.02
"""A class less likely than this is not worth a row."""

ROWS_A_THREAD: Final = 20_000
"""With fewer, threads wait for each other longer than they work, beside a busy neighbour a hundred times as long."""


@dataclass(frozen=True, slots=True)
class Size:
    trees: int
    leaves: int
    rate: float

    def __str__(self) -> str:
        return f"{self.trees} trees of {self.leaves} leaves"


@dataclass(frozen=True, slots=True, eq=False)
class Lesson:
    """`said`: soft answers to the rows, the first of which are `real`."""

    columns: Floats  # (rows, width)
    said: Floats  # (rows, outputs)
    weight: Floats  # (rows,)
    real: int


def lesson(shop: Workshop, fold: int) -> Lesson:
    """Of the rows that may be fitted on; made once for a fold."""
    key = ("lesson", fold)
    if key not in shop.memo:
        shop.memo[key] = _lesson(shop, fold)
    found: Lesson = shop.memo[key]
    return found


def taught(shop: Workshop, size: Size, fold: int, *, places: Sequence[int] | None = None) -> ColumnsPipeline:
    """Boosted trees in single precision that learned the lesson; over the columns at `places` only, if they are given:
    column j of what the pipeline then reads is column `places[j]` of the lesson. Of all columns they are fitted once.
    """
    key = ("taught", size, fold)
    if places is None and key in shop.memo:
        return shop.memo[key]  # type: ignore[no-any-return]
    found = _taught(shop, size, fold, list(range(shop.encoder.layout.width)) if places is None else list(places))
    if places is None:
        shop.memo[key] = found
    return found


def _taught(shop: Workshop, size: Size, fold: int, kept: list[int]) -> ColumnsPipeline:
    told, layout = lesson(shop, fold), shop.encoder.layout
    columns = np.ascontiguousarray(told.columns[:, kept])
    categories = dict(zip(layout.categories, layout.category_sizes, strict=True))
    settings: dict[str, Any] = {"rounds": size.trees, "num_leaves": size.leaves, "learning_rate": size.rate}
    if shop.task.type == "binary":
        settings["objective"] = "cross_entropy"
    threads = min(shop.threads, 1 + len(columns) // ROWS_A_THREAD)
    how = Fit(
        shop.task, shop.seed + fold + 1, shop.fit_deadline(), threads, nobody, settings,
        categories=tuple(i for i, place in enumerate(kept) if place in categories),
        category_sizes=tuple(categories[place] for place in kept if place in categories),
    )  # fmt: skip
    trees = member("learners", "boosted_trees").fit(_examples(shop, columns, told), None, how)
    fitted: Any = plain(trees, two=shop.task.type == "binary", x=columns)
    return ColumnsPipeline([], fitted)


def _lesson(shop: Workshop, fold: int) -> Lesson:
    rows = shop.inside(fold)
    real = shop.encoded(rows)
    share, each = (FROM_OTHERS, 1.0) if len(shop.members) != 1 else ONE_MEMBER
    columns = real.columns if shop.extra is None else np.vstack([real.columns, shop.extra.columns])
    made_up = _made_up(columns, share, np.random.default_rng(shop.seed + fold - ALL))
    asked = replace(real, columns=np.vstack([columns, made_up]))
    assert isinstance(asked, Encoded)
    said = np.array(shop.teacher(fold).scores(asked))
    if len(shop.members) == 1:
        said[: len(rows)] = _own_answers(shop, rows)
    weight = np.concatenate([np.ones(len(columns)), np.full(len(made_up), each)])
    known = np.asarray(np.isfinite(said).all(axis=1))  # a parent from elsewhere may have no answer for gaps
    return Lesson(asked.columns[known], said[known], weight[known], int(known[: len(rows)].sum()))


def _own_answers(shop: Workshop, rows: Any) -> Floats:
    y = shop.answers(rows)
    return np.asarray(np.eye(shop.task.outputs)[y] if shop.task.classes else y[:, None])


def _made_up(columns: Floats, share: float, rng: np.random.Generator) -> Floats:
    """Each a real row with some columns of another: (rows, width)."""
    times, most = ROWS_MADE_UP
    count = min(times * len(columns), most)
    own, other = rng.integers(0, len(columns), (2, count))
    swapped = rng.random((count, columns.shape[1])) < share
    return np.asarray(np.where(swapped, columns[other], columns[own]))


def _examples(shop: Workshop, columns: Floats, told: Lesson) -> Examples:
    weight = None if (told.weight == 1).all() else told.weight / told.weight.mean()
    if shop.task.type == "binary":
        return Examples(columns, told.said[:, 1], weight)
    return soft(shop.task, columns, told.said, weight, least=CHANCE_MIN)


def soft(task: Task, x: Any, said: Floats, weight: Floats | None = None, *, least: float) -> Examples:
    """What a teacher says, (rows, outputs), as answers: a row for each class that it holds possible, by `least`, as
    heavy as it is likely. `weight`: of the rows, (rows,).
    """
    if task.type == "regression":
        return Examples(x, said[:, 0], weight)
    rows, classes = np.nonzero(said >= least)
    each = said[rows, classes] * (1.0 if weight is None else weight[rows])
    return Examples(x[rows], classes.astype(np.int64), each / each.mean())
