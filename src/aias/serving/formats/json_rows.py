"""JSON bodies → rows: objects of plain values, or of a few levels of such objects, which become fields `a.b`."""

import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

import msgspec

from aias.core.errors import BadValue
from aias.core.json_faults import Faults, in_words
from aias.core.limits import COLUMNS_MAX
from aias.core.nested import flat
from aias.encoders.json_row import Scalar
from aias.serving.formats.json_values import Decoder
from aias.serving.refusals import BadBody, TooManyRows, too_many_rows

Nested = Scalar | dict[str, Scalar | dict[str, Scalar | dict[str, Scalar]]]
"""As deep as `core.nested` reads, which is bounded here before anything is made of it."""

_SMALL_BYTES: Final = 64 << 10
"""Up to here one call decodes all; beyond, row by row, so that other threads come in between."""

SLACK: Final = 10
"""`},{` and `":` may stand in texts too: count beyond the bound by this factor before refusing unread."""

_NEXT: Final = b"},{"

_BETWEEN: Final = re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*(?=\{)")
"""What stands between two rows; and in a text it may stand, too."""

_HINT: Final = (
    'send `[{"column": value, ...}, ...]` with texts, numbers, true, false and null as values; JSON has no NaN'
)

_LINES: Final = "rows in a list are `[{...}, {...}]`; one row a line is `Content-Type: application/jsonl`"

_rows = Decoder(list[dict[str, Scalar]])
_row = Decoder(dict[str, Scalar])
_raw_rows = msgspec.json.Decoder(list[msgspec.Raw])
_raw_row = msgspec.json.Decoder(dict[str, msgspec.Raw])
_nested_row = Decoder(dict[str, Nested])
_value = Decoder[Nested](Nested)


def read_rows(body: bytes, *, rows_max: int) -> list[dict[str, Any]]:
    """The rows of a JSON list of objects. Raises `BadBody`, `TooManyRows`, and `BadValue` naming row and field."""
    if len(body) > _SMALL_BYTES:
        _check_count(body, rows_max)
        return _checked([_read_row(raw, at) for at, raw in enumerate(_read_pieces(body))], rows_max)
    try:
        return _checked(_rows.decode(body), rows_max)
    except Faults:
        return _checked([_read_row(raw, at) for at, raw in enumerate(_read_raw(body))], rows_max)


def read_lines(body: bytes, *, rows_max: int) -> list[dict[str, Any]]:
    """The rows of JSON Lines: an object a line; empty lines are none."""
    if body.count(b"\n") >= SLACK * rows_max:
        raise too_many_rows(rows_max)
    lines = [line for line in body.split(b"\n") if line.strip(b" \t\r")]
    return _checked([_read_row(line, at) for at, line in enumerate(lines)], rows_max)


def read_row(body: bytes) -> dict[str, Any]:
    """The only row of a JSON object."""
    if len(body) > _SMALL_BYTES:
        return _read_row(body, 0)
    try:
        return _row.decode(body)
    except Faults:
        return _read_row(body, 0)


def _checked(rows: list[dict[str, Any]], rows_max: int) -> list[dict[str, Any]]:
    if len(rows) > rows_max:
        raise TooManyRows(f"{len(rows):,} rows; the bound is {rows_max:,}", hint="send them in several requests")
    return rows


def _check_count(body: bytes, rows_max: int) -> None:
    """Refuse what would become millions of small objects, before they are made; piece by piece, so that other threads
    come in between."""
    count, before = 0, b""
    for at in range(0, len(body), _SMALL_BYTES):
        # The end of the piece before may be the beginning of another row, and is too short to hold one.
        piece = before + body[at : at + _SMALL_BYTES].translate(None, b" \t\r\n")
        count, before = count + piece.count(_NEXT), piece[-len(_NEXT) + 1 :]
    if count >= SLACK * rows_max:
        raise too_many_rows(rows_max)


def _read_pieces(body: bytes) -> list[msgspec.Raw]:
    """The rows of a large body, cut piece by piece, so that other threads come in between.

    A piece that is a list once it is closed ends between two rows, if all before it do. One that ends within a text or
    a list of a row is none: then, as where the body is wrong, all is read at once.
    """
    found = list[msgspec.Raw]()
    try:
        for piece in _pieces(body):
            found += _raw_rows.decode(piece)
    except Faults:
        return _read_raw(body)
    return found


def _pieces(body: bytes) -> Iterator[bytes]:
    """A list in several, that end where a row seems to."""
    start, at = 0, _SMALL_BYTES
    while at < len(body):
        # No further than a piece, where nothing is between: the search keeps other threads out.
        between = _BETWEEN.search(body, at, at + _SMALL_BYTES)
        if between is None:
            at += _SMALL_BYTES
            continue
        yield (b"[" if start else b"") + body[start : between.start() + 1] + b"]"
        start, at = between.end(), between.end() + _SMALL_BYTES
    yield (b"[" if start else b"") + body[start:]


def _read_raw(body: bytes) -> list[msgspec.Raw]:
    try:
        return _raw_rows.decode(body)
    except Faults as fault:
        _refuse(fault, body)


def _read_row(raw: bytes | msgspec.Raw, at: int) -> dict[str, Any]:
    if bytes(raw).count(b'":') >= SLACK * COLUMNS_MAX:
        raise BadBody(f"row {at} has far more than {COLUMNS_MAX:,} fields", hint="send the model's fields only")
    try:
        return _row.decode(raw)
    except Faults:
        pass
    try:
        return flat(_nested_row.decode(raw))
    except BadValue as bad:
        raise bad.at(field=bad.field[:100], row=at) from None
    except Faults:
        return _explain(raw, at)


def _explain(raw: bytes | msgspec.Raw, at: int) -> NoReturn:
    """Say what is wrong with a row that could not be decoded."""
    try:
        values = _raw_row.decode(raw)
    except Faults as fault:
        _refuse(fault, raw, f"row {at}: ")
    for name, value in values.items():
        try:
            _value.decode(value)
        except Faults as fault:
            wrong = BadValue(in_words(fault, value), hint=_HINT)
            raise wrong.at(field=name[:100], row=at) from None
    raise BadBody(f"row {at} is no JSON object of plain values", hint=_HINT)


def _refuse(fault: Exception, raw: bytes | msgspec.Raw, place: str = "") -> NoReturn:
    hint = _LINES if "trailing characters" in str(fault) else _HINT
    raise BadBody(f"{place}{in_words(fault, raw)}", hint=hint) from None
