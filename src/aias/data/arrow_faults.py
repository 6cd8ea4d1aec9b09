"""What is wrong with a Parquet or Arrow file, found by looking again: what was expected there, and what came.

The libraries that read them say it in words of the format (thrift, flatbuffers, out of specification) or not at all.
"""

import re
from collections.abc import Callable, Sequence
from typing import Final

import polars as pl

from aias.core.errors import shown
from aias.data.errors import Unreadable

FAULTS: Final = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError, MemoryError)
"""What Polars raises on bytes that are not what they should be."""

READS_MAX: Final = 40
"""Of a part of the columns: more than it takes to find one among all that are read, by halves."""

_TWICE: Final = re.compile(r"(?:with name '|duplicate: )(.*?)'? has more than one|duplicate.*?[`'\"](.+?)[`'\"]")
_UNREAD: Final = re.compile(r"precision must|not (?:yet )?(?:implemented|supported)|unsupported|unknown (?:type|codec)")
_SHOWN: Final = 8

Names = Callable[[], Sequence[str]]
Reads = Callable[[list[str]], object]


def check_ends(data: bytes, name: str, *, kind: str, begins: bytes, ends: bytes) -> None:
    """The marks at both ends. Raises `Unreadable`."""
    if not data.startswith(begins):
        raise Unreadable(
            f"`{name}` is not {kind} file: it should begin with {_text(begins)} and begins with {_text(data[:_SHOWN])}",
            hint="if it is in another format, let its name say so, as in data.csv; if not, write it again",
        )
    if not data.endswith(ends):
        raise Unreadable(
            f"`{name}` is not a whole {kind.partition(' ')[2]} file: it should end with {_text(ends)} and ends with"
            f" {_text(data[-_SHOWN:])} after {len(data):,} bytes",
            hint="copy it again: its end is missing",
        )


def refusal(fault: Exception, name: str, *, kind: str, names: Names, reads: Reads) -> Unreadable:
    """The error to raise for a `fault` of Polars. `names`: reads those of the columns; `reads`: some of them."""
    said = str(fault)
    if twice := _TWICE.search(said):
        column = next((each for each in twice.groups() if each), "")
        return Unreadable(
            f"`{name}` has two columns that are called `{column}`; each needs a name of its own",
            hint="rename one of them and write it again",
        )
    try:
        columns = list(names())
    except FAULTS as deeper:
        return _of_all(str(deeper), name, kind)
    column, why = _first_bad(columns, reads)
    if column is None:
        return _of_all(said, name, kind)
    if _UNREAD.search(why.casefold()):
        hint = "write it again with this column as text, float64 or int64, or without it"
        return Unreadable(f"`{name}`: column `{column}` holds values of a type or packing that is not read", hint=hint)
    return Unreadable(
        f"`{name}` is a damaged {kind.partition(' ')[2]} file: the values of column `{column}` do not unpack",
        hint="copy or write it again; what was read is only worth something whole",
    )


def _of_all(said: str, name: str, kind: str) -> Unreadable:
    if _UNREAD.search(said.casefold()):
        wanted = "texts, true or false, dates, times, and numbers of at most 38 digits"
        hint = "write it again with float64 in place of long decimals, and text in place of what else is odd"
        return Unreadable(f"`{name}` holds a type that is not read: expected are {wanted}", hint=hint)
    word = kind.partition(" ")[2]
    message = f"`{name}` is a damaged {word} file: the list of its columns should stand at its end and is not readable"
    return Unreadable(message, hint="copy or write it again")


def _first_bad(columns: list[str], reads: Reads) -> tuple[str | None, str]:
    """The name of one column that cannot be read, found by halves, and what was said of it."""
    for _ in range(READS_MAX):
        half = columns[: (len(columns) + 1) // 2]
        try:
            reads(half)
        except FAULTS as fault:
            if len(half) == 1:
                return half[0], str(fault)
            columns = half
        else:
            columns = columns[len(half) :]
        if not columns:
            break
    return None, ""


def _text(data: bytes) -> str:
    return shown(data.decode("latin-1"))
