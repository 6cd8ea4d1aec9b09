"""The whole parent taught to one set of boosted trees (`compress.distillation`)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from aias.compress.context import Context
from aias.compress.distillation import Size, able, taught
from aias.compress.techniques.contract import Candidate, Made, NotApplicable

__all__ = ["distill"]

TREES: Final = (400, 200, 100, 50)
"""The largest first, which is surest to answer as its teacher; the others are its first trees and cost no fit."""

LEAVES: Final = 16
"""Twice as many trees of half the leaves take as many bytes, and answer more nearly as their teacher."""

RATE: Final = 0.2

WHOLE: Final = Size(max(TREES), LEAVES, RATE)
SIZES: Final = (
    WHOLE, *(replace(WHOLE, trees=trees, of=WHOLE.trees, again=True) for trees in TREES), Size(20, 8, 0.4, again=True),
)  # fmt: skip
"""Leaves that are fitted again follow their teacher more nearly, to where it errs as well: the largest is tried without
that, too."""

LARGER: Final = (Size(800, 16, 0.15, again=True), Size(800, 31, 0.1, again=True))
"""Tried where a smaller one is fast and loses too much."""


def distill(context: Context) -> Iterator[Candidate]:
    if not context.encoder.layout.width:
        raise NotApplicable("trees read columns, and it has texts only")
    if context.encoder.layout.texts:
        raise NotApplicable("synthetic rows would mix texts with columns that do not belong to them")
    for size in able(context.task, SIZES):
        yield _candidate(context, size, milder=partial(_larger, context, size))


def _larger(context: Context, size: Size) -> list[Candidate]:
    """The ladder from this size up."""
    return [
        _candidate(context, each)
        for each in able(context.task, LARGER)
        if each.trees * each.leaves > size.trees * size.leaves
    ]


def _candidate(context: Context, size: Size, *, milder: Callable[[], Sequence[Candidate]] | None = None) -> Candidate:
    return Candidate(f"distilled into {size}", partial(_make, context, size), milder=milder)


def _make(context: Context, size: Size, fold: int) -> Made:
    return Made(taught(context, size, fold), context.encoder)
