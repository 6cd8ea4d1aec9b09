"""Apache Arrow IPC: files (Feather 2) and streams."""

import io
from typing import Final

import polars as pl

from aias.data.arrow_faults import FAULTS, check_ends, refusal
from aias.data.errors import Unreadable
from aias.data.readers.contract import NAMED, NO, SURE, File, Options, Table
from aias.data.types.columns import simplified

_MAGIC: Final = b"ARROW1"
_STREAM: Final = b"\xff\xff\xff\xff"
_KIND: Final = "an Arrow"


def fits(file: File) -> float:
    if file.data.startswith(_MAGIC):
        return SURE
    return NAMED if file.suffix in {".arrow", ".feather", ".ipc", ".arrows"} else NO


def read(file: File, options: Options) -> Table:  # noqa: ARG001 Arrow names its columns itself
    if file.data.startswith(b"FEA1"):
        raise Unreadable(f"`{file.name}` is Feather version 1", hint="write it as Feather 2 or Parquet")
    data, name = file.data, file.name
    if data.startswith(_STREAM):
        try:
            return Table(*simplified(pl.read_ipc_stream(io.BytesIO(data))))
        except FAULTS:
            message = f"`{name}` is a damaged Arrow stream: a part should come that is as long as it says, and does not"
            raise Unreadable(message, hint="copy or write it again") from None
    check_ends(data, name, kind=_KIND, begins=_MAGIC, ends=_MAGIC)
    try:
        frame = pl.read_ipc(io.BytesIO(data))
    except FAULTS as fault:
        raise refusal(
            fault, name, kind=_KIND, names=lambda: list(pl.read_ipc_schema(io.BytesIO(data))),
            reads=lambda columns: pl.read_ipc(io.BytesIO(data), columns=columns),
        ) from None  # fmt: skip
    return Table(*simplified(frame))
