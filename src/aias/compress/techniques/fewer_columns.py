"""Fewer columns: the whole parent is taught to trees that read only those which matter, and the others are not even
encoded. A row of many columns takes longer to encode than to answer.

A column matters as much as the answers of a student of all columns move when its values are dealt out anew (permutation
importance, Breiman 2001).
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from aias.compress.context import Context
from aias.compress.distillation import Size, able, taught, transfer_set
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.core.arrays import Floats
from aias.core.quantities import counted
from aias.encoders.rows import RowEncoder

__all__ = ["fewer_columns"]

SIZE: Final = Size(200, 16, 0.2, again=True)
BEGINNING: Final = replace(SIZE, trees=50, of=SIZE.trees)
ALL_COLUMNS: Final = replace(SIZE, trees=50, of=400, again=False)
"""By which it is told which columns matter: the beginning of what `distill` fits as well."""
SHARES: Final = (0.5, 0.25)
COLUMNS_MIN: Final = 8
"""Of fewer, what is left out would save less than can be measured."""

ROWS_MAX: Final = 2_000
"""Dealt out for each column."""


def fewer_columns(context: Context) -> Iterator[Candidate]:
    count = len(context.encoder.fields)
    if context.encoder.layout.texts:
        raise NotApplicable("synthetic rows would mix texts with columns that do not belong to them")
    if count < COLUMNS_MIN:
        raise NotApplicable(f"it reads {counted(count, 'column')}, and each may matter")
    for size in able(context.task, (SIZE, BEGINNING)):
        for share in SHARES:
            kept = max(1, round(share * count))
            yield Candidate(f"{size}, of {kept} columns", partial(_make, context, size, kept))


def _make(context: Context, size: Size, count: int, fold: int) -> Made:
    spans, matters = _spans(context.encoder), _importance(context, fold)
    kept = np.sort(np.argsort(-matters, kind="stable")[:count])
    places = [place for i in kept for place in spans[i]]
    fields = [context.encoder.fields[i] for i in kept]
    return Made(taught(context, size, fold, places=places), context.encoder.of(fields))


def _spans(encoder: RowEncoder) -> list[range]:
    """Of each field, its columns."""
    spans, at = [], 0
    for each in encoder.fields:
        width = encoder.encoders[each.name].width
        spans.append(range(at, at + width))
        at += width
    return spans


def _importance(context: Context, fold: int) -> Floats:
    """Of each field: the mean square by which a student's answers move, (fields,)."""
    return context.once(("importance of columns", fold), lambda: _moved(context, fold))


def _moved(context: Context, fold: int) -> Floats:
    student: Any = taught(context, ALL_COLUMNS, fold).fitted
    told, rng = transfer_set(context, fold), np.random.default_rng(context.seed)
    x = told.columns[rng.permutation(told.real)[:ROWS_MAX]]
    before = student.scores(x)
    moved = []
    for span in _spans(context.encoder):
        dealt, columns = x.copy(), list(span)
        dealt[:, columns] = x[rng.permutation(len(x))][:, columns]
        moved.append(float(np.mean((student.scores(dealt) - before) ** 2)))
    return np.array(moved)
