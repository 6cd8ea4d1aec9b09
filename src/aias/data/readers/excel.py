"""Excel and OpenDocument sheets, through calamine."""

import io
import logging
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import polars as pl

from aias.core.limits import UNPACK_RATIO_MAX, UNPACKED_BYTES_MAX
from aias.data.errors import TooLarge, Unreadable
from aias.data.readers.contract import NAMED, NO, SURE, File, Options, Table, noted
from aias.data.text_files.around import header_at
from aias.data.text_files.decode import looks_binary
from aias.data.text_files.footers import rows_of_first, without_foot, without_units
from aias.data.text_files.groups import begins_at, grouped, told_groups
from aias.data.text_files.headings import judged
from aias.data.text_files.one_side import one_side
from aias.data.types.columns import simplified
from aias.data.types.names import unique_names

_SUFFIXES: Final = frozenset({".xlsx", ".xlsm", ".xlsb", ".xls", ".ods"})
_SLACK: Final = 64 << 20
_NAMELESS: Final = "__UNNAMED__"
"""What calamine calls columns without a name: a title above a table leaves most of them so."""

_HEAD: Final = 200
_COVER: Final = 2
"""Columns of a sheet that may only say what is in the others."""


def fits(file: File) -> float:
    if file.suffix in _SUFFIXES:  # programs call text so, that Excel may open it
        return NAMED if looks_binary(file.data) or file.data.lstrip()[:1] == b"<" else NO
    return SURE if file.data.startswith(b"PK") and b"xl/workbook" in file.data else NO


@dataclass(frozen=True, slots=True)
class _Sheet:
    """`above`: rows above the names of the columns. `joined`: these, where there are groups above them. `cut`: how many
    rows it was cut to, as another table begins below; None where there is no other."""

    frame: pl.DataFrame
    above: int
    joined: list[str]
    cut: int | None


def read(file: File, options: Options) -> Table:
    import fastexcel

    logging.getLogger("fastexcel").setLevel(logging.ERROR)  # it tells of columns of which nobody asked
    if file.data.lstrip()[:1] == b"<":
        raise Unreadable(f"`{file.name}` is a web page or XML, not a spreadsheet", hint="open it, and save it as CSV")
    _check_size(file)
    try:
        book = fastexcel.read_excel(file.data)
        sheets = [str(name) for name in book.sheet_names]
        name = options.part or (_chosen(book, sheets, options) if sheets else "")
        if name not in sheets:
            raise Unreadable(f"`{file.name}` has no sheet `{name}`", hint=f"its sheets are: {', '.join(sheets)}")
        sheet = _sheet(book, name, options)
    except (fastexcel.FastExcelError, pl.exceptions.PolarsError, ValueError) as fault:
        why = str(fault).partition("\n")[0]
        raise Unreadable(f"`{file.name}` cannot be read as a spreadsheet: {why}", hint="save it as CSV") from None
    frame, joined = sheet.frame, sheet.joined
    frame = frame.rename(dict(zip(frame.columns, joined, strict=True))) if len(joined) == frame.width else frame
    own = _own(frame, [] if joined else _head(book, name)[sheet.above :])
    frame, side = one_side(frame, list(own.values()), file.name, wanted=options.known | {options.target})
    names, called = unique_names([own[each] for each in frame.columns], f"`{file.name}`")
    frame = frame.rename(dict(zip(frame.columns, names, strict=True)))
    frame, units = without_units(frame, file.name)
    frame, foot = without_foot(frame, file.name)
    frame, notes = simplified(frame)
    said = _said(sheet, file.name)
    if not options.part and len(sheets) > 1:
        other = next(each for each in sheets if each != name)
        said.append(f"`{file.name}` has {len(sheets)} sheets; `{name}` was read. Another: `{file.name}:{other}`")
    return Table(frame, (*side, *called, *units, *foot, *notes, *map(noted, said)))


