"""Apache Arrow IPC: files (Feather 2) and streams."""

import io
from typing import Final

import polars as pl

from aias.data.columns import simplified
from aias.data.errors import Unreadable
from aias.data.readers.contract import NAMED, NO, SURE, File, Options, Table

_MAGIC: Final = b"ARROW1"
_STREAM: Final = b"\xff\xff\xff\xff"


def fits(file: File) -> float:
    if file.data.startswith(_MAGIC):
        return SURE
    return NAMED if file.suffix in {".arrow", ".feather", ".ipc", ".arrows"} else NO


def read(file: File, options: Options) -> Table:  # noqa: ARG001 Arrow names its columns itself
    if file.data.startswith(b"FEA1"):
        raise Unreadable(f"`{file.name}` is Feather version 1", hint="write it as Feather 2 or Parquet")
    source = io.BytesIO(file.data)
    try:
        frame = pl.read_ipc_stream(source) if file.data.startswith(_STREAM) else pl.read_ipc(source)
    except (pl.exceptions.PolarsError, OSError, pl.exceptions.PanicException) as fault:
        raise Unreadable(f"`{file.name}` is a damaged Arrow file: {fault}", hint="copy or write it again") from None
    return Table(*simplified(frame))
