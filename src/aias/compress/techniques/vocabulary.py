"""Fewer terms: those that a linear model hardly weighs are forgotten, and the model is fitted again on the others.

A term counts as what it adds to the answers times how often it is there. The vocabulary and its weights are nearly all
of the size of a model of texts.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import numpy as np

from aias.compress.techniques.contract import Candidate, CannotHelp, Made
from aias.compress.workshop import Workshop
from aias.core.catalog import member
from aias.core.events import nobody
from aias.encoders.contract import Floats
from aias.encoders.rows import RowEncoder
from aias.encoders.text import Text
from aias.learners.contract import Examples, Fit
from aias.training.configuration import Configuration
from aias.training.pipeline import Features, LinearPipeline, read_by
from aias.training.plan import Member

__all__ = ["vocabulary"]

SHARES: Final = (0.3, 0.15, 0.07, 0.03)
TERMS_MIN: Final = 100


def vocabulary(shop: Workshop) -> Iterator[Candidate]:
    if not shop.encoder.layout.terms:
        raise CannotHelp("it has no texts")
    if shop.prepared.embedding is not None:
        raise CannotHelp("a sentence encoder reads its texts, beside which the terms are small")
    linear = next((each for each in shop.members if _is_linear(each.configuration)), None)
    if linear is None:
        raise CannotHelp("it has no linear model that says which terms matter")
    for share in SHARES:
        count = round(share * shop.encoder.layout.terms)
        if count >= TERMS_MIN:
            yield Candidate(f"linear, {count:,} terms", partial(_make, shop, linear, count))


def _is_linear(configuration: Configuration) -> bool:
    return configuration.learner == "linear" and not configuration.settings.get("log_target")


def _make(shop: Workshop, linear: Member, count: int, fold: int) -> Made:
    rows = shop.inside(fold)
    encoder = _kept(shop.encoder, _importance(shop, linear, fold), count)
    encoded = shop.encoded(rows, encoder)
    features = Features(encoder, encoded)
    names = read_by(linear.configuration)
    learner = member("learners", "linear")
    how = Fit(
        shop.task, shop.seed, shop.fit_deadline(), shop.threads, nobody,
        {"C": linear.refit.configuration.settings.get("C", 1.0)},
    )  # fmt: skip
    model = learner.fit(Examples(features.matrix(names), shop.answers(rows), shop.weight(rows)), None, how)
    return Made(LinearPipeline(features.some(names), model), encoder)


def _importance(shop: Workshop, linear: Member, fold: int) -> Floats:
    """Of each term: how far it moves the sums, times the root of how many rows hold it, (terms,).

    A row holds a letter group by itself only where a word is new. With every word that has it, it is held far more
    often, and words that are forgotten fall back on it. What counts is the geometric mean of both.
    """
    pipeline: Any = shop.part(linear, fold)
    terms, weights = next(pair for pair in pipeline.parts() if pair[0].name == "terms")
    moved = terms.table(weights)[:, :-1].astype(np.float64)
    moved = moved - moved.mean(axis=1, keepdims=True) if moved.shape[1] > 1 else moved
    alone = np.bincount(shop.encoded(shop.inside(fold)).term_ids, minlength=len(moved)) + 1
    within = np.exp(-terms.idf)  # up to a factor: idf = ln((1 + n) / (1 + rows)) + 1
    return np.asarray(np.sqrt((moved**2).sum(axis=1) * np.sqrt(alone * within)))


def _kept(encoder: RowEncoder, importance: Floats, count: int) -> RowEncoder:
    """The same encoder without the terms of least importance."""
    kept = np.zeros(len(importance), bool)
    kept[np.argsort(-importance, kind="stable")[:count]] = True
    encoders, at = dict(encoder.encoders), 0
    for each in encoder.fields:
        text = encoder.encoders[each.name]
        if isinstance(text, Text):
            flags = iter(kept[at : at + text.size])
            all_terms = (text.words, text.pairs, text.triples, text.groups)
            lists = [[term for term in terms if next(flags)] for terms in all_terms]
            encoders[each.name] = Text(*lists, missing=each.missing)
            at += text.size
    return encoder.with_encoders(encoders)
