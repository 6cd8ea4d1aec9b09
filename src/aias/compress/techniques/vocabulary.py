"""Fewer terms: those that a linear model hardly weighs are forgotten, and the others learn what the whole parent says.

The vocabulary and its weights are nearly all of the size of a model of texts. What is left is stored packed.
"""

from collections.abc import Iterator
from functools import partial
from typing import Final

from aias.compress.fewer_terms import linear_member, student
from aias.compress.techniques.contract import Candidate, Made
from aias.compress.workshop import Workshop
from aias.training.members import Member

__all__ = ["vocabulary"]

SHARES: Final = (0.3, 0.15, 0.07, 0.03)
TERMS_MIN: Final = 100


def vocabulary(shop: Workshop) -> Iterator[Candidate]:
    linear = linear_member(shop)
    for share in SHARES:
        count = round(share * shop.encoder.layout.terms)
        if count >= TERMS_MIN:
            yield Candidate(f"linear, {count:,} terms", partial(_make, shop, linear, count))


def _make(shop: Workshop, linear: Member, count: int, fold: int) -> Made:
    found = student(shop, linear, count, fold)
    return Made(found.pipeline, found.encoder)
