"""A table labelled by a teacher: answers in its target column, written to files named by their content."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import polars as pl

from aias.core.atomic_files import write_atomically
from aias.core.names import short_digest
from aias.core.schema import Schema
from aias.data.frames import table_of
from aias.data.read import read_file
from aias.data.readers.contract import Options


def columns_of(source: object, *, schema: Schema | None = None, target: str | None = None) -> tuple[str, ...]:
    """The names of the columns of a table, before anything is inferred."""
    return tuple(raw(source, schema, target).columns)


def keep_labelled(
    source: object, target: str, answers: Sequence[str | float | None], parts: Sequence[Any], *, folder: Path,
    schema: Schema | None = None,
) -> list[Path]:  # fmt: skip
    """One file for each part: the rows at its places, as they were read, with their answers."""
    column = pl.Series(target, list(answers), pl.Float64 if _are_numbers(answers) else pl.String)
    frame = raw(source, schema, target).with_columns(column)
    return [keep(frame[rows], folder) for rows in parts]


def raw(
    source: object, schema: Schema | None = None, target: str | None = None, *, encoding: str | None = None
) -> pl.DataFrame:
    """The cells as they are in the file, before anything is inferred."""
    known = frozenset(schema.names if schema else ())
    if isinstance(source, str | Path):
        return read_file(source, Options(None, known=known, target=target, encoding=encoding)).frame
    return table_of(source).frame


def _are_numbers(answers: Sequence[str | float | None]) -> bool:
    return all(not isinstance(each, str) for each in answers)


def keep(frame: pl.DataFrame, folder: Path) -> Path:
    """Write a table into a folder, under a name made from its content."""
    held = io.BytesIO()
    frame.write_parquet(held)
    path = folder / f"{short_digest([held.getvalue()], 24)}.parquet"
    write_atomically(path, held.getvalue())
    return path
