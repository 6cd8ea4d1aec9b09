"""The table of terms by codes: of the terms that are kept, each calls rows of books by one byte, two or four.

With all terms kept the answers hardly change; with fewer, these may have learned what the whole parent says.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from aias.compress.coded_terms import CodedTerms, coded
from aias.compress.context import Context
from aias.compress.fewer_terms import held_by, linear_member, student, with_terms
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.core.arrays import Floats
from aias.core.quantities import are, counted
from aias.training.selection.members import Member

__all__ = ["codebook"]

SHARES: Final = (0.6, 0.3, 0.15, 0.07, 1.0)
MILDER: Final = (0.1, 0.2, 0.45, 0.8)
"""Tried where fewer are fast and lose too much."""

TERMS_MIN: Final = 400
"""Below this the books take as much as the table."""

BOOKS: Final = ((1, 1), (3, 2))
BOOKS_MAX: Final = 4
"""By outputs, up to so many. Four beside two, all terms of 77 outputs: accuracy +0.001 for +0.019; eight: no better."""


def codebook(context: Context) -> Iterator[Candidate]:
    linear, terms = linear_member(context), context.encoder.layout.terms
    counts = [count for share in SHARES if (count := round(share * terms)) >= TERMS_MIN]
    if not counts:
        raise NotApplicable(f"its {counted(terms, 'term')} {are(terms)} too few to share rows of a book")
    for count in counts:
        yield replace(_candidate(context, linear, count), milder=partial(_milder, context, linear, count))


def _milder(context: Context, linear: Member, count: int) -> list[Candidate]:
    terms = context.encoder.layout.terms
    return [_candidate(context, linear, each) for share in MILDER if (each := round(share * terms)) > count]


def _candidate(context: Context, linear: Member, count: int) -> Candidate:
    return Candidate(f"linear, {count:,} terms by codes", partial(_make, context, linear, count))


def _make(context: Context, linear: Member, count: int, fold: int) -> Made:
    found = student(context, linear, count, fold)
    seen = held_by(context, fold)[found.places]

    def by_codes(table: Any, texts: int) -> tuple[CodedTerms, Floats]:
        outputs = table.shape[1] - 1
        books = next((books for most, books in BOOKS if outputs <= most), BOOKS_MAX)
        return coded(table, seen, texts=texts, books=books, seed=context.seed)

    began = time.monotonic()
    pipeline = with_terms(found.pipeline, by_codes)
    return Made(pipeline, found.encoder, seconds=found.seconds + time.monotonic() - began)
