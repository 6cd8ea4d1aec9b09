"""A table whose numbers are divided otherwise than its schema says, as `3,14` where those before were `3.14`: what is
refused under the schema is read as the column would be by itself, and told."""

from dataclasses import replace
from typing import Final

import polars as pl

from aias.core.errors import BadValue, shown
from aias.core.events import Event
from aias.core.schema import Field, Schema
from aias.data.types.conform import conform_column
from aias.data.types.kinds import guess

DIVIDED: Final = (None, "decimal-comma", "spaced", "spaced-comma", "lakh")
"""Formats that say what stands between the digits, and nothing of what the numbers are of."""


def conform_or_guess(frame: pl.DataFrame, schema: Schema) -> tuple[pl.DataFrame, tuple[Event, ...]]:
    """Every field of `schema`, in its order, and notes. Raises `BadValue` with field and row on what a field cannot
    take."""
    columns: list[pl.Series] = []
    notes: list[Event] = []
    for field in schema:
        column = frame[field.name]
        try:
            columns.append(conform_column(column, field))
        except BadValue:
            if (other := _divided_otherwise(column, field)) is None:
                raise
            columns.append(conform_column(column, other))
            notes.append(_note(column, columns[-1], other))
    return pl.DataFrame(columns, height=frame.height), tuple(notes)


def _divided_otherwise(column: pl.Series, field: Field) -> Field | None:
    """The field as this column is written, if all its values are numbers in its unit, or without one."""
    if field.kind != "number" or field.format not in DIVIDED or column.dtype != pl.String:
        return None
    bare = column.alias("").str.strip_chars()
    found = guess(bare.filter(~bare.is_in(["", *field.missing])))
    if found.kind != "number" or found.odd or found.missing or found.unit not in {None, field.unit}:
        return None
    return replace(field, format=found.format) if found.format in DIVIDED else None


def _note(column: pl.Series, numbers: pl.Series, field: Field) -> Event:
    """With the first value that is more than digits."""
    pairs = zip(column.alias("").str.strip_chars().to_list(), numbers.to_list(), strict=True)
    text, number = next((text, number) for text, number in pairs if number is not None and not text.isdigit())
    how = f"as `{field.format}`" if field.format else "with a point"
    read = f"{shown(text)} is read as {number:g}"
    message = f"`{field.name}`: its numbers are written {how}, and not as the schema says: {read}"
    return Event("data.written-otherwise", message, "warning", {"column": field.name, "format": field.format or ""})
