"""A holdout in a file of its own: which of its rows measure, and what they share with the training rows."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from aias.core.arrays import Flags, Ints
from aias.core.events import Event
from aias.data.dataset import Dataset
from aias.data.errors import BadSplit


def measuring_rows(given: Dataset, learned: Dataset, *, how: str) -> tuple[Ints, tuple[Event, ...]]:
    """The rows of `given` that measure, and notes about them.

    Under `group:<column>`, rows of a training group are left out. Copies of training rows stay, since such rows may
    come again when the model is used; a note tells of them. Raises `BadSplit` where no row is left.
    """
    way, _, column = how.partition(":")
    notes: list[Event] = []
    kept = np.arange(given.rows)
    if way == "group":
        named = given.column(column)
        shared = _known([named], [learned.column(column)]) & named.is_not_null().to_numpy()
        if shared.all():
            raise BadSplit(
                f"every row of the test belongs to a `{column}` that is learned from",
                hint="give rows of other groups, or leave the test out: the folds keep groups together",
            )
        if shared.any():
            kept = kept[~shared]
            said = f"{_of(shared, 'rows of the test belong')} to a `{column}` that is learned from, and do not measure"
            notes.append(_note("data.test-shares-groups", said, shared))
    return kept, (*notes, *_told(given.take(kept), learned, way, column))


def _told(given: Dataset, learned: Dataset, way: str, column: str) -> Iterator[Event]:
    names = learned.schema.inputs
    copies = _known(*([each.column(field.name) for field in names] for each in (given, learned)))
    if copies.any():
        said = f"{_of(copies, 'rows of the test have')} the same inputs as rows that are learned from: where they are "
        yield _note("data.test-shares-rows", said + "copies of these, the scores flatter", copies)
    if way == "time" and (latest := _plain(learned.column(column)).max()) is not None:
        early = (_plain(given.column(column)) <= latest).fill_null(value=False).to_numpy()
        if early.any():
            said = f"{_of(early, 'rows of the test are')} no later by `{column}` than all that is learned from: scores "
            yield _note("data.test-looks-back", said + "on them are not of what is to come", early)


def _known(given: list[pl.Series], learned: list[pl.Series]) -> Flags:
    """Whether each row stands among the learned ones; two in 2^64 are taken for equal for nothing."""
    mine, theirs = (
        pl.DataFrame([_plain(column).alias(str(place)) for place, column in enumerate(columns)]).hash_rows().to_numpy()
        for columns in (given, learned)
    )
    return np.isin(mine, theirs)


def _plain(column: pl.Series) -> pl.Series:
    """Dates and times as one type, whatever file they came in."""
    return column.cast(pl.Datetime("us")) if isinstance(column.dtype, pl.Date | pl.Datetime) else column


def _of(rows: Flags, what: str) -> str:
    return f"{int(rows.sum()):,} of {len(rows):,} {what}"


def _note(kind: str, message: str, rows: Flags) -> Event:
    return Event(kind, message, "warning", {"rows": int(rows.sum()), "of": len(rows)})
