"""The sentence encoder as windows of three tokens, learned from what the whole parent says (`compress.windows`).

The target of a text is half of what the parent says of it and half its own answer, as in `distill_words`; of one that
is made up, what the parent says. A mean of vectors (`static_embeddings`) loses what order says; this keeps that of
neighbours, for the same time a row. Words have a model of their own, and windows learn what it leaves unsaid: what it
says of rows that it does not know is where they begin. They answer by the head that they learned with; one that was
fitted to these very rows afterwards would trust them too much (docs/log.md).
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import ceil
from typing import Any, Final

import numpy as np
from threadpoolctl import threadpool_limits

from aias.compress.context import Context, check_whole
from aias.compress.distillation import own_answers
from aias.compress.sentence_targets import Wanted
from aias.compress.sentences import Reader, reader, with_tokens
from aias.compress.synthetic_texts import SyntheticTexts, planned, synthetic_texts
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.compress.windows import EPOCHS, Kernel, learned
from aias.core.arrays import Floats32
from aias.core.deadline import Deadline
from aias.core.quantities import are, counted
from aias.encoders.rows import Encoded
from aias.graph.static import narrow, read_first
from aias.graph.windows import Windows

__all__ = ["static_windows"]

TRUTH: Final = 0.5
"""Of the target of a text, its own answer."""

FILTERS: Final = (96, 192)
MANY: Final = 20
"""Classes, from which on the second: of 77 they got 1 % more right (docs/log.md)."""

DIRECTIONS: Final = 384
"""Of tokens' vectors, those in which they differ most: by 384 windows got 1 % more right than by 128, and a row takes
no longer (docs/log.md)."""

WIDER: Final = (2, 3, 4)
"""Times as many numbers, for what loses too much: a row takes a tenth longer for twice as many. They are learned apart,
from other beginnings: each errs where the others do not."""

THREADS: Final = 1
"""Of the linear algebra: two are no faster in products this small, and beside a busy neighbour take twice as long."""

ROWS_MIN: Final = 200
"""With fewer, windows are learned by heart."""


def static_windows(context: Context) -> Iterator[Candidate]:
    found = reader(context)
    if (rows := context.prepared.dataset.rows) < ROWS_MIN:
        raise NotApplicable(f"{counted(rows, 'row')} {are(rows)} too few to learn windows of tokens from")
    table = read_first(found.sentences.whole)
    vectors = narrow(table - table.mean(axis=0), DIRECTIONS)
    vectors = np.asarray(vectors / vectors.std(), np.float32)
    few, many = FILTERS
    filters = few if context.task.outputs < MANY else many

    def candidate(times: int) -> Candidate:
        name, count = f"windows of three tokens, {times * filters} numbers", planned(context, found.embedding)
        return Candidate(name, partial(_make, context, found, vectors, filters, times), chosen=(count,))

    yield replace(candidate(1), milder=lambda: [candidate(times) for times in WIDER])


def _make(context: Context, found: Reader, vectors: Floats32, filters: int, times: int, fold: int) -> Made:
    """The windows, and what reads all else, without the rows of the fold."""
    _synthetic_texts(context, found)  # read once for all
    until, began = context.fit_deadline(), time.monotonic()
    kernels, known = [], 0.0
    for number in range(times):
        kernel, seconds = _kernel(context, found, vectors, filters, fold, number, until)
        kernels.append(kernel)
        known += seconds
    before, on, after = np.split(np.hstack([each.weights for each in kernels]), 3)
    bias = np.concatenate([each.bias for each in kernels])
    # A window's first token is looked up in the first table.
    table = np.hstack([vectors @ before, vectors @ on + bias, vectors @ after])
    windows = Windows(table, found.sentences.whole.length_max)
    embedding = replace(found.embedding, sentences=replace(found.sentences, transformer=windows))
    heads = np.stack([each.head.reshape(-1, filters, each.head.shape[1]) for each in kernels], axis=1)
    head = heads.reshape(-1, heads.shape[3]).astype(np.float64) / times
    intercept = np.asarray(np.mean([each.intercept for each in kernels], axis=0, dtype=np.float64))
    made = _examples(context, found, fold)[0].answered(found, embedding, fold, head=head, intercept=intercept)
    return replace(made, seconds=known + time.monotonic() - began)


def _kernel(
    context: Context, found: Reader, vectors: Floats32, filters: int, fold: int, number: int, until: Deadline
) -> tuple[Kernel, float]:
    """And the seconds that it took, where another candidate learned it."""
    key = ("kernel", filters, fold, number)
    learned_before = key in context.memo
    if not learned_before:
        began = time.monotonic()
        wanted, epochs = _examples(context, found, fold)
        with threadpool_limits(THREADS, "blas"):
            kernel = learned(
                wanted.examples, vectors, filters=filters, classes=bool(context.task.classes),
                seed=context.seed + number, deadline=until, epochs=epochs,
            )  # fmt: skip
        check_whole(until.seconds, left=until.left, less=until.passed)
        context.memo[key] = kernel, time.monotonic() - began
    held, seconds = context.memo[key]
    return held, seconds if learned_before else 0.0


def _synthetic_texts(context: Context, found: Reader) -> SyntheticTexts | None:
    """Of 47 classes those who learned from made-up texts too got .6 % less right, of eight .8 % more (docs/log.md)."""
    return synthetic_texts(context, found.embedding) if context.task.outputs < MANY else None


def _examples(context: Context, found: Reader, fold: int) -> tuple[Wanted, int]:
    """And how often all are read."""
    return context.once(("windows' examples", fold), lambda: _made_examples(context, found, fold))


def _made_examples(context: Context, found: Reader, fold: int) -> tuple[Wanted, int]:
    rows, more, said = context.inside(fold), _synthetic_texts(context, found), found.teacher(fold).scores
    real, beside = found.all_rows().take(rows), found.beside(fold)
    targets, epochs = [TRUTH * own_answers(context, rows) + (1 - TRUTH) * said(real)], EPOCHS
    texts: Any = with_tokens(context).take(rows)
    known = [] if beside is None else [found.share * beside.of(real, rows)]
    if more is not None:
        others, made_of = more.of(rows)
        targets.append(said(others))
        known += [] if beside is None else [found.share * beside.of(others, made_of)]
        texts = Encoded.join([texts, replace(others, vectors=None)])
        epochs = ceil(EPOCHS * len(rows) / (len(rows) + others.rows)) + 1
    return Wanted.of(texts, np.vstack(targets), np.vstack(known) if known else None, task=context.task), epochs
