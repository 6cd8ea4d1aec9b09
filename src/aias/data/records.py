"""Columns of records → a column for each of their fields, as `core.nested` does with rows."""

from collections.abc import Iterator

import polars as pl

from aias.core.nested import JOINT, LEVELS_MAX


def parts(column: pl.Series, levels: int = LEVELS_MAX) -> Iterator[pl.Series]:
    """A column; of one of records a column for each field, `column.field`."""
    if not isinstance(column.dtype, pl.Struct) or levels < 2:
        yield column
        return
    for part in column.struct.unnest():
        yield from parts(part.alias(f"{column.name}{JOINT}{part.name}"), levels - 1)
