"""What stands around a table and is none of it: titles and comments above its header, units below it, notes and totals
at its end. Found by what the other rows hold, and told by whoever leaves it out."""

import re
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np
import polars as pl

from aias.core.arrays import Flags, Floats, Ints
from aias.data.types.spellings import SPELLINGS

Row = Sequence[str]

ABOVE_MAX: Final = 25
"""Rows; a header further below is not looked for."""

BELOW_MAX: Final = 8
"""Rows that are left out at the end: more are no notes, but another table."""

NARROW: Final = 2
"""Columns; where there are no more, a row of one value may well be a row."""

ROWS_MIN: Final = 2
"""Above a total."""

_COMMENT: Final = re.compile(r"\s*(?:#|%|//)")
_UNIT: Final = re.compile(r"\[.*\]|\(.*\)|<.*>", re.DOTALL)
_RULE: Final = re.compile(r"\s*:?[-=_*+~]{2,}:?\s*")
_UNIT_CHARS_MAX: Final = 12
_UNIT_SIGNS: Final = "%\u2030\u00b0$\u20ac\u00a3\u00a5#'\""
_NO_VALUE: Final = SPELLINGS | {"", "unitless", "text", "string"}
_LOOKED_AT: Final = 1_000
_ROUNDED: Final = 0.006
"""Beyond which the cents of a sum are not those of its parts."""

_AMOUNT: Final = re.compile(r"[,\s$€£¥%'\u00a0\u202f]")
_TOTALS: Final = frozenset(
    "total totals sum subtotal overall all average avg mean median count minimum maximum min max gesamt summe insgesamt"  # noqa: SIM905 one line a person can read
    " mittelwert durchschnitt totale totaux somme moyenne suma totales media totaal som gemiddelde итого всего"
    " 合计 总计 總計 合計 小计 平均 합계 총계".split()
)
_BEFORE_TOTAL: Final = re.compile(r"(?:grand|sub|overall|gesamt)[\s-]*", re.IGNORECASE)


def is_comment(cells: Row) -> bool:
    return bool(cells) and _COMMENT.match(cells[0]) is not None


