"""Points in time: dates, date-times, ISO 8601 text, and text in the field's own format."""

import functools
import math
import numbers
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.errors import BadValue, Damaged, shown
from aias.core.schema import Field, Kind
from aias.encoders.month_names import month_of

__all__ = ["Time"]

PARTS: Final = ("days", "year", "month", "day", "weekday", "day_of_year", "hour")
"""The numbers one time becomes: days since 1970 with fraction, ..., weekday 0 = Monday, hour with fraction; and
`minute` of the hour with fraction, where the training rows have different ones."""

LOOKED_MAX: Final = 10_000
"""Times, drawn, that are asked for their minute: every sixth of a series each ten minutes has the same."""

ISO: Final = re.compile(
    r"(?P<Y>[0-9]{4})-(?P<m>[0-9]{2})-(?P<d>[0-9]{2})"
    r"(?:[T ](?P<H>[0-9]{2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:[.,](?P<f>[0-9]{1,9}))?)?"
    r" ?(?P<z>[Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
"""Our own, since what `datetime.fromisoformat` takes differs between Python versions."""

_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DIRECTIVES: Final = {
    "Y": r"(?P<Y>[0-9]{4})",
    "y": r"(?P<y>[0-9]{2})",
    "m": r"(?P<m>[0-9]{1,2})",
    "d": r"(?P<d>[0-9]{1,2})",
    "H": r"(?P<H>[0-9]{1,2})",
    "I": r"(?P<I>[0-9]{1,2})",
    "M": r"(?P<M>[0-9]{1,2})",
    "S": r"(?P<S>[0-9]{1,2})",
    "f": r"(?P<f>[0-9]{1,9})",
    "p": r"(?P<p>[AaPp]\.?[Mm]\.?)",
    "b": r"(?P<b>[A-Za-z]{3})",
    "B": r"(?P<b>[A-Za-z]{3,9})",
    "a": r"[A-Za-z]{3}",
    "A": r"[A-Za-z]{6,9}",
    "z": r"(?P<z>[Zz]|[+-][0-9]{2}:?[0-9]{2})",
    "G": r"(?P<G>[0-9]{4})",
    "V": r"(?P<V>[0-9]{2})",
    "u": r"(?P<u>[1-7])",
    "q": r"(?P<q>[1-4])",
    "s": r"(?P<s>[0-9]{1,11}(?:\.[0-9]{1,9})?)",
    "Q": r"(?P<Q>[0-9]{1,14}(?:\.[0-9]{1,6})?)",
    "e": r"(?P<d>[0-9]{1,2})(?:st|nd|rd|th|er|\.|\u00ba)?",
    "L": r"(?P<L>[^\W\d_]{3,12}\.?)",
    "l": r"[^\W\d_]{2,13}(?:-[^\W\d_]{5})?\.?",
    "N": r"(?P<N>[0-9]{1,6}(?:\.[0-9]{1,12})?)",
    "%": "%",
}
_EPOCH: Final = date(1970, 1, 1).toordinal()
_WHOLE: Final = re.compile(r"([0-9]+)\.0+")
"""Whole numbers as programs write them that have no others."""

_DIGITS_MAX: Final = 1e15
"""Whole numbers below are exact as floats."""


class Time:
    """One point in time as the numbers of `PARTS`, and its minute where `minute`.

    Times with a zone are taken to UTC; others are left as they are.

    `field.format` holds one pattern of `strptime` directives, or several divided by `|`, tried in order after ISO.
    Besides those of Python there are `%q` (a quarter), `%s` and `%Q` (seconds and milliseconds since 1970), `%N` (days
    as Excel counts them), `%L` (a month in one of several languages), `%l` (a weekday) and `%e` (`3`, `3.`, `3rd`).
    `%b` and `%B` are English whatever the locale. A number is read as its digits, where there is a format.
    """

    kind: ClassVar[Kind] = "time"
    version: ClassVar[int] = 3
    reads: ClassVar[tuple[int, ...]] = (2, 3)
    """Versions whose tables mean the same here."""

    def __init__(self, field: Field, *, minute: bool = False) -> None:
        self.width = len(PARTS) + minute
        self._minute, self._nothing = minute, (math.nan,) * self.width
        self._missing = frozenset(field.missing) | {""}
        given = tuple(pattern_of(part) for part in (field.format or "").split("|") if part)
        self._patterns = (ISO, *given)
        self._of_digits = tuple(map(_in_full, given))
        self._example = field.example if isinstance(field.example, str) else "2026-11-23 14:30:00"

    @classmethod
    def fit(cls, field: Field, values: Sequence[object]) -> "Time":
        one, many = cls(field), len(values)
        drawn = np.random.default_rng(0).choice(many, min(many, LOOKED_MAX), replace=False)
        try:
            some = one.moments([values[row] for row in drawn.tolist()])
        except BadValue:
            some = one.moments(values)  # which tells the row
        return cls(field, minute=len({moment.minute for moment in some if moment is not None}) > 1)

    @classmethod
    def load(cls, field: Field, table: Mapping[str, object]) -> "Time":
        if table not in ({}, {"minute": True}) or table.get("minute", True) is not True:
            raise Damaged(f'the table of the time `{field.name}` should be empty, or {{"minute": true}}')
        return cls(field, minute=bool(table))

    def table(self) -> dict[str, object]:
        return {"minute": True} if self._minute else {}

    def encode(self, value: object) -> tuple[float, ...]:
        moment = self.moment(value)
        return self._nothing if moment is None else _parts(moment, minute=self._minute)

    def moment(self, value: object) -> datetime | None:
        """What a value means, in UTC when it names a zone; None when it is missing. Raises `BadValue`."""
        if isinstance(value, str):
            bare = value.strip()
            if bare in self._missing:
                return None
            for pattern in self._patterns:
                moment = read_time(pattern, bare)
                if moment is not None:
                    return moment
            whole = _WHOLE.fullmatch(bare)
            return self._digits(value, whole[1] if whole else "")
        if value is None or value != value:  # None, NaN, NaT
            return None
        if isinstance(value, datetime):
            return self._naive(value)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day)
        if isinstance(value, np.datetime64):
            return self.moment(value.astype("datetime64[us]").item())
        if isinstance(value, numbers.Real) and not isinstance(value, bool):
            return self._digits(value, _spelt(float(value)))
        raise self._refusal(value)

    def column(self, values: Sequence[object] | Floats) -> Floats:
        out = np.empty((len(values), self.width))  # (rows, width)
        for row, moment in enumerate(self.moments(values)):
            out[row] = self._nothing if moment is None else _parts(moment, minute=self._minute)
        return out

    def moments(self, values: Sequence[object] | Floats) -> list[datetime | None]:
        """`moment` of many values. Raises `BadValue` with its row."""
        memo: dict[str, datetime | None] = {}
        out: list[datetime | None] = []
        for row, value in enumerate(values):
            try:
                if type(value) is not str:
                    moment = self.moment(value)
                elif value in memo:
                    moment = memo[value]
                else:
                    moment = memo[value] = self.moment(value)
            except BadValue as bad:
                raise BadValue(bad.message, row=row, hint=bad.hint) from None
            out.append(moment)
        return out

    def _digits(self, value: object, digits: str) -> datetime | None:
        """What a number means: 20240131 is 31 January 2024 where the format says `%Y%m%d`."""
        if digits in self._missing and digits:
            return None
        for pattern in self._of_digits:
            moment = read_time(pattern, digits)
            if moment is not None:
                return moment
        raise self._refusal(value)

    def _naive(self, moment: datetime) -> datetime:
        if moment.tzinfo is None:
            return moment
        try:
            return moment.astimezone(UTC).replace(tzinfo=None)
        except OverflowError:  # the year 1 or 9999 on the other side of the zone
            raise self._refusal(moment) from None

    def _refusal(self, value: object) -> BadValue:
        return BadValue(f"{shown(value)} is not a time", hint=f"send a time such as {self._example!r}, or null")


