"""JSON: one object a line, or one array of objects."""

import re
from typing import Final

import msgspec

from aias.core.events import Event
from aias.core.json_faults import Faults, in_words
from aias.data.errors import Unreadable
from aias.data.readers.contract import LIKELY, NAMED, NO, File, Options, Table, noted
from aias.data.text_files.decode import decoded
from aias.data.text_files.one_object import rows_of
from aias.data.types.columns import from_rows, simplified

_SUFFIXES: Final = frozenset({".jsonl", ".ndjson", ".json"})
_ESCAPE: Final = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
"""What follows a backslash: a whole pair, half of one, or anything."""

_NO_NUMBER: Final = re.compile(rb'"(?:\\.|[^"\\])*"|(NaN|-?Infinity)\b')
_NO_NUMBERS: Final = {b"NaN": b"null", b"Infinity": b'"inf"', b"-Infinity": b'"-inf"'}
_SHAPE: Final = 'write one object a line, {"age": 39, "label": "yes"}, or an array of such objects'


def fits(file: File) -> float:
    if file.suffix in _SUFFIXES:
        return NAMED
    head = file.data[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    return LIKELY if head.startswith((b'{"', b"[{", b"[\n", b"{ ")) else NO


def read(file: File, options: Options) -> Table:
    data, notes = decoded(file.data, name=file.name, encoding=file.encoding)
    if not data.strip():
        raise Unreadable(f"`{file.name}` is empty", hint=_SHAPE)
    try:
        rows = _rows(data, file.name)
    except Unreadable:
        data, pairs = whole_pairs(data, file.name)
        data, numbers = without_nan(data, file.name)
        if not pairs and not numbers:
            raise
        rows, notes = _rows(data, file.name), (*notes, *pairs, *numbers)
    table = rows_of(rows[0]) if len(rows) == 1 and options.known.isdisjoint(rows[0]) else None
    if table:
        rows, how = table
        notes += (noted(f"`{file.name}` is one object, and was read as {how}"),)
    if not rows:
        raise Unreadable(f"`{file.name}` holds no rows", hint=_SHAPE)
    frame, called = simplified(from_rows(rows))
    return Table(frame, (*notes, *called))


def whole_pairs(data: bytes, name: str) -> tuple[bytes, tuple[Event, ...]]:
    """Half a surrogate pair, as Python's `json` writes it when a text was cut within a picture, becomes U+FFFD."""
    halves: list[int] = []

    def mended(found: re.Match[bytes]) -> bytes:
        if found[1] is None:
            return found[0]
        halves.append(found.start())
        return b"\\ufffd"

    out = _ESCAPE.sub(mended, data)
    if not halves:
        return data, ()
    line = data.count(b"\n", 0, halves[0]) + 1
    spelt = data[halves[0] : halves[0] + 6].decode()
    message = (
        f"in `{name}`, line {line}, `{spelt}` is half of a surrogate pair and no character; it was read as \ufffd"
        + (f", and so were {len(halves) - 1:,} more" if len(halves) > 1 else "")
    )
    return out, (Event("data.decoded", message, "warning"),)


def without_nan(data: bytes, name: str) -> tuple[bytes, tuple[Event, ...]]:
    """What Python's `json` writes and JSON has not: NaN becomes null, infinity a word that is read as one."""
    found: list[int] = []

    def written(match: re.Match[bytes]) -> bytes:
        if match[1] is None:
            return match[0]
        found.append(match.start())
        return _NO_NUMBERS[match[1]]

    out = _NO_NUMBER.sub(written, data)
    message = f"`{name}` holds NaN or Infinity, which JSON has not ({len(found):,} times); NaN was read as missing"
    return out, (Event("data.decoded", message, "warning"),) if found else ()


def _rows(data: bytes, name: str) -> list[dict[str, object]]:
    return _array(data, name) if data.lstrip().startswith(b"[") else _lines(data, name)


def _array(data: bytes, name: str) -> list[dict[str, object]]:
    try:
        rows = msgspec.json.decode(data)
    except Faults as fault:
        raise Unreadable(f"`{name}` cannot be read: {in_words(fault, data)}", hint=_SHAPE) from None
    for place, row in enumerate(rows):
        if not isinstance(row, dict):
            raise Unreadable(f"`{name}`: item {place} is of type {type(row).__name__}, not an object", hint=_SHAPE)
    return list(rows)


def _lines(data: bytes, name: str) -> list[dict[str, object]]:
    decoder = msgspec.json.Decoder()
    rows: list[dict[str, object]] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            row = decoder.decode(line)
        except Faults as fault:
            if not rows and (whole := _object(data)) is not None:
                return [whole]
            if number == 1 and data.lstrip().startswith(b"{\n"):
                raise Unreadable(f"`{name}` is one object over many lines, not rows", hint=_SHAPE) from None
            raise Unreadable(f"`{name}`, line {number}: {in_words(fault, line)}", hint=_SHAPE) from None
        if not isinstance(row, dict):
            raise Unreadable(f"`{name}`: line {number} is of type {type(row).__name__}, not an object", hint=_SHAPE)
        rows.append(row)
    return rows


def _object(data: bytes) -> dict[str, object] | None:
    """The one object over many lines that all of it is."""
    try:
        found = msgspec.json.decode(data)
    except Faults:
        return None
    return found if isinstance(found, dict) and rows_of(found) else None
