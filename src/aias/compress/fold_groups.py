"""Folds that one and the same fit is judged by, which knows no row of them: what takes minutes is fitted two or three
times in place of once for each fold.

Those by which is chosen, and those that certify, are never together.
"""

from math import ceil
from typing import Final

import numpy as np

from aias.compress.context import Context
from aias.compress.trial import FOLDS_MAX
from aias.training.selection.configuration import ALL

UNKNOWN_MAX: Final = 0.4
"""Of the folds, how many one fit may not know: with three of eight left out it learns from five, and parents from
seven."""


def together(context: Context, fold: int) -> tuple[int, ...]:
    """The folds that `fold` is judged together with; of what is fitted on all rows that alone."""
    if fold == ALL:
        return (ALL,)
    table = context.prepared.table
    certify = certifying(context)
    search = [each for each in range(table.fold_count) if each not in certify]
    most = max(1, int(UNKNOWN_MAX * table.fold_count))
    for kind in (certify, search[:FOLDS_MAX], search[FOLDS_MAX:]):
        if fold in kind:
            parts = np.array_split(kind, ceil(len(kind) / most))
            return next(tuple(part.tolist()) for part in parts if fold in part)
    return (fold,)


def certifying(context: Context) -> list[int]:
    """The folds that certify."""
    found: list[int] = np.unique(context.prepared.table.folds[context.certifying]).tolist()
    return found
