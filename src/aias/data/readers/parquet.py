"""Apache Parquet."""

import io

import polars as pl

from aias.data.columns import simplified
from aias.data.errors import Unreadable
from aias.data.readers.contract import NAMED, NO, SURE, File, Options, Table

_MAGIC = b"PAR1"


def fits(file: File) -> float:
    if file.data.startswith(_MAGIC):
        return SURE
    return NAMED if file.suffix in {".parquet", ".pq"} else NO


def read(file: File, options: Options) -> Table:  # noqa: ARG001 Parquet names its columns itself
    if not (file.data.startswith(_MAGIC) and file.data.endswith(_MAGIC)):
        raise Unreadable(f"`{file.name}` is not a whole Parquet file", hint="copy it again: its end is missing")
    try:
        frame = pl.read_parquet(io.BytesIO(file.data))
    except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as fault:
        raise Unreadable(f"`{file.name}` is a damaged Parquet file: {fault}", hint="copy or write it again") from None
    return Table(*simplified(frame))