@functools.cache
def pattern_of(form: str) -> re.Pattern[str]:
    """The regular expression of a pattern of `strptime` directives. Raises `BadValue` on an unknown directive."""
    out: list[str] = []
    for percent, char in re.findall(r"(%?)(.)", form, flags=re.DOTALL):
        if not percent:
            out.append(r"\s+" if char.isspace() else re.escape(char))
        elif char in _DIRECTIVES:
            out.append(_DIRECTIVES[char])
        else:
            raise BadValue(
                f"the time format {form!r} uses %{char}", hint=f"use {' '.join('%' + d for d in _DIRECTIVES)}"
            )
    try:
        return re.compile("".join(out))
    except re.error:
        raise BadValue(f"the time format {form!r} names a part twice", hint="use each directive once") from None


def _in_full(pattern: re.Pattern[str]) -> re.Pattern[str]:
    """The same where no digit is left out: 2024111 could be two days."""
    return re.compile(pattern.pattern.replace("{1,2}", "{2}"))


def _spelt(number: float) -> str:
    return str(int(number)) if number.is_integer() and abs(number) < _DIGITS_MAX else repr(number)


def read_time(pattern: re.Pattern[str], text: str) -> datetime | None:
    """The time that `text` spells, in UTC when it names a zone, or None when it does not fit `pattern`."""
    found = pattern.fullmatch(text)
    if found is None:
        return None
    part = found.groupdict()
    try:
        if pattern is ISO and len(text) == len("2026-11-23 14:30:00"):  # in this form all Pythons agree
            return datetime.fromisoformat(text)
        if part.get("s") or part.get("Q") or part.get("N"):
            return _since(part)
        if part.get("V"):
            return datetime.fromisocalendar(int(part.get("G") or 0), int(part["V"] or 0), int(part.get("u") or 1))
        moment = datetime(
            _year(part),
            _month(part),
            int(part.get("d") or 1),
            _hour(part),
            int(part.get("M") or 0),
            int(part.get("S") or 0),
            int(((part.get("f") or "0") + "000000")[:6]),
        )
        return moment - _offset(part.get("z"))
    except (ValueError, OverflowError):
        return None


