"""The sentence encoder as windows of three tokens, learned from what the whole parent says (`compress.windows`).

The target of a text is half of what the parent says of it and half its own answer, as in `distill_words`; of one that
is made up, with some words gone, what the parent says. A mean of vectors (`static_embeddings`) loses what order says;
this keeps that of neighbours, for the same time a row. Windows that were learned from these very rows tell their
answers better than those of others: words have a head of their own.
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from math import ceil
from typing import Final

import numpy as np

from aias.compress.made_up_texts import MadeUp, made_up, planned
from aias.compress.sentences import Reader, reader
from aias.compress.techniques.contract import Candidate, CannotHelp, Made
from aias.compress.windows import EPOCHS, Kernel, Singles, learned
from aias.compress.workshop import Workshop, check_whole
from aias.core.deadline import Deadline
from aias.encoders.contract import Floats
from aias.encoders.rows import Encoded
from aias.graph.static import narrow, read_first
from aias.graph.windows import Windows
from aias.training.prepare import encoded_of

__all__ = ["static_windows"]

TRUTH: Final = 0.5
"""Of the target of a text, its own answer."""

FILTERS: Final = (96, 192)
MANY: Final = 20
"""Classes, from which on the second: of 77 they got 1 % more right (docs/log.md)."""

WIDER: Final = (2, 3, 4)
"""Times as many numbers, for what loses too much: a row takes a tenth longer for twice as many. They are learned apart,
from other beginnings: each errs where the others do not."""

ROWS_MIN: Final = 200
"""With fewer, windows are learned by heart."""


def static_windows(shop: Workshop) -> Iterator[Candidate]:
    found = reader(shop)
    if shop.prepared.dataset.rows < ROWS_MIN:
        raise CannotHelp(f"{shop.prepared.dataset.rows} rows are too few to learn windows of tokens from")
    table = read_first(found.sentences.whole)
    vectors = narrow(table - table.mean(axis=0))
    vectors = np.asarray(vectors / vectors.std(), np.float32)
    few, many = FILTERS
    filters = few if shop.task.outputs < MANY else many

    def candidate(times: int) -> Candidate:
        name = f"windows of three tokens, {times * filters} numbers"
        return Candidate(name, partial(_make, shop, found, vectors, filters, times), chosen=(planned(shop),))

    yield replace(candidate(1), milder=lambda: [candidate(times) for times in WIDER])


def _make(shop: Workshop, found: Reader, vectors: Singles, filters: int, times: int, fold: int) -> Made:
    """The windows, and the heads, without the rows of the fold."""
    _made_up(shop)  # read once for all
    until, began = shop.fit_deadline(), time.monotonic()
    kernels, known = [], 0.0
    for number in range(times):
        kernel, seconds = _kernel(shop, vectors, filters, fold, number, until)
        kernels.append(kernel)
        known += seconds
    before, on, after = np.split(np.hstack([each.weights for each in kernels]), 3)
    bias = np.concatenate([each.bias for each in kernels])
    # A window's first token is looked up in the first table.
    table = np.hstack([vectors @ before, vectors @ on + bias, vectors @ after])
    windows = Windows(table, found.sentences.whole.length_max)
    embedding = replace(found.embedding, sentences=replace(found.sentences, transformer=windows))
    made = found.read_apart(embedding, fold, parts=times)
    return replace(made, seconds=known + time.monotonic() - began)


def _kernel(
    shop: Workshop, vectors: Singles, filters: int, fold: int, number: int, until: Deadline
) -> tuple[Kernel, float]:
    """And the seconds that it took, where another candidate learned it."""
    key = ("kernel", filters, fold, number)
    learned_before = key in shop.memo
    if not learned_before:
        began = time.monotonic()
        texts, targets, epochs = _lesson(shop, fold)
        assert texts.tokens is not None
        assert texts.token_mask is not None
        kernel = learned(
            texts.tokens, texts.token_mask, vectors, targets, filters=filters, classes=bool(shop.task.classes),
            seed=shop.seed + number, deadline=until, epochs=epochs,
        )  # fmt: skip
        check_whole(until.seconds, left=until.left, less=until.passed)
        shop.memo[key] = kernel, time.monotonic() - began
    found, seconds = shop.memo[key]
    return found, seconds if learned_before else 0.0


def _made_up(shop: Workshop) -> MadeUp | None:
    """Of 47 classes those who learned from made-up texts too got .6 % less right, of eight .8 % more (docs/log.md)."""
    return made_up(shop) if shop.task.outputs < MANY else None


def _lesson(shop: Workshop, fold: int) -> tuple[Encoded, Floats, int]:
    """Texts one after another, the target of each, and how often all are read."""
    if "tokens" not in shop.memo:
        shop.memo["tokens"] = encoded_of(shop.prepared.dataset, shop.encoder)
    rows, more, said = shop.inside(fold), _made_up(shop), shop.teacher(fold).scores
    real, y = shop.encoded(rows), shop.answers(rows)
    true = np.eye(shop.task.outputs)[y] if shop.task.classes else np.asarray(y)[:, None]
    targets, texts, epochs = [TRUTH * true + (1 - TRUTH) * said(real)], shop.memo["tokens"].take(rows), EPOCHS
    if more is not None:
        others = more.of(rows)
        targets.append(said(others))
        texts = Encoded.join([texts, replace(others, vectors=None)])
        epochs = ceil(EPOCHS * len(rows) / (len(rows) + others.rows)) + 1
    found = np.vstack(targets)
    if not shop.task.classes:
        found = (found - found.mean()) / (found.std() or 1.0)
    return texts, np.repeat(found, shop.encoder.layout.texts, axis=0), epochs
