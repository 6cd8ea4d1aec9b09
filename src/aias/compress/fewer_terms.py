"""A linear model of fewer terms: which of them matter, and what the whole parent says taught to a model of these.

A term counts as what it adds to the answers times how often it is there. Where all members of the parent are linear,
they are one linear model; if not much of it goes, the other terms keep what they say: nearer to it, and without a fit.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from aias.compress.context import Context
from aias.compress.distillation import own_answers
from aias.compress.techniques.contract import NotApplicable
from aias.core.arrays import Floats, Ints
from aias.core.catalog import member
from aias.core.events import nobody
from aias.encoders.rows import RowEncoder
from aias.encoders.text import PARTS, Text
from aias.features.terms import Terms
from aias.learners.contract import Examples, Fit
from aias.training.ensemble import mean_of_weights
from aias.training.pipeline import Features, LinearPipeline, read_by
from aias.training.selection.configuration import ALL, Configuration
from aias.training.selection.members import Member
from aias.training.soft_labels import soft

KEPT: Final = ("C", "ratios")
"""Settings that a student has of the linear member: how, and how much, weights are held back."""

CHANCE_MIN: Final = 0.005
"""A class less likely than this is not worth a row."""

CUT_SHARE: Final = 0.25
"""Of the terms of a parent of one linear model: from here on those that stay are not taught again. Without half of
158,000 terms by ten classes as many answers are right, without 70 % .0006 fewer."""


@dataclass(frozen=True, slots=True, eq=False)
class Student:
    """`places`: what the ids of the encoder's terms are in the parent; `seconds`: that it took."""

    pipeline: LinearPipeline
    encoder: RowEncoder
    places: Ints  # (terms,)
    seconds: float = 0.0


def linear_member(context: Context) -> Member:
    """The heaviest that says which terms matter. Raises `NotApplicable`."""
    if not context.encoder.layout.terms:
        raise NotApplicable("it has no texts")
    if context.prepared.embedding is not None:
        raise NotApplicable("a sentence encoder reads its texts, beside which the terms are small")
    linear = next((each for each in context.members if _is_linear(each.configuration)), None)
    if linear is None:
        raise NotApplicable("it has no linear model that says which terms matter")
    return linear


def _is_linear(configuration: Configuration) -> bool:
    return configuration.learner == "linear" and not configuration.settings.get("log_target")


def student(context: Context, linear: Member, count: int, fold: int) -> Student:
    """A linear model of so many terms that answers as the parent does; of a fold and a count it is made once."""

    def make() -> Student:
        cut = one_in_all(context) and count >= CUT_SHARE * context.encoder.layout.terms
        began = time.monotonic()
        found = (_cut if cut else _taught)(context, linear, count, fold)
        return replace(found, seconds=time.monotonic() - began)

    return context.once(("student of terms", linear.name, count, fold), make)


def one_in_all(context: Context) -> bool:
    """Whether the parent's members are linear models of the same features."""
    return all(_is_linear(each.configuration) for each in context.members) and (
        len({read_by(each.configuration) for each in context.members}) == 1
    )


def kept(encoder: RowEncoder, importance: Floats, count: int) -> tuple[RowEncoder, Ints]:
    """The same encoder without the terms of least importance, packed; and what the ids of its terms were before."""
    wanted = np.zeros(len(importance), bool)
    wanted[np.argsort(-importance, kind="stable")[:count]] = True
    encoders, at = dict(encoder.encoders), 0
    places: list[int] = []
    for each in encoder.fields:
        text = encoder.encoders[each.name]
        if isinstance(text, Text):
            lists = []
            for part in PARTS:
                terms = getattr(text, part)
                held = sorted((term, at + i) for i, term in enumerate(terms) if wanted[at + i])
                lists.append([term for term, _ in held])
                places += [place for _, place in held]
                at += len(terms)
            encoders[each.name] = Text(*lists, missing=each.missing, packed=True)
    return encoder.with_encoders(encoders), np.array(places, np.int64)


def _cut(context: Context, linear: Member, count: int, fold: int) -> Student:
    encoder, places = kept(context.encoder, importance(context, linear, fold), count)
    all_terms = _together(context, fold)
    return Student(
        with_terms(all_terms, lambda table, texts: Terms.of_table(table[places], texts=texts)), encoder, places
    )


