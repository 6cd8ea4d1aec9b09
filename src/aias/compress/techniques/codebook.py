"""The table of terms by codes: of the terms that are kept, each calls rows of books by one byte, two or four.

With all terms kept the answers hardly change; with fewer, these have learned what the whole parent says.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from aias.compress.coded_terms import CodedTerms, coded
from aias.compress.fewer_terms import Student, held_by, kept, linear_member, student
from aias.compress.techniques.contract import Candidate, CannotHelp, Made
from aias.compress.workshop import Workshop
from aias.encoders.contract import Floats
from aias.training.members import Member
from aias.training.pipeline import LinearPipeline

__all__ = ["codebook"]

SHARES: Final = (0.6, 0.3, 0.15, 0.07, 1.0)
MILDER: Final = (0.1, 0.2, 0.45, 0.8)
"""Tried where fewer are fast and lose too much."""

TERMS_MIN: Final = 400
"""Below this the books take as much as the table."""

BOOKS: Final = ((1, 1), (3, 2))
BOOKS_MAX: Final = 4
"""By outputs, up to so many. Four beside two, all terms of 77 outputs: accuracy +0.001 for +0.019; eight: no better."""


def codebook(shop: Workshop) -> Iterator[Candidate]:
    linear, terms = linear_member(shop), shop.encoder.layout.terms
    counts = [count for share in SHARES if (count := round(share * terms)) >= TERMS_MIN]
    if not counts:
        raise CannotHelp(f"its {terms:,} terms are too few to share rows of a book")
    for count in counts:
        yield replace(_candidate(shop, linear, count), milder=partial(_milder, shop, linear, count))


def _milder(shop: Workshop, linear: Member, count: int) -> list[Candidate]:
    terms = shop.encoder.layout.terms
    return [_candidate(shop, linear, each) for share in MILDER if (each := round(share * terms)) > count]


def _candidate(shop: Workshop, linear: Member, count: int) -> Candidate:
    return Candidate(f"linear, {count:,} terms by codes", partial(_make, shop, linear, count))


def _make(shop: Workshop, linear: Member, count: int, fold: int) -> Made:
    found = _whole(shop, linear, fold) if _is_parent(shop, count) else student(shop, linear, count, fold)
    pipeline = found.pipeline
    features: list[Any] = []
    blocks = []
    for each, weights in pipeline.parts():
        feature, block = _coded(shop, found, each, weights, fold) if each.name == "terms" else (each, weights)
        features.append(feature)
        blocks.append(block)
    model = pipeline.model
    answers = type(model)(np.vstack(blocks), model.intercept, classes=model.classes, settings=dict(model.settings))
    return Made(LinearPipeline(features, answers), found.encoder)


def _coded(shop: Workshop, found: Student, terms: Any, weights: Floats, fold: int) -> tuple[CodedTerms, Floats]:
    outputs = weights.shape[1]
    return coded(
        terms.table(weights)[found.ids], held_by(shop, fold)[found.places], texts=terms.texts,
        books=next((books for most, books in BOOKS if outputs <= most), BOOKS_MAX), seed=shop.seed,
    )  # fmt: skip


def _is_parent(shop: Workshop, count: int) -> bool:
    """Whether the parent is the linear model of these very terms: there is nothing to teach."""
    return count == shop.encoder.layout.terms and len(shop.members) == 1


def _whole(shop: Workshop, linear: Member, fold: int) -> Student:
    encoder, places = kept(shop.encoder, np.ones(shop.encoder.layout.terms), shop.encoder.layout.terms)
    pipeline: Any = shop.part(linear, fold)
    return Student(pipeline, encoder, places, ids=places)
