"""CSV bodies ↔ columns. The standard library reads 10,000 rows in 20 ms and needs no memory beside them."""

import csv
import io
import re
from collections import Counter
from typing import Final

from aias.core import limits
from aias.serving.formats.arrow import Columns
from aias.serving.refusals import BadBody, UnsupportedType, too_many_rows

CHARSETS: Final = {
    "utf-8": "utf-8-sig", "utf8": "utf-8-sig", "us-ascii": "ascii", "ascii": "ascii", "iso-8859-1": "latin-1",
    "latin1": "latin-1", "iso-8859-15": "iso8859-15", "windows-1252": "cp1252", "utf-16": "utf-16",
    "utf-16le": "utf-16-le", "utf-16be": "utf-16-be",
}  # fmt: skip
"""What spreadsheets and databases write; by the names that IANA gives them."""

_HEADER: Final = re.compile(r"[\r\n]*([^\r\n]*)")
_QUOTED: Final = re.compile(r'"[^"]*"')


def separator_of(text: str) -> str:
    """What stands between the names of its header: a comma, or the semicolon of those who write decimals with one, or
    the tab of who calls anything CSV."""
    head = _QUOTED.sub("", _HEADER.match(text)[1])  # type: ignore[index]  # it matches nothing too
    return "," if "," in head else next((each for each in ";\t" if each in head), ",")


def text_of(body: bytes, charset: str | None) -> str:
    """The characters of a body; UTF-8 unless said otherwise. Raises `BadBody`, `UnsupportedType`."""
    said = (charset or "utf-8").lower()
    if said not in CHARSETS:
        raise UnsupportedType(f"the charset {said[:40]!r} is not understood", hint=f"use one of {', '.join(CHARSETS)}")
    try:
        return body.decode(CHARSETS[said])
    except UnicodeDecodeError as fault:
        raise BadBody(
            f"byte {fault.start} of the CSV body is not {said.upper()}",
            hint="save the file as UTF-8, or say its charset: `text/csv; charset=windows-1252`",
        ) from None


def read_csv(text: str, *, rows_max: int, divided_by: str) -> Columns:
    """The columns of separated values with a header. Every value stays text; empty lines are none, except where
    there is one column. Raises `BadBody`, `TooManyRows`."""
    csv.field_size_limit(limits.TEXT_CHARS_MAX)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), strict=True, delimiter=divided_by)
        names = next(filter(None, lines), [])
        _check_header(names)
        values: list[list[object]] = [[] for _ in names]
        for row, line in enumerate(lines if len(names) == 1 else filter(None, lines)):
            if row >= rows_max:
                raise too_many_rows(rows_max)
            _add(values, line, row)
    except csv.Error as fault:
        raise broken(fault, lines.line_num) from None
    if not values[0]:
        raise BadBody("the CSV body has one line, and that is the header: no rows", hint="the rows stand below it")
    return dict(zip(names, values, strict=True))


def broken(fault: csv.Error, line: int) -> BadBody:
    """What the standard library found, in words for whoever wrote the body."""
    said = str(fault)
    if "larger than field limit" in said:
        why = f"a value has more than {limits.TEXT_CHARS_MAX:,} characters"
    elif "unexpected end" in said:
        why = "a value in quotes does not end"
    elif "expected after" in said:
        why = 'a value in quotes goes on behind them; a quote inside is written twice, ""'
    else:
        why = "it cannot be parted into values"
    return BadBody(f"line {line} of the CSV body: {why}", hint="write it as RFC 4180 says, as spreadsheets do")


def write_csv(columns: Columns) -> bytes:
    """The same columns as CSV; None is an empty value."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerow(columns)
    return text.getvalue().encode() + write_lines(columns)


def write_lines(columns: Columns) -> bytes:
    """The same without a header."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def _check_header(names: list[str]) -> None:
    if not names:
        raise BadBody("the CSV body has no header", hint="its first line names the columns")
    if len(names) > limits.COLUMNS_MAX:
        raise BadBody(f"the header names {len(names):,} columns; the bound is {limits.COLUMNS_MAX:,}")
    if len(set(names)) < len(names):
        # Not each with all before it: there may be ten thousand.
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise BadBody(f"the CSV body has two columns `{twice[:100]}`", hint="rename one of them")


def _add(values: list[list[object]], line: list[str], row: int) -> None:
    if not line and len(values) == 1:
        # An empty line is how a column of its own writes an empty value.
        line = [""]
    if len(line) != len(values):
        raise BadBody(
            f"row {row} has {len(line):,} values, and the header {len(values):,} columns",
            hint="values are separated by `,`, `;` or tabs, as in the header; what holds one stands in quotes",
        )
    for column, value in zip(values, line, strict=True):
        column.append(value)
