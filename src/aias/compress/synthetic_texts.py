"""Synthetic texts: texts without some of their words, for a student to learn what the parent answers to them.

Of its own training rows a parent says little more than their labels. Its answers to texts with missing words tell which
words it relies on: windows that learned from these too lost a quarter less (docs/log.md).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.compress.context import Context
from aias.core.arrays import Ints
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.encoders.rows import Encoded
from aias.training.embedding import Embedding, embedded

GONE: Final = 0.3
"""The share of words left out of a text; `distill_words` leaves out the same share of terms."""

READ_SHARE: Final = 0.1
"""The share of the time in which the encoder reads them."""

LATE: Final = 2.0
"""Times the planned time, after which they are given up: the machine may be busy."""


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticTexts:
    """`rows`: the row of the table that each text is made from; `encoded`: their tokens and vectors."""

    rows: Ints
    encoded: Encoded

    def of(self, rows: Ints) -> tuple[Encoded, Ints]:
        """The texts that are made from these rows, and the row of each."""
        own = np.flatnonzero(np.isin(self.rows, rows))
        return self.encoded.take(own), self.rows[own]


def planned(context: Context, embedding: Embedding) -> int:
    """How many rows can be read in the time for it."""
    seconds = READ_SHARE * context.deadline.seconds
    return min(context.prepared.dataset.rows, int(seconds / max(embedding.row_seconds, 1e-9)))


def synthetic_texts(context: Context, embedding: Embedding) -> SyntheticTexts | None:
    """The same for all candidates and folds; None where there was no time."""
    return context.once("synthetic texts", lambda: _read(context, embedding))


def _read(context: Context, embedding: Embedding) -> SyntheticTexts | None:
    count, dataset = planned(context, embedding), context.prepared.dataset
    if not count:
        return None
    rng = np.random.default_rng(context.seed)
    rows = np.sort(rng.permutation(dataset.rows)[:count])
    some, fields = dataset.take(rows), context.encoder.fields
    columns: dict[str, Any] = {
        each.name: [_shorter(text, rng) for text in some.values(each.name)]
        if each.kind == "text"
        else some.values(each.name)
        for each in fields
    }
    until = Deadline.after(LATE * READ_SHARE * context.deadline.seconds, context.deadline.clock)
    found = embedded(
        embedding,
        context.encoder.columns(columns, len(rows)),
        ledger=context.fitter.ledger,
        deadline=until,
        watch=nobody,
    )
    return None if found is None else SyntheticTexts(rows, found)


def _shorter(text: Any, rng: np.random.Generator) -> Any:
    """The text without some of its words; without some of its letters, where it has no spaces."""
    if not text:
        return text
    words = str(text).split()
    between, parts = (" ", words) if len(words) > 1 else ("", list(str(text)))
    kept = [each for each, gone in zip(parts, rng.random(len(parts)) < GONE, strict=True) if not gone]
    return between.join(kept or parts[:1])
