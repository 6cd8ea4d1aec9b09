"""Texts of which some words are gone, as the parent's sentence encoder reads them: what it says of those is a lesson.

Of the rows that it was fitted on a parent says little more than their own answers. What it says where words are missing
tells which of them it goes by: windows that were taught so lost a quarter less (docs/log.md).
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
"""Of the words of a text; `distill_words` leaves out as many terms."""

READ_SHARE: Final = 0.1
"""Of all the time, for the encoder to read them."""

LATE: Final = 2.0
"""Times as long may it take, on a machine that others use too, before they are given up."""


@dataclass(frozen=True, slots=True, eq=False)
class MadeUp:
    """`rows`: of the table, of which each is made; their tokens and vectors are in `encoded`."""

    rows: Ints
    encoded: Encoded

    def of(self, rows: Ints) -> tuple[Encoded, Ints]:
        """Those that are made of these rows; and of which."""
        own = np.flatnonzero(np.isin(self.rows, rows))
        return self.encoded.take(own), self.rows[own]


def planned(context: Context) -> int:
    """So many rows can be read in the time for it."""
    embedding = _embedding(context)
    seconds = READ_SHARE * context.deadline.seconds
    return min(context.prepared.dataset.rows, int(seconds / max(embedding.row_seconds, 1e-9)))


def _embedding(context: Context) -> Embedding:
    found = context.prepared.embedding
    assert found is not None, "there is an encoder that reads"
    return found


def made_up(context: Context) -> MadeUp | None:
    """The same for all candidates and folds; None where there was no time."""
    return context.once("made up", lambda: _read(context))


def _read(context: Context) -> MadeUp | None:
    count, dataset, embedding = planned(context), context.prepared.dataset, _embedding(context)
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
    return None if found is None else MadeUp(rows, found)


def _shorter(text: Any, rng: np.random.Generator) -> Any:
    """Without some of its words or, of what is written without spaces, of its letters."""
    if not text:
        return text
    words = str(text).split()
    between, parts = (" ", words) if len(words) > 1 else ("", list(str(text)))
    kept = [each for each, gone in zip(parts, rng.random(len(parts)) < GONE, strict=True) if not gone]
    return between.join(kept or parts[:1])
