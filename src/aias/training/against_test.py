"""Whether the rows of a test are like those that were learned from: which rows and which columns are compared."""

from collections.abc import Iterator
from typing import Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.events import Event
from aias.data.dataset import Dataset
from aias.encoders.rows import Encoded
from aias.training.scoring.drift import ROWS_MAX, drift
from aias.training.table import Table
from aias.training.text_reading import comparable

TERMS_MAX: Final = 256
"""Of each text, the most frequent ones, in half a second."""

TERM_ROWS_MIN: Final = 20
"""That hold a term which is compared. Only terms of two rows that were learned from are known, so that rare ones are
more frequent there than in any other rows."""


def against_test(
    table: Table, held: Dataset, clusters: Ints | None, *, without: str, seconds: float, seed: int
) -> Event:  # fmt: skip
    """Compare them by all fields but the one they were parted by, `without`; texts by which rows hold which frequent
    terms. `clusters`: of the test's rows; `seconds`: those of all of training."""
    rng, encoder = np.random.default_rng(seed), table.encoder
    counts = (table.rows, ROWS_MAX), (held.rows, comparable(held, seconds=seconds, most=ROWS_MAX))
    rows = [np.sort(rng.permutation(count)[:most]) for count, most in counts]
    some = held.take(rows[1])
    sides = [
        table.whole.encoded.take(rows[0]),
        encoder.with_subwords(None).columns(some.columns(encoder.fields), some.rows),
    ]
    fields: dict[str, range] = {}
    kept: list[int] = []
    at = 0
    for each in encoder.fields:
        width = getattr(encoder.encoders[each.name], "width", 0)
        if width and each.name != without:
            fields[each.name] = range(len(kept), len(kept) + width)
            kept += range(at, at + width)
        at += width
    coded = set(encoder.layout.categories)
    categories = [place for place, column in enumerate(kept) if column in coded]
    columns = [[side.columns[:, kept]] for side in sides]
    width = len(kept)
    for name, terms in _frequent(table, sides):
        fields[name] = range(width, width + len(terms))
        categories += fields[name]
        width += len(terms)
        for held_by, side in zip(columns, sides, strict=True):
            held_by.append(_holding(side, terms, known=encoder.layout.terms))
    if not fields:
        return Event("train.drift", "train and test are not compared: no word of their texts is frequent enough")
    first, second = (np.hstack(each) for each in columns)
    together = [None if each is None else each[at] for each, at in zip((table.clusters, clusters), rows, strict=True)]
    return drift(first, second, fields, categories=categories, seed=seed, clusters=(together[0], together[1])).event()


def _frequent(table: Table, sides: list[Encoded]) -> Iterator[tuple[str, Ints]]:
    """Of each text the words and traits that most rows hold, on whichever side they are; not the groups of letters,
    which only words have that are not known."""
    encoder, at = table.encoder, 0
    counts = sum(np.bincount(side.term_ids, minlength=encoder.layout.terms) for side in sides)
    for each in encoder.fields:
        if each.kind == "text":
            text = encoder.encoders[each.name]
            own = np.asarray(counts)[at : at + len(text.words)]
            terms = np.argsort(-own, kind="stable")[:TERMS_MAX]
            terms = terms[own[terms] >= TERM_ROWS_MIN]
            if len(terms):
                yield each.name, at + terms
            at += text.size


def _holding(side: Encoded, terms: Ints, *, known: int) -> Floats:
    """Whether each row holds each of the terms, 1 or 0: (rows, terms)."""
    place = np.full(known, -1)
    place[terms] = np.arange(len(terms))
    of, row = place[side.term_ids], side.term_segments[:, 0] // max(side.texts, 1)
    found = np.zeros((side.rows, len(terms)))
    found[row[of >= 0], of[of >= 0]] = 1.0
    return found
