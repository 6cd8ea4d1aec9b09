"""The sentence encoder as windows of three tokens, learned from what the whole parent says (`compress.windows`).

The target of a text is half of what the parent says of it and half its own answer, as in `distill_words`. A mean of
vectors (`static_embeddings`) loses what order says; this keeps that of neighbours, for the same time a row. Windows
that were learned from these very rows tell their answers better than those of others: words have a head of their own.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from aias.compress.sentences import Reader, reader
from aias.compress.techniques.contract import Candidate, CannotHelp, Made
from aias.compress.windows import Singles, learned
from aias.compress.workshop import Workshop, check_whole
from aias.encoders.contract import Floats, Ints
from aias.graph.static import narrow, read_first
from aias.graph.windows import Windows
from aias.training.prepare import encoded_of

__all__ = ["static_windows"]

TRUTH: Final = 0.5
"""Of the target of a text, its own answer."""

FILTERS: Final = (96, 192)
MANY: Final = 20
"""Classes, from which on the second: of 77 they got 1 % more right (docs/log.md)."""

WIDER: Final = (2, 4)
"""Times as many numbers, for what loses too much: a row takes a tenth longer for twice as many."""

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
        return Candidate(name, partial(_make, shop, found, vectors, times * filters))

    yield replace(candidate(1), milder=lambda: [candidate(times) for times in WIDER])


def _make(shop: Workshop, found: Reader, vectors: Singles, filters: int, fold: int) -> Made:
    """The windows, and the heads, without the rows of the fold."""
    rows = shop.inside(fold)
    (tokens, mask), targets, until = _texts(shop, rows), _targets(shop, fold, rows), shop.fit_deadline()
    kernel = learned(
        tokens, mask, vectors, np.repeat(targets, shop.encoder.layout.texts, axis=0),
        filters=filters, classes=bool(shop.task.classes), seed=shop.seed, deadline=until,
    )  # fmt: skip
    check_whole(until.seconds, left=until.left, less=until.passed)
    before, on, after = np.split(kernel.weights, 3)
    # A window's first token is looked up in the first table.
    table = np.hstack([vectors @ before, vectors @ on + kernel.bias, vectors @ after])
    windows = Windows(table, found.sentences.whole.length_max)
    embedding = replace(found.embedding, sentences=replace(found.sentences, transformer=windows))
    return found.read_apart(embedding, fold)


def _texts(shop: Workshop, rows: Ints) -> tuple[Ints, np.ndarray]:
    """The tokens of these rows' texts, one after another, and where they are."""
    if "tokens" not in shop.memo:
        shop.memo["tokens"] = encoded_of(shop.prepared.dataset, shop.encoder)
    encoded, each = shop.memo["tokens"], shop.encoder.layout.texts
    places = (rows[:, None] * each + np.arange(each)).ravel()
    return encoded.tokens[places], encoded.token_mask[places]


def _targets(shop: Workshop, fold: int, rows: Ints) -> Floats:
    """(rows, classes), or standardised amounts (rows, 1)."""
    said, y = shop.teacher(fold).scores(shop.encoded(rows)), shop.answers(rows)
    if shop.task.classes:
        return np.asarray(TRUTH * np.eye(shop.task.outputs)[y] + (1 - TRUTH) * said)
    found = TRUTH * y[:, None] + (1 - TRUTH) * said
    return np.asarray((found - found.mean()) / (found.std() or 1.0))