def _since(part: dict[str, str | None]) -> datetime:
    if part.get("N"):  # the 60 that Excel calls 29 February 1900 is not told from the 28th
        return datetime(1899, 12, 30) + timedelta(seconds=round(float(part["N"] or 0) * 86_400))
    seconds, milliseconds = float(part.get("s") or 0), float(part.get("Q") or 0)
    return datetime(1970, 1, 1) + timedelta(seconds=seconds, milliseconds=milliseconds)


def _year(part: dict[str, str | None]) -> int:
    if part.get("Y"):
        return int(part["Y"] or 0)
    short = int(part.get("y") or 70)
    return short + (2000 if short < 69 else 1900)  # POSIX


def _month(part: dict[str, str | None]) -> int:
    name = part.get("b")
    if part.get("L"):
        return month_of(part["L"] or "")
    if part.get("q"):
        return 3 * int(part["q"] or 1) - 2
    return _MONTHS.index(name[:3].lower()) + 1 if name else int(part.get("m") or 1)


def _hour(part: dict[str, str | None]) -> int:
    if not part.get("I"):
        return int(part.get("H") or 0)
    hour = int(part["I"] or 0)
    if not 1 <= hour <= 12:
        raise ValueError(hour)
    return hour % 12 + (12 if (part.get("p") or "a")[0] in "pP" else 0)


def _offset(zone: str | None) -> timedelta:
    if not zone or zone in "Zz":
        return timedelta(0)
    digits = zone[1:].replace(":", "").ljust(4, "0")
    hour, minute = int(digits[:2]), int(digits[2:])
    if hour > 23 or minute > 59:  # RFC 3339, 5.6: an offset is a time of day
        raise ValueError(zone)
    minutes = hour * 60 + minute
    return timedelta(minutes=-minutes if zone[0] == "-" else minutes)


def _parts(moment: datetime, *, minute: bool) -> tuple[float, ...]:
    seconds = moment.second + moment.microsecond / 1e6
    hours = moment.hour + moment.minute / 60 + seconds / 3600
    ordinal = moment.toordinal()
    first = date(moment.year, 1, 1).toordinal()
    parts = (
        ordinal - _EPOCH + hours / 24,
        float(moment.year),
        float(moment.month),
        float(moment.day),
        float(moment.weekday()),
        float(ordinal - first + 1),
        hours,
    )
    return (*parts, moment.minute + seconds / 60) if minute else parts
