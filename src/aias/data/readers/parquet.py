"""Apache Parquet."""

import io
from typing import Final

import polars as pl

from aias.data.arrow_faults import FAULTS, check_ends, refusal
from aias.data.errors import Unreadable
from aias.data.readers.contract import NAMED, NO, SURE, File, Options, Table
from aias.data.types.columns import simplified

_MAGIC: Final = b"PAR1"
_ENCRYPTED: Final = b"PARE"
_KIND: Final = "a Parquet"
_AROUND: Final = 12
"""Bytes beside the list of columns: the mark at both ends, and how long the list is."""


def fits(file: File) -> float:
    if file.data.startswith(_MAGIC):
        return SURE
    return NAMED if file.suffix in {".parquet", ".pq"} else NO


def read(file: File, options: Options) -> Table:  # noqa: ARG001 Parquet names its columns itself
    data, name = file.data, file.name
    if data.startswith(_ENCRYPTED):
        raise Unreadable(f"`{name}` is an encrypted Parquet file", hint="write it again without encryption")
    check_ends(data, name, kind=_KIND, begins=_MAGIC, ends=_MAGIC)
    if len(data) < _AROUND:
        raise Unreadable(
            f"`{name}` is a damaged Parquet file: it has {len(data)} bytes, and the smallest has more than {_AROUND}",
            hint="copy or write it again",
        )
    size = int.from_bytes(data[-8:-4], "little")
    if size + _AROUND > len(data):
        raise Unreadable(
            f"`{name}` is a damaged Parquet file: its last bytes say that {size:,} bytes list its columns, and it has"
            f" {len(data):,} in all",
            hint="copy or write it again",
        )
    try:
        frame = pl.read_parquet(io.BytesIO(data))
    except FAULTS as fault:
        raise refusal(
            fault, name, kind=_KIND, names=lambda: list(pl.read_parquet_schema(io.BytesIO(data))),
            reads=lambda columns: pl.read_parquet(io.BytesIO(data), columns=columns),
        ) from None  # fmt: skip
    return Table(*simplified(frame))