def _own(frame: pl.DataFrame, rows: Sequence[Sequence[str]]) -> dict[str, str]:
    """By what its columns are called, their names in the sheet: "" where they have none, and one again where calamine
    put a number behind it. `rows` begin with the names."""
    header = rows[0] if rows and len(rows[0]) == frame.width else frame.columns
    own = {}
    for called, name in zip(frame.columns, header, strict=True):
        numbered = called.startswith(f"{name}_") and called.removeprefix(f"{name}_").isdecimal()
        own[called] = "" if called.startswith(_NAMELESS) else name if numbered else called
    return own


def _sheet(book: Any, name: str, options: Options) -> _Sheet:
    frame = pl.DataFrame(book.load_sheet(name))
    nameless = any(column.startswith(_NAMELESS) for column in frame.columns)
    above, joined = _header(_head(book, name), options) if nameless else (0, [])
    frame = pl.DataFrame(book.load_sheet(name, header_row=above)) if above else frame
    rows = rows_of_first(frame)
    if rows == frame.height:
        return _Sheet(frame, above, joined, None)
    # Once more, for the other's values made texts of numbers.
    return _Sheet(pl.DataFrame(book.load_sheet(name, header_row=above, n_rows=rows)), above, joined, rows)


def _said(sheet: _Sheet, file: str) -> list[str]:
    """What was left out of it, and how its columns are called."""
    said = list[str]()
    if above := sheet.above - bool(sheet.joined):
        which = "row 1 is" if above == 1 else f"rows 1 to {above} are"
        said.append(f"`{file}`: {which} above the table, and left out")
    if sheet.joined:
        said.append(told_groups(sheet.joined, file))
    if sheet.cut is not None:
        said.append(
            f"`{file}`: another table begins below row {sheet.cut} of the first, and is left out; give it a sheet"
        )
    return said


def _chosen(book: Any, sheets: Sequence[str], options: Options) -> str:
    """The first whose header holds a name that is looked for, else the first that is neither empty nor a cover.

    A cover is of one or two columns, and another sheet has more of both rows and columns.
    """
    if len(sheets) == 1:
        return sheets[0]
    wanted = options.known | {options.target}
    sizes: dict[str, tuple[int, int]] = {}  # rows, columns
    for name in sheets:
        rows = _head(book, name)
        place, joined = _header(rows, options)
        if rows and not wanted.isdisjoint(joined or rows[place]):
            return name
        sizes[name] = (len(rows), max((sum(map(bool, row)) for row in rows), default=0))
    filled = [name for name in sheets if sizes[name][1]] or list(sheets)
    height, width = sizes[filled[0]]
    larger = (name for name in filled if sizes[name][0] > height and sizes[name][1] > max(width, _COVER))
    return next(larger, filled[0]) if width <= _COVER else filled[0]


def _head(book: Any, sheet: str) -> list[list[str]]:
    """Its first rows; an empty one is []."""
    head = pl.DataFrame(book.load_sheet(sheet, header_row=None, skip_rows=0, n_rows=_HEAD, dtypes="string"))
    rows = [["" if value is None else str(value).strip() for value in row] for row in head.rows()]
    return [row if any(row) else [] for row in rows]


def _header(rows: Sequence[Sequence[str]], options: Options) -> tuple[int, list[str]]:
    """How many rows stand above the names of the columns, which tell them from titles; and those with groups above."""
    width = max(map(len, rows), default=0)
    place = header_at(rows, width, lambda at, surely: judged([row for row in rows[at:] if row], options, surely=surely))
    place = begins_at(rows, place) if rows else 0
    joined = grouped([row for row in rows[place:] if row], options)
    return place + bool(joined), joined


def _check_size(file: File) -> None:
    """A sheet is a zip; calamine would unpack a bomb."""
    if not file.data.startswith(b"PK"):
        return
    try:
        total = sum(info.file_size for info in zipfile.ZipFile(io.BytesIO(file.data)).infolist())
    except (zipfile.BadZipFile, ValueError):
        raise Unreadable(f"`{file.name}` is a damaged spreadsheet", hint="copy or save it again") from None
    if total > min(UNPACKED_BYTES_MAX, UNPACK_RATIO_MAX * len(file.data) + _SLACK):
        raise TooLarge(
            f"`{file.name}` says that it unpacks to {total:,} bytes", hint="save the sheet as CSV or Parquet"
        )
