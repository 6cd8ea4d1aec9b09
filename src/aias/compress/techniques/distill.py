"""The whole parent taught to one set of boosted trees: fitted to what the parent says, of far more rows.

A student is limited by how often it may ask (Fakoor et al. 2020, FAST-DAD), so rows are made up: real ones in which
some columns come from another row. What the parent says of them are soft targets: probabilities, of two classes as the
label itself (cross-entropy takes it), of more by a row for each class, weighted.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np

from aias.compress.techniques.contract import Candidate, CannotHelp, Made
from aias.compress.workshop import Workshop
from aias.core.catalog import member
from aias.core.events import nobody
from aias.encoders.contract import Floats, Ints
from aias.encoders.rows import Encoded
from aias.learners.contract import Examples, Fit
from aias.training.configuration import ALL
from aias.training.pipeline import ColumnsPipeline

__all__ = ["distill"]

ROWS_MADE_UP: Final = (3, 40_000)
"""Times the real ones, and at most."""

FROM_OTHERS: Final = 0.25
"""Of the columns of a row that is made up."""

CHANCE_MIN: Final = 0.02
"""A class less likely than this is not worth a row."""


@dataclass(frozen=True, slots=True)
class Size:
    trees: int
    leaves: int
    rate: float


SIZES: Final = (Size(100, 31, 0.1), Size(50, 16, 0.2), Size(20, 8, 0.4))


def distill(shop: Workshop) -> Iterator[Candidate]:
    if not shop.encoder.layout.width:
        raise CannotHelp("trees read columns, and it has texts only")
    if shop.encoder.layout.texts:
        raise CannotHelp("made-up rows would mix texts with columns that do not belong to them")
    lessons: dict[int, tuple[Floats, Floats]] = {}
    for size in SIZES:
        name = f"distilled into {size.trees} trees of {size.leaves} leaves"
        yield Candidate(name, partial(_student, shop, size, lessons))


def _student(shop: Workshop, size: Size, lessons: dict[int, tuple[Floats, Floats]], fold: int) -> Made:
    if fold not in lessons:
        lessons[fold] = _lesson(shop, fold)
    columns, said = lessons[fold]
    layout = shop.encoder.layout
    settings: dict[str, Any] = {"rounds": size.trees, "num_leaves": size.leaves, "learning_rate": size.rate}
    if shop.task.type == "binary":
        settings["objective"] = "cross_entropy"
    how = Fit(
        shop.task, shop.seed + fold + 1, shop.fit_deadline(), shop.threads, nobody, settings,
        categories=layout.categories, category_sizes=layout.category_sizes,
    )  # fmt: skip
    trees = member("learners", "boosted_trees").fit(_examples(shop, columns, said), None, how)
    return Made(ColumnsPipeline([], trees), shop.encoder)


def _lesson(shop: Workshop, fold: int) -> tuple[Floats, Floats]:
    """Columns, real and made up, and what the parent says of them: (rows, width), (rows, outputs)."""
    real = shop.encoded(shop.inside(fold))
    rng = np.random.default_rng(shop.seed + fold - ALL)
    rows = _made_up(real.columns, rng)
    teacher = shop.teacher(fold)
    asked = replace(real, columns=np.vstack([real.columns, rows]))
    assert isinstance(asked, Encoded)
    said = np.asarray(teacher.scores(asked))
    known = np.isfinite(said).all(axis=1)  # a parent from elsewhere may have no answer for gaps
    return asked.columns[known], said[known]


def _made_up(columns: Floats, rng: np.random.Generator) -> Floats:
    """Each a real row with some columns of another: (rows, width)."""
    times, most = ROWS_MADE_UP
    count = min(times * len(columns), most)
    own, other = rng.integers(0, len(columns), (2, count))
    swapped = rng.random((count, columns.shape[1])) < FROM_OTHERS
    return np.asarray(np.where(swapped, columns[other], columns[own]))


def _examples(shop: Workshop, columns: Floats, said: Floats) -> Examples:
    if shop.task.type == "binary":
        return Examples(columns, said[:, 1])
    if shop.task.type == "regression":
        return Examples(columns, said[:, 0])
    rows, classes = np.nonzero(said >= CHANCE_MIN)
    weight: Floats = said[rows, classes]
    labels: Ints = classes.astype(np.int64)
    return Examples(columns[rows], labels, weight / weight.mean())