def header_at(rows: Sequence[Row], width: int, is_header: Callable[[int, bool], bool]) -> int:
    """The place of the header among the first rows of a file, 0 where nothing stands above it.

    Above it stand comments, empty rows, and rows that fill no more than half of the `width` columns.
    `is_header(place, surely)` judges a row by those below it; surely where `#` may be the name of a column.
    """
    if width < 2 or not rows or _is_full(rows[0], width):
        return 0
    surely = False
    for place, cells in enumerate(rows[: ABOVE_MAX + 1]):
        if place and _is_full(cells, width) and is_header(place, surely):
            return place
        surely |= len(cells) >= width and is_comment(cells)
        if not (is_comment(cells) or _filled(cells) <= max(1, width // 2)):
            break
    comments = next((at for at, cells in enumerate(rows) if cells and not is_comment(cells)), 0)
    return comments if all(len(cells) < width for cells in rows[:comments]) else 0


def is_below_header(cells: Row, numeric: Sequence[bool]) -> bool:
    """Whether the first row below a header holds units, or lines drawn with dashes. `numeric`: which columns hold
    numbers from the next row on."""
    if cells and all(_RULE.fullmatch(cell) for cell in cells):
        return True
    if not any(numeric) or len(cells) != len(numeric):
        return False
    bare = [cell.strip() for cell in cells]
    units = [cell for cell, number in zip(bare, numeric, strict=True) if number and cell.lower() not in _NO_VALUE]
    others = [cell for cell, number in zip(bare, numeric, strict=True) if not number]
    named = bool(units) and all(_is_unit(cell) for cell in units)
    return named and all(cell.lower() in _NO_VALUE or _UNIT.fullmatch(cell) for cell in others)


def beside(fields: Ints, empty: Flags, comments: Flags, width: int) -> Flags:
    """Which records are none of a table of `width` columns: comments between its rows, and at its end notes, which have
    a single field each. `empty`: lines of nothing; `comments`: those that begin as one."""
    single: Flags = (fields == 1) & ~empty
    found: Flags = single & comments & (width > 1)
    if width < 2:
        return found
    rows = np.flatnonzero(~(single | empty))
    end = int(rows[-1]) + 1 if len(rows) else 0
    notes = single.copy()
    notes[:end] = False
    divided = end < len(fields) and bool(empty[end])
    ragged = (single & ~comments)[:end].any()  # then such a row may be one at the end as well
    if end and not ragged and notes.sum() <= BELOW_MAX and (width > NARROW or divided):
        found |= notes
    return found


def rows_below(frame: pl.DataFrame) -> tuple[int, int]:
    """How many rows at the end are notes or empty, and how many of those above these are totals."""
    tail = [_cells(frame, row) for row in range(max(frame.height - BELOW_MAX, 0), frame.height)]
    notes = _notes(tail, frame.width)
    tail = tail[: len(tail) - notes]
    totals = next((at for at, cells in enumerate(reversed(tail)) if not _is_called_total(cells)), len(tail))
    rest = frame.head(frame.height - notes - totals)
    if (
        rest.height < ROWS_MIN
        or frame.width < 2
        or not all(_is_total(rest, each) for each in tail[len(tail) - totals :])
    ):
        return notes, 0
    return notes, totals


def has_units(frame: pl.DataFrame) -> bool:
    """Whether the first row of a table holds units."""
    if frame.height <= ROWS_MIN:
        return False
    below = frame.slice(1, _LOOKED_AT)
    return is_below_header(_cells(frame, 0), [_amounts(column) is not None for column in below])


def _notes(tail: Sequence[Row], width: int) -> int:
    """Rows without any value, and below such a row rows of a single one."""
    filled = [_filled(cells) for cells in tail]
    at = end = len(filled)
    if width <= NARROW:
        return 0
    while at and not filled[at - 1]:
        at -= 1
    last = at
    while last and filled[last - 1] == 1:
        last -= 1
    if 0 < last < at and not filled[last - 1]:
        at = last
        while at and not filled[at - 1]:
            at -= 1
    return end - at if at else 0


def _is_called_total(cells: Row) -> bool:
    first = next((cell for cell in cells[:2] if cell.strip()), "")
    bare = first.strip().rstrip(":.").casefold()
    return bare in _TOTALS or _BEFORE_TOTAL.sub("", bare, count=1) in _TOTALS


def _is_total(frame: pl.DataFrame, cells: Row) -> bool:
    """Whether the row adds up those above it, or says of most of its columns nothing at all."""
    place = next(at for at, cell in enumerate(cells[:2]) if cell.strip())
    if frame.to_series(place).cast(pl.String).str.strip_chars().eq(cells[place].strip()).any():
        return False  # a value like others
    right = wrong = 0
    for at, cell in enumerate(cells):
        amount = _amount(cell)
        values = _amounts(frame.to_series(at)) if amount is not None else None
        if amount is None or values is None:
            continue
        made = np.array([values.sum(), values.mean(), np.median(values), values.min(), values.max(), len(values)])
        fits = bool((np.abs(made - amount) <= 1e-6 * abs(amount) + _ROUNDED * len(values) ** 0.5).any())
        right, wrong = right + fits, wrong + (not fits)
    return right > wrong or (not right and not wrong and len(cells) > NARROW and _filled(cells) * 2 <= len(cells))


def _amounts(column: pl.Series) -> Floats | None:
    """Its numbers, where it holds nearly nothing else."""
    there = column.cast(pl.String).drop_nulls()
    found = there.str.replace_all(_AMOUNT.pattern, "").cast(pl.Float64, strict=False).drop_nulls().to_numpy()
    return found if len(found) and len(found) >= 0.9 * len(there) else None


def _amount(cell: str) -> float | None:
    try:
        return float(_AMOUNT.sub("", cell))
    except ValueError:
        return None


def _cells(frame: pl.DataFrame, row: int) -> list[str]:
    return ["" if value is None else str(value) for value in frame.row(row)]


def _filled(cells: Row) -> int:
    return sum(bool(cell.strip()) for cell in cells)


def _is_full(cells: Row, width: int) -> bool:
    return len(cells) == width and _filled(cells) >= 0.9 * width and not is_comment(cells)


def _is_unit(cell: str) -> bool:
    signs = any(char.isalpha() or char in _UNIT_SIGNS for char in cell) and not any(map(str.isdigit, cell))
    return bool(_UNIT.fullmatch(cell)) or (len(cell) <= _UNIT_CHARS_MAX and signs)
