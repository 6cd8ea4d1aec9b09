"""Times that are written as whole numbers: `20240131`, `202401`, `20240131093000`, seconds or milliseconds since 1970.

Of whole numbers of eight digits one in thirty is a day of the calendar, so that a column in which all are holds days.
The others have to be called what they are: months and seconds since 1970 are told by a column's name and its range.
"""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import polars as pl

from aias.data.types.counted import Counted, counted
from aias.data.types.guesses import ODD_MAX, SHARE_MIN, Guess
from aias.data.types.spellings import AMONG_AMOUNTS
from aias.encoders.time import pattern_of, read_time

_YEARS: Final = (1800, 2200)
_NEVER: Final = 9999
"""In 99991231, a day that is to come never."""

_DIFFERENT_MIN: Final = 10
"""Fewer days, or fewer times since 1970, are told by nothing but their name."""

_MONTHS_MIN: Final = 2
"""Numbers of which only the last two digits differ may count something."""

_NO_DAY: Final = frozenset({"0", "0.0", "-1", "-1.0", "000000", "999999", "00000000", "99999999", "99999999.0"})
"""What stands for a day that is not known, or not yet."""

_HEAD: Final = 20
_WORDS: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_a-zA-Z]+")
_OF_DAYS: Final = frozenset(
    "date dates datetime day time timestamp ts at when created updated modified since until from to start end dob birth"  # noqa: SIM905 one line a person can read
    " epoch unix ymd yyyymmdd datum tag zeit fecha dia data dt jour giorno dag 日期 日付 날짜 дата".split()
)
_OF_EXCEL: Final = frozenset({"date", "dates", "datum", "fecha", "dob", "дата", "日期", "日付", "날짜"})
"""Numbers of five digits are many things."""

_OF_MONTHS: Final = _OF_DAYS | {"month", "months", "monat", "mois", "mes", "mese", "maand", "ym", "yyyymm", "period"}


@dataclass(frozen=True, slots=True)
class _Form:
    """`named`: whether the column's name has to tell. `digits`: how many there are."""

    format: str
    digits: range
    named: bool
    what: str


_FORMS: Final = (
    _Form("%Y%m%d", range(8, 9), named=False, what="days written YYYYMMDD"),
    _Form("%Y%m%d%H%M%S", range(14, 15), named=False, what="times written YYYYMMDDhhmmss"),
    _Form("%Y%m%d%H%M", range(12, 13), named=False, what="times written YYYYMMDDhhmm"),
    _Form("%Y%m", range(6, 7), named=True, what="months written YYYYMM"),
    _Form("%s", range(9, 11), named=True, what="seconds since 1970"),
    _Form("%Q", range(12, 14), named=True, what="milliseconds since 1970"),
    _Form("%N", range(5, 6), named=True, what="days as Excel counts them"),
)
_SINCE: Final = {
    "%s": (631_152_000, 2_524_608_000), "%Q": (631_152_000_000, 2_524_608_000_000), "%N": (32_874, 54_789),
}  # fmt: skip
"""1990 to 2050: so long after 1970 that nothing else is likely to be as large and as much alike."""


def times_in_digits(column: pl.Series, name: str) -> Guess | None:
    """The guess that a column of whole numbers holds times; None where it does not."""
    head = _texts(column.drop_nulls().head(_HEAD))
    forms = [form for form in _FORMS if _named(form, name) or not form.named]
    forms = [form for form in forms if sum(_is_one(text, form) for text in head) * 4 >= len(head)] if head else []
    texts = _texts(column) if forms else None
    if not texts:
        return None
    found = counted(pl.Series("", texts, pl.String), AMONG_AMOUNTS | _NO_DAY)
    return next((guess for form in forms if (guess := _fitting(found, form, name))), None)


def _texts(column: pl.Series) -> list[str] | None:
    """The values that are there, as texts; None where numbers are not whole."""
    if column.dtype == pl.String:
        return column.drop_nulls().str.strip_chars().to_list()
    if column.dtype != pl.Float64:
        return None
    values = column.to_numpy()
    there = values[~np.isnan(values)]
    whole = ((there == np.floor(there)) & (np.abs(there) < 1e15)).all()
    return pl.Series(there.astype(np.int64)).cast(pl.String).to_list() if whole else None


def _named(form: _Form, name: str) -> bool:
    return not {word.lower() for word in _WORDS.findall(name)}.isdisjoint(
        {"%Y%m": _OF_MONTHS, "%N": _OF_EXCEL}.get(form.format, _OF_DAYS)
    )


def _fitting(found: Counted, form: _Form, name: str) -> Guess | None:
    """The guess that all but a few values are written so."""
    odd: list[tuple[str, int]] = []
    rows, good = 0, set[str]()
    for text, count in zip(found.values, found.counts, strict=True):
        if _is_one(text, form):
            good.add(text)
            continue
        odd.append((text, count))
        rows += count
        if len(odd) > ODD_MAX or rows > (1 - SHARE_MIN) * found.rows:
            return None
    many, since = len(good) >= _DIFFERENT_MIN, form.format in _SINCE
    by_name = _named(form, name) and bool(good) and not since
    if not by_name and not (many and (since or len({text[:6] for text in good}) >= _MONTHS_MIN)):
        return None
    share = f"{1 - rows / found.rows:.2%} of the values are times" if odd else "every value is a time"
    told = f"by their range and the name `{name}`" if form.named else "each is a day of the calendar"
    reason = f"{share} ({form.format}): {form.what}, {told}. If they are amounts, set its kind to number"
    return Guess("time", reason, found.missing, form.format, odd=tuple(odd))


def _is_one(text: str, form: _Form) -> bool:
    digits = text.removesuffix(".0")
    if len(digits) not in form.digits or not digits.isascii() or not digits.isdigit():
        return False
    if form.format in _SINCE:
        least, most = _SINCE[form.format]
        return least <= int(digits) < most
    moment = read_time(pattern_of(form.format), digits)
    return moment is not None and (_YEARS[0] <= moment.year < _YEARS[1] or moment.year == _NEVER)
