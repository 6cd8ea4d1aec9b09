"""Delimited text from its header on: what stands above it, and units below it, are cut off and told."""

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from aias.core.errors import shown
from aias.core.events import Event
from aias.data.readers.contract import noted
from aias.data.text_files.around import ABOVE_MAX, header_at, is_below_header, is_comment
from aias.data.text_files.groups import begins_at, under_groups
from aias.data.text_files.layout import Layout, records

_HEAD: Final = 1 << 17
_ROWS: Final = 200
_AMOUNT: Final = re.compile(r"[+-]?[0-9]*\.[0-9]*(?:[eE][+-]?[0-9]+)?")
"""Rows are called by whole numbers and by words."""

_NUMBERS_MIN: Final = 0.95

_Row = Sequence[str]
Judge = Callable[[Sequence[Sequence[str]], bool], bool]
"""(a row and those below it, whether to be sure) → whether the row is a header."""


@dataclass(frozen=True, slots=True)
class Cut:
    """`lines`: how many stood above."""

    data: bytes
    lines: int = 0
    notes: tuple[Event, ...] = ()


def without_comments(data: bytes) -> bytes:
    """The data below the comments that it begins with, to see how it is divided."""
    at = 0
    while data[at : at + 1] in {b"#", b"%", b"\n"}:
        end = data.find(b"\n", at)
        if end < 0:
            return data
        at = end + 1
    return data[at:] if data[at:].strip() else data


def from_header(
    data: bytes, layout: Layout, file: str, *, judge: Judge, is_number: Callable[[str], bool], above: int = 0
) -> Cut:
    """The data without what stands above its header. A file without a header, or of one column, stays as it is.

    `above`: the lines that stood above the data.
    """
    if layout.separator is None:
        return Cut(data, above)
    head = data[: data.rfind(b"\n", 0, _HEAD) + 1] if len(data) > _HEAD else data
    if not head:
        return Cut(data, above)
    found = records(head, layout.separator, quoted=layout.quoted)
    count = min(len(found.starts), ABOVE_MAX + _ROWS)
    rows = [cells_of(head[found.starts[at] : found.ends[at]], layout) for at in range(count)]
    width = int(np.bincount([len(row) for row in rows if row]).argmax()) if any(rows) else 0
    place = begins_at(rows, header_at(rows, width, lambda at, surely: judge(_whole(rows[at:], width), surely)))
    notes: list[Event] = []
    start, lines = int(found.starts[place]), int(found.lines[place]) - 1 + above
    if any(map(any, rows[:place])):
        notes.append(_note(file, lines, rows[:place]))
    cut = data[start:] if start else data
    if is_without_first(rows[place], [row for row in rows[place + 1 :] if row], width):
        cut = layout.separator.encode() + cut
        said = "its header has a name less than its rows have values; the first of each is taken for the row's name"
        notes.append(noted(f"`{file}`: {said}"))
    if (units := _units_at(rows, place, width, is_number)) is not None:
        first, end = int(found.starts[units]) - start, int(found.ends[units]) - start + 1
        cut = cut[:first] + b"\n" * cut.count(b"\n", first, end) + cut[end:]
        said = shown(", ".join(filter(None, rows[units]))[:60])
        line = found.lines[units] + above
        notes.append(noted(f"`{file}`: line {line} holds units, or dashes, and is left out: {said}"))
    return Cut(cut, lines, tuple(notes))


def _units_at(rows: Sequence[_Row], header: int, width: int, is_number: Callable[[str], bool]) -> int | None:
    """The place of a row of units, or of lines drawn with dashes: the first below the header, if it is one."""
    place = next((at for at, row in enumerate(rows) if at > header and row), None)
    if place is None or len(rows[header]) != width or under_groups(rows[header], rows[place]):
        return None
    below = [row for row in rows[place + 1 :] if len(row) == width]
    columns = [[row[at] for row in below if row[at].strip()] for at in range(width)]
    numeric = [bool(each) and sum(map(is_number, each)) >= _NUMBERS_MIN * len(each) for each in columns]
    is_one = len(rows[place]) == width and len(below) > 1 and is_below_header(rows[place], numeric)
    return place if is_one else None


def is_without_first(header: Sequence[str], below: Sequence[Sequence[str]], width: int) -> bool:
    """As R writes tables: a name for every column but the first, whose values are names of the rows."""
    if len(header) != width - 1 or width < 2 or not below or not all(cell.strip() for cell in header):
        return False
    if any(len(row) != width for row in below) or not any(row[-1].strip() for row in below):
        return False
    names = [row[0].strip() for row in below]
    return all(names) and len(set(names)) == len(names) and not any(map(_AMOUNT.fullmatch, names))


def cells_of(record: bytes, layout: Layout) -> list[str]:
    """The values of one record, without their quotes."""
    text = record.decode("utf-8", "replace")
    if not layout.quoted:
        return text.split(layout.separator) if text else []
    lines = csv.reader([text], delimiter=layout.separator or ",", skipinitialspace=layout.spaced)
    try:
        return next(lines, [])
    except csv.Error:  # a value that is longer than the standard library reads
        return text.split(layout.separator)


def _whole(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    return [[*row, *[""] * (width - len(row))] for row in rows if row and len(row) <= width]


def _note(file: str, lines: int, rows: Sequence[Sequence[str]]) -> Event:
    filled = [" ".join(filter(None, (cell.strip() for cell in row))) for row in rows]
    said = ", ".join(shown(text[:60]) for text in filled if text)[:200]
    what = "comment" if all(is_comment(row) for row in rows if any(row)) else "title"
    which = f"line 1 is a {what}" if lines == 1 else f"lines 1 to {lines} are {what}s"
    return noted(f"`{file}`: {which} above the table, and left out: {said}")
