"""A table without what is no row of it: units below its header, and at its end notes, empty rows and totals."""

import polars as pl

from aias.core.errors import shown
from aias.core.events import Event
from aias.data.around import has_units, rows_below


def without_foot(frame: pl.DataFrame, file: str) -> tuple[pl.DataFrame, tuple[Event, ...]]:
    """The rows that are, and what is told of the others."""
    if not frame.height:
        return frame, ()
    notes, totals = rows_below(frame)
    told: list[Event] = []
    if notes:
        which = "row is a note, or empty, and is" if notes == 1 else f"{notes} rows are notes, or empty, and are"
        told.append(Event("data.read", f"`{file}`: the last {which} left out", "warning"))
    if totals:
        at = frame.height - notes - totals
        said = shown(" ".join(str(value) for value in frame.row(at) if value not in {None, ""})[:60])
        which = "row holds totals and is" if totals == 1 else f"{totals} rows hold totals and are"
        told.append(Event("data.read", f"`{file}`: the last {which} left out: {said}", "warning"))
    return frame.head(frame.height - notes - totals), tuple(told)


def without_units(frame: pl.DataFrame, file: str) -> tuple[pl.DataFrame, tuple[Event, ...]]:
    """The rows below a row of units, if there is one."""
    if not has_units(frame):
        return frame, ()
    said = shown(", ".join(str(value) for value in frame.row(0) if value is not None)[:60])
    message = f"`{file}`: the first row holds units, or dashes, and is left out: {said}"
    return frame.slice(1), (Event("data.read", message, "warning"),)