def _together(context: Context, fold: int) -> LinearPipeline:
    """The parent as one linear model, whose sums are the mean of its members'; for `ALL` of the fits of all folds, or,
    where there was one fold only, as they were fitted again."""
    if fold != ALL or context.prepared.table.fold_count == 1:
        return mean_of_weights([context.part(each, fold) for each in context.members], context.weights)
    folds = [mean_of_weights([context.fitter.pipeline(unit) for unit in each.units]) for each in context.members]
    return mean_of_weights(folds, context.weights)


def with_terms(pipeline: Any, made: Callable[[Any, int], tuple[Any, Floats]]) -> LinearPipeline:
    """The same pipeline with another feature, and its weights, for the table of its terms, (ids, outputs + 1)."""
    parts = [made(each.table(weights), each.texts) if each.name == "terms" else (each, weights)
             for each, weights in pipeline.parts()]  # fmt: skip
    model = pipeline.model
    weights = np.vstack([block for _, block in parts])
    answers = type(model)(weights, model.intercept, classes=model.classes, settings=dict(model.settings))
    return LinearPipeline([feature for feature, _ in parts], answers)


def _taught(context: Context, linear: Member, count: int, fold: int) -> Student:
    said = context.teacher(fold).scores(context.encoded(context.inside(fold)))
    return _fitted(
        context, linear, importance(context, linear, fold), count, fold,
        lambda x: soft(context.task, x, said, least=CHANCE_MIN),
    )  # fmt: skip


def direct(context: Context, linear: Member, count: int, fold: int) -> Student:
    """A linear model of so many terms, chosen by the rows' own answers and fitted to these: the parent has no part in
    it, but for which features are read and how much weights are held back."""
    rows = context.inside(fold)
    return _fitted(
        context, linear, telling(context, fold), count, fold,
        lambda x: Examples(x, context.answers(rows), context.weight(rows)),
    )  # fmt: skip


def _fitted(
    context: Context, linear: Member, importance: Floats, count: int, fold: int, examples: Callable[[Any], Examples]
) -> Student:
    """`examples`: of the matrix of the rows that may be fitted on."""
    encoder, places = kept(context.encoder, importance, count)
    features = Features(encoder, context.encoded(context.inside(fold), encoder))
    names, asked = read_by(linear.configuration), linear.refit.configuration.settings
    settings = {name: asked[name] for name in KEPT if name in asked}
    how = Fit(context.task, context.seed, context.fit_deadline(), context.threads, nobody, {"C": 1.0} | settings)
    model = member("learners", "linear").fit(examples(features.matrix(names)), None, how)
    return Student(LinearPipeline(features.some(names), model), encoder, places)


def telling(context: Context, fold: int) -> Floats:
    """Of each term: how far the answers of rows that hold it are from those of all, by χ² or its like for amounts
    (Yang and Pedersen 1997), (terms,)."""
    rows = context.inside(fold)
    encoded, y = context.encoded(rows), own_answers(context, rows)
    usual = y.mean(axis=0) if context.task.classes else y.var(axis=0)
    off, at = y - y.mean(axis=0), encoded.term_segments[:, 0] // encoded.texts
    found = np.zeros(context.encoder.layout.terms)
    for output in np.flatnonzero(usual):
        moved = np.bincount(encoded.term_ids, off[at, output], minlength=len(found))
        found += moved**2 / usual[output]
    return np.asarray(found / held_by(context, fold))


def importance(context: Context, linear: Member, fold: int) -> Floats:
    """Of each term: how far it moves the sums, times the root of how many rows hold it, (terms,).

    A row holds a letter group by itself only where a word is new. With every word that has it, it is held far more
    often, and words that are forgotten fall back on it. What counts is the geometric mean of both.
    """
    pipeline: Any = _together(context, fold) if one_in_all(context) else context.part(linear, fold)
    terms, weights = next(pair for pair in pipeline.parts() if pair[0].name == "terms")
    moved = terms.table(weights)[:, :-1].astype(np.float64)
    moved = moved - moved.mean(axis=1, keepdims=True) if moved.shape[1] > 1 else moved
    alone = held_by(context, fold)
    within = np.exp(-terms.idf)  # up to a factor: idf = ln((1 + n) / (1 + rows)) + 1
    return np.asarray(np.sqrt((moved**2).sum(axis=1) * np.sqrt(alone * within)))


def held_by(context: Context, fold: int) -> Ints:
    """In how many texts that may be fitted on each term is, plus 1: (terms,)."""
    return np.bincount(context.encoded(context.inside(fold)).term_ids, minlength=context.encoder.layout.terms) + 1
