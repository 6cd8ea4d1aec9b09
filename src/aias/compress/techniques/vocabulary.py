"""Fewer terms: those that a linear model hardly weighs are forgotten, and the others learn what the whole parent says.

The vocabulary and its weights are nearly all of the size of a model of texts. What is left is stored packed. Of several
linear members all terms are kept, too, in one model.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from aias.compress.context import Context
from aias.compress.fewer_terms import linear_member, one_in_all, student
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.training.selection.members import Member

__all__ = ["vocabulary"]

SHARES: Final = (0.3, 0.15, 0.07, 0.03)
MILDER: Final = (0.05, 0.1, 0.2, 0.5)
"""Tried where fewer are fast and lose too much."""

TERMS_MIN: Final = 100


def vocabulary(context: Context) -> Iterator[Candidate]:
    linear, terms = linear_member(context), context.encoder.layout.terms
    whole = (1.0,) if len(context.members) > 1 and one_in_all(context) else ()
    shares = [share for share in (*whole, *SHARES) if round(share * terms) >= TERMS_MIN]
    if not shares:
        raise NotApplicable(f"of its {terms:,} terms fewer than {TERMS_MIN} would be left")
    for share in shares:
        found = _candidate(context, linear, round(share * terms))
        yield replace(found, milder=partial(_milder, context, linear, share))


def _milder(context: Context, linear: Member, share: float) -> list[Candidate]:
    terms = context.encoder.layout.terms
    return [_candidate(context, linear, round(each * terms)) for each in MILDER if each > share]


def _candidate(context: Context, linear: Member, count: int) -> Candidate:
    return Candidate(f"linear, {count:,} terms", partial(_make, context, linear, count))


def _make(context: Context, linear: Member, count: int, fold: int) -> Made:
    found = student(context, linear, count, fold)
    return Made(found.pipeline, found.encoder, seconds=found.seconds)
