"""The whole parent taught to one set of boosted trees (`compress.lessons`)."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from aias.compress.lessons import Size, taught
from aias.compress.techniques.contract import Candidate, CannotHelp, Made
from aias.compress.workshop import Workshop

__all__ = ["distill"]

LARGER: Final = (Size(150, 31, 0.1), Size(200, 31, 0.08), Size(200, 63, 0.08), Size(400, 63, 0.05))
"""Tried where a smaller one is fast and loses too much."""

SIZES: Final = (Size(100, 31, 0.1), Size(50, 16, 0.2), Size(20, 8, 0.4), Size(60, 31, 0.15))


def distill(shop: Workshop) -> Iterator[Candidate]:
    if not shop.encoder.layout.width:
        raise CannotHelp("trees read columns, and it has texts only")
    if shop.encoder.layout.texts:
        raise CannotHelp("made-up rows would mix texts with columns that do not belong to them")
    for size in SIZES:
        yield _candidate(shop, size, milder=partial(_larger, shop, size))


def _larger(shop: Workshop, size: Size) -> list[Candidate]:
    """The ladder from this size up."""
    return [_candidate(shop, each) for each in LARGER if each.trees * each.leaves > size.trees * size.leaves]


def _candidate(shop: Workshop, size: Size, *, milder: Callable[[], Sequence[Candidate]] | None = None) -> Candidate:
    return Candidate(f"distilled into {size}", partial(_make, shop, size), milder=milder)


def _make(shop: Workshop, size: Size, fold: int) -> Made:
    return Made(taught(shop, size, fold), shop.encoder)
