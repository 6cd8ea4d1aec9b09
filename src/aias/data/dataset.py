"""A dataset: rows with a schema, named by the digest of its content."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from aias.core.arrays import Floats, Ints
from aias.core.events import Event
from aias.core.names import digest_of
from aias.core.schema import Field, Schema
from aias.data.types.conform import conform_column

_MISSING = 0xFFFFFFFF


@dataclass(frozen=True, eq=False)
class Dataset:
    """`frame` holds the fields of `schema` in its order: numbers as Float64, categories and texts as String, times as
    Date or Datetime; null is missing. `notes`: what was found and changed on the way here."""

    frame: pl.DataFrame
    schema: Schema
    notes: tuple[Event, ...] = ()

    def __post_init__(self) -> None:
        assert tuple(self.frame.columns) == self.schema.names, "a dataset's columns are the fields of its schema"

    @property
    def rows(self) -> int:
        return self.frame.height

    @cached_property
    def digest(self) -> str:
        """Over names, kinds and values; the same whatever file they came in."""
        return digest_of(self._content())

    @property
    def encoding(self) -> str | None:
        """What the text of its file was in, where that was not UTF-8."""
        found = (note.facts["encoding"] for note in self.notes if "encoding" in note.facts)
        return next(map(str, found), None)

    def column(self, name: str) -> pl.Series:
        """A column without its name, which could be a pattern to Polars (`^a.*$`)."""
        return self.frame[self.schema[name].name].alias("")

    def values(self, name: str) -> list[object] | Floats:
        """The values of one field as an encoder takes them: float64 with NaN for a number, else a list with None."""
        column = self.column(name)
        if column.dtype == pl.Float64:
            return column.to_numpy()
        return column.to_list()

    def text_size(self, name: str) -> tuple[int, int]:
        """How many characters a column of texts holds, and how many bytes of UTF-8."""
        texts = self.column(name).cast(pl.String)
        return int(texts.str.len_chars().sum()), int(texts.str.len_bytes().sum())

    def columns(self, fields: Iterable[Field]) -> Mapping[str, Any]:
        """The values of these fields, each made when it is asked for: as Python's, texts take ten times the memory."""
        return _Columns(self, dict.fromkeys(field.name for field in fields))

    def take(self, rows: Ints) -> "Dataset":
        """The rows at these positions, in this order."""
        if np.array_equal(rows, np.arange(self.rows)):
            return self
        return replace(self, frame=self.frame[rows])

    def with_schema(self, schema: Schema) -> "Dataset":
        """The same rows under another schema of the same fields. Raises `BadValue` on a value that does not fit.

        Only what is read in another way is read again: half a million times take seconds.
        """
        before = {field.name: _as_read(field) for field in self.schema}
        columns = [
            column if _as_read(field) == before[field.name] else conform_column(column, field)
            for field in schema
            for column in (self.frame[field.name],)
        ]
        return replace(self, frame=pl.DataFrame(columns), schema=schema)

    def _content(self) -> Iterator[bytes]:
        for field in self.schema:
            yield f"{field.name}\0{field.kind}\0{self.rows}\0".encode()
            yield from column_content(self.frame[field.name])


@dataclass(frozen=True, eq=False)
class _Columns(Mapping[str, Any]):
    dataset: Dataset
    names: dict[str, None]

    def __getitem__(self, name: str) -> Any:
        if name not in self.names:
            raise KeyError(name)
        return self.dataset.values(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


def _as_read(field: Field) -> Field:
    """The field without what does not change how its values are read."""
    return replace(field, role="input", reason="")


def column_content(column: pl.Series) -> Iterator[bytes]:
    """The values of one column as bytes, independent of how they lie in memory."""
    column = column.alias("")
    if column.dtype == pl.Float64:
        values = column.to_numpy() + 0.0  # -0 and 0 are one number
        yield np.where(np.isnan(values), np.nan, values).astype("<f8").tobytes()
        return
    texts = column.cast(pl.String)
    yield texts.str.len_bytes().fill_null(_MISSING).cast(pl.UInt32).to_numpy().astype("<u4").tobytes()
    yield "".join(texts.drop_nulls().to_list()).encode()
