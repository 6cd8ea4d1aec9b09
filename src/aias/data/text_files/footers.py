"""A table without what is no row of it: units below its header, and at its end notes, empty rows and totals."""

from collections.abc import Sequence
from typing import Final

import polars as pl

from aias.core.errors import shown
from aias.core.events import Event
from aias.data.readers.contract import noted
from aias.data.text_files.around import has_units, rows_below
from aias.data.text_files.headings import is_number

_ROWS_MIN: Final = 2
"""Below the header of another table."""


def without_foot(frame: pl.DataFrame, file: str) -> tuple[pl.DataFrame, tuple[Event, ...]]:
    """The rows that are, and what is told of the others."""
    if not frame.height:
        return frame, ()
    notes, totals = rows_below(frame)
    told: list[Event] = []
    if notes:
        which = "row is a note, or empty, and is" if notes == 1 else f"{notes} rows are notes, or empty, and are"
        told.append(noted(f"`{file}`: the last {which} left out"))
    if totals:
        at = frame.height - notes - totals
        said = shown(" ".join(str(value) for value in frame.row(at) if value not in {None, ""})[:60])
        which = "row holds totals and is" if totals == 1 else f"{totals} rows hold totals and are"
        told.append(noted(f"`{file}`: the last {which} left out: {said}"))
    return frame.head(frame.height - notes - totals), tuple(told)


def without_units(frame: pl.DataFrame, file: str) -> tuple[pl.DataFrame, tuple[Event, ...]]:
    """The rows below a row of units, if there is one."""
    if not has_units(frame):
        return frame, ()
    said = shown(", ".join(str(value) for value in frame.row(0) if value is not None)[:60])
    message = f"`{file}`: the first row holds units, or dashes, and is left out: {said}"
    return frame.slice(1), (noted(message),)


def rows_of_first(frame: pl.DataFrame) -> int:
    """How many rows stand above an empty one below which another, smaller table begins: a header, two rows or more, and
    values in other columns, or fewer. All, where none does."""
    empty = frame.select(pl.all_horizontal(pl.all().is_null())).to_series().to_list() if frame.width > 1 else []
    for end in (at for at in range(1, len(empty)) if empty[at] and not empty[at - 1]):
        first = next((at for at in range(end, frame.height) if not empty[at]), frame.height)
        last = next((at for at in range(first, frame.height) if empty[at]), frame.height)
        above, below = frame.head(end), frame.slice(first, last - first)
        used, filled = _used(below), _used(above)
        smaller = len(used) * below.height < len(filled) * above.height
        if below.height > _ROWS_MIN and used != filled and smaller and _is_header(below, used):
            return end
    return frame.height


def _is_header(frame: pl.DataFrame, used: Sequence[str]) -> bool:
    values = [value for value in frame.row(0) if value is not None]
    return len(values) == len(used) > 1 and all(isinstance(value, str) and not is_number(value) for value in values)


def _used(frame: pl.DataFrame) -> list[str]:
    """The columns that hold any value."""
    return [column.name for column in frame.iter_columns() if column.null_count() < frame.height]
