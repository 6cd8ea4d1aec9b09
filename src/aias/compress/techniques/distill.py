"""The whole parent taught to one set of boosted trees (`compress.lessons`)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from aias.compress.lessons import Size, hard, taught
from aias.compress.techniques.contract import Candidate, CannotHelp, Made
from aias.compress.workshop import Workshop

__all__ = ["distill"]

TREES: Final = (400, 200, 100, 50)
"""The largest first, which is surest to answer as its teacher; the others are its first trees and cost no fit."""

LEAVES: Final = 16
"""Twice as many trees of half the leaves take as many bytes, and answer more nearly as their teacher."""

RATE: Final = 0.2

LARGER: Final = (Size(800, 16, 0.15), Size(800, 31, 0.1))
"""Tried where a smaller one is fast and loses too much."""


def distill(shop: Workshop) -> Iterator[Candidate]:
    if not shop.encoder.layout.width:
        raise CannotHelp("trees read columns, and it has texts only")
    if shop.encoder.layout.texts:
        raise CannotHelp("made-up rows would mix texts with columns that do not belong to them")
    for size in _sizes(shop):
        yield _candidate(shop, size, milder=partial(_larger, shop, size))


def _sizes(shop: Workshop) -> list[Size]:
    """Leaves that are fitted again follow their teacher more nearly, to where it errs as well: the largest is tried
    without that, too."""
    again, whole = not hard(shop), Size(max(TREES), LEAVES, RATE)
    first = [Size(trees, LEAVES, RATE, of=max(TREES), again=again) for trees in TREES]
    return [*([whole] if again else []), *first, Size(20, 8, 0.4, again=again)]


def _larger(shop: Workshop, size: Size) -> list[Candidate]:
    """The ladder from this size up."""
    larger = [replace(each, again=not hard(shop)) for each in LARGER]
    return [_candidate(shop, each) for each in larger if each.trees * each.leaves > size.trees * size.leaves]


def _candidate(shop: Workshop, size: Size, *, milder: Callable[[], Sequence[Candidate]] | None = None) -> Candidate:
    return Candidate(f"distilled into {size}", partial(_make, shop, size), milder=milder)


def _make(shop: Workshop, size: Size, fold: int) -> Made:
    return Made(taught(shop, size, fold), shop.encoder)
