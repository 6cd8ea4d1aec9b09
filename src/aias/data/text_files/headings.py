"""Whether the first row of a table names its columns."""

import re
from collections.abc import Sequence
from typing import Final

import polars as pl

from aias.data.readers.contract import Options

_NUMBER: Final = re.compile(r"\s*[($€£-]*[0-9.][0-9.,]*(?:e[+-]?[0-9]+)?\s*[%)]?\s*", re.IGNORECASE)
_NAME: Final = re.compile(r"[^\W\d][\w .:/()#%?'-]{0,63}")
_NOTHING: Final = frozenset({"", "?", "na", "n/a", "nan", "null", "none", "-"})
_COUNTED_MIN: Final = 3
_SAMPLE_ROWS: Final = 1_000


def has_header(first: Sequence[str], frame: pl.DataFrame, options: Options) -> bool:
    """What the caller knows decides; else the values do."""
    if options.target in first and (not is_number(options.target or "") or _count(first, 1)):
        return True
    known = options.known | frozenset(options.names or ())
    found = len(known & set(first))
    if found and found * 2 >= min(len(known), len(first)):
        return True
    return not (known and frame.height < 2) and _is_header(first, frame.slice(1, _SAMPLE_ROWS))


def judged(rows: Sequence[Sequence[str]], options: Options, *, surely: bool) -> bool:
    """Whether the first of the rows is a header; `surely` by what stands in the others, not by looking like one."""
    frame = pl.DataFrame(rows, schema={f"c{at}": pl.String for at in range(len(rows[0]))}, orient="row")
    first = [text.strip() for text in rows[0]]
    if not has_header(first, frame, options):
        return False
    known = set(first) & (options.known | {options.target})
    return bool(known) or not surely or _names_numbers(first, _below(frame.slice(1))[1])


def _is_header(first: Sequence[str], rest: pl.DataFrame) -> bool:
    """A text above numbers is a name; a number above numbers is a value; else names are short, new and unlike data.

    Numbers that count the columns are the names that pandas gives where nobody did.
    """
    if _count(first, 0):
        return True
    below, numeric = _below(rest)
    if _names_numbers(first, numeric):
        return True
    if any(is_numeric and is_number(text) for text, is_numeric in zip(first, numeric, strict=True)):
        return False
    names = [text for text in first if text]
    if not names or len(set(names)) < 0.9 * len(names) or any(is_number(text) for text in names):
        return False
    if any(text in values for text, values in zip(first, below, strict=True) if text):
        return False
    return all(_NAME.fullmatch(text) and len(text.split()) <= 4 for text in names)


def _count(first: Sequence[str], begin: int) -> bool:
    return len(first) >= _COUNTED_MIN and list(first) == [str(begin + at) for at in range(len(first))]


def _below(rest: pl.DataFrame) -> tuple[list[list[str]], list[bool]]:
    """What each column says below its first row, and whether that is numbers."""
    below = [[text for text in column.to_list() if _says_something(text)] for column in rest.iter_columns()]
    return below, [bool(values) and sum(map(is_number, values)) >= 0.95 * len(values) for values in below]


def _names_numbers(first: Sequence[str], numeric: Sequence[bool]) -> bool:
    pairs = zip(first, numeric, strict=True)
    return any(is_numeric and _says_something(text) and not is_number(text) for text, is_numeric in pairs)


def _says_something(text: str | None) -> bool:
    return text is not None and text.strip().lower() not in _NOTHING


def is_number(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None
