"""Numbers as people write them: `1200.5`, `"$1,200.50"`, `" 12 %"`, `"(1,200)"`, `"1,200-"`, `"1.200,50"`, `"8:30"`."""

import math
import numbers
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, time, timedelta
from decimal import Decimal
from typing import ClassVar, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.errors import BadValue, Damaged, shown
from aias.core.schema import Field, Kind

__all__ = ["Number"]

PLAIN: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
"""What needs no cleaning, for Python and Polars alike. Not `float`'s own grammar: that takes `1_000` and `٣`."""

_GROUPED: Final = re.compile(r"[1-9][0-9]{0,2}(?:,[0-9]{3})+(?:\.[0-9]*)?")
_SPACED: Final = re.compile(r"[1-9][0-9]{0,2}([ '\u2019\u2009])[0-9]{3}(?:\1[0-9]{3})*(?:\.[0-9]*)?")
_LAKH: Final = re.compile(r"[1-9][0-9]?(?:,[0-9]{2})*,[0-9]{3}(?:\.[0-9]*)?")
_CLOCK: Final = re.compile(r"([0-9]{1,2}):([0-5][0-9])(?::([0-5][0-9](?:\.[0-9]{1,9})?))?(?: ?([AaPp])\.?[Mm]\.?)?")
_COUNT: Final = r"([0-9]+(?:\.[0-9]+)?)"
_SPANS: Final = (
    re.compile(
        r"(?P<of_days>[+-])?(?:([0-9]+) ?(?:d|days?),? ?(?:(?=[0-9+])|\Z))?"
        r"\+?(?:([0-9]+):([0-5][0-9])(?::([0-5][0-9](?:\.[0-9]{1,9})?))?)?"
    ),
    re.compile(rf"([+-])?P(?:{_COUNT}D)?(?:T(?=[0-9])(?:{_COUNT}H)?(?:{_COUNT}M)?(?:{_COUNT}S)?)?"),
    re.compile(
        rf"([+-])?(?:{_COUNT} ?d(?:ays?)?,? ?)?(?:{_COUNT} ?h(?:(?:ou)?rs?)?,? ?)?"
        rf"(?:{_COUNT} ?m(?:in(?:ute)?s?)?,? ?)?(?:{_COUNT} ?s(?:ec(?:ond)?s?)?)?",
        re.IGNORECASE,
    ),
)
"""Sign, days, hours, minutes and seconds: `1 day 02:03:04`, `30:15:00`, ISO 8601's `P1DT2H`, `1h 30m`."""

_HOURS: Final = (24, 1, 1 / 60, 1 / 3600)
_MAGNITUDE: Final = re.compile(r"([0-9.,]*[0-9])\s?([^\W\d_]{1,8}\.?)")
_TENS: Final = {
    **dict.fromkeys(("k", "tsd", "thousand"), 3),
    **dict.fromkeys(("m", "mn", "mln", "mio", "million", "millions"), 6),
    **dict.fromkeys(("b", "bn", "bln", "mrd", "billion", "billions"), 9),
    **dict.fromkeys(("t", "tn", "trillion", "trillions"), 12),
    **dict.fromkeys("\u4e07\u842c", 4),
    **dict.fromkeys("\u4ebf\u5104", 8),
}
"""The power of ten that each stands for; the Chinese signs are of 10,000 and 100 million."""

BOUND: Final = re.compile(
    r"(?:[<>]=?|[\u2264\u2265~\u2248])\s?([^\s0-9]{0,5}[0-9].*)|([^\s0-9]{0,5}[0-9][0-9.,]*)\s?\+"
)
RANGE: Final = re.compile(r"([^\s0-9]{0,5}[0-9][0-9.,]*)\s?(?:[-\u2013~]|\bto\b)\s?([^\s0-9]{0,5}[0-9].*)")
"""`<0.5`, `10,000+`; `3-5`, `$3 to $5`."""

_FLAGS: Final = {"true": 1.0, "false": 0.0}
_NOT_FINITE: Final = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}
_SIGNS: Final = str.maketrans({"\u2212": "-", "\u00a0": " ", "\u202f": " "})
_ARABIC: Final = str.maketrans({"\u066b": ".", "\u066c": ",", "\u066a": "%"})
_CURRENCIES: Final = "$€£¥₹%"
_SECOND: Final = timedelta(seconds=1)
_CHARS_MAX: Final = 400
"""A float of 1e308 written out has 309 digits; longer is no number."""


class Number:
    """One number; NaN is missing, ±inf stays. Booleans are 1 and 0. Nothing is learned."""

    kind: ClassVar[Kind] = "number"
    version: ClassVar[int] = 1
    width = 1

    def __init__(self, field: Field) -> None:
        self._missing = frozenset(field.missing) | {""}
        self._decimal_comma = field.format == "decimal-comma"
        self._format = field.format
        self._unit = (field.unit or "").strip()
        self._example = field.example if isinstance(field.example, int | float) else 12.5

    @classmethod
    def fit(cls, field: Field, values: Sequence[object]) -> "Number":  # noqa: ARG003 the promise of every encoder
        return cls(field)

    @classmethod
    def load(cls, field: Field, table: Mapping[str, object]) -> "Number":
        if table:
            raise Damaged(f"the table of the number `{field.name}` should be empty")
        return cls(field)

    def table(self) -> dict[str, object]:
        return {}

    def encode(self, value: object) -> float:
        if type(value) is float:
            return value
        if type(value) is int:
            try:
                return float(value)
            except OverflowError:  # as the text "1e999": beyond float64 is infinite
                return math.inf if value > 0 else -math.inf
        if value is None:
            return math.nan
        if isinstance(value, str):
            return self._parse(value)
        if isinstance(value, numbers.Real | np.number | Decimal) and not isinstance(value, np.timedelta64):
            return float(value)
        if isinstance(value, datetime | np.timedelta64) and value != value:  # NaT
            return math.nan
        # As columns of durations, and of times of day, are read (`data.types.columns`).
        if isinstance(value, timedelta | np.timedelta64):
            return float(value / _SECOND) / (3600 if self._format in _TIMES else 1)
        if isinstance(value, time):
            return value.hour + (value.minute + (value.second + value.microsecond / 1e6) / 60) / 60
        raise self._refusal(value)

    def column(self, values: Sequence[object] | Floats) -> Floats:
        return self._flat(values).reshape(-1, 1)  # (rows, 1)

    def _flat(self, values: Sequence[object] | Floats) -> Floats:
        if isinstance(values, np.ndarray) and values.dtype.kind in "fiub":
            return values.astype(np.float64)
        if not set(map(type, values)) - {float, int, bool, type(None)}:
            try:
                return np.array(values, dtype=np.float64)  # None becomes NaN
            except OverflowError:
                pass
        memo: dict[str, float] = {}
        out = np.empty(len(values))  # (rows,)
        for row, value in enumerate(values):
            try:
                if type(value) is str:
                    known = memo.get(value)
                    out[row] = memo.setdefault(value, self._parse(value)) if known is None else known
                else:
                    out[row] = self.encode(value)
            except BadValue as bad:
                raise BadValue(bad.message, row=row, hint=bad.hint) from None
        return out

    def _parse(self, text: str) -> float:
        bare = text.strip()
        if bare in self._missing:
            return math.nan
        if len(bare) > _CHARS_MAX:
            raise self._refusal(text)
        if not self._decimal_comma and PLAIN.fullmatch(bare):
            return float(bare)
        flag = _FLAGS.get(bare.lower()) if self._format == "true-false" else None
        if self._format in _TIMES:
            number = _TIMES[self._format](bare)
        elif self._format == "approximate":
            number = self._about(bare)
        else:
            number = self._undressed(bare) if flag is None else flag
        if number is None:
            raise self._refusal(text)
        return number

    def _about(self, bare: str) -> float | None:
        """A bound is itself, a range its middle."""
        ends = RANGE.fullmatch(bare)
        if ends is None:
            bound = BOUND.fullmatch(bare)
            return self._undressed((bound[1] or bound[2]) if bound else bare)
        low, high = self._undressed(ends[1]), self._undressed(ends[2])
        return None if low is None or high is None or low > high else (low + high) / 2

    def _undressed(self, bare: str) -> float | None:
        """Take off, in this order: brackets or a sign, then unit, currency and percent, then separators."""
        bare = (_in_ascii(bare) if self._format == "other-digits" else bare).translate(_SIGNS)
        bracketed = len(bare) > 2 and bare[0] == "(" and bare[-1] == ")"
        if bracketed:
            bare = bare[1:-1].strip()
        sign = -1.0 if bracketed else 1.0
        for _ in range(2):  # the sign may stand before or after the currency: -$5, $-5
            if bare[:1] in {"-", "+"} and not bracketed:
                sign, bracketed, bare = (-1.0 if bare[0] == "-" else 1.0), True, bare[1:].strip()
            elif bare[-1:] == "-" and bare[-2:-1].isdigit() and not bracketed:  # as accounts are written: 1,200.50-
                sign, bracketed, bare = -1.0, True, bare[:-1]
            bare = self._without_unit(bare)
        if self._decimal_comma:
            swapped = bare.replace(",", "\0").replace(".", ",").replace("\0", ".")
            bare = swapped if bare.count(",") <= 1 else bare
        bare = self._ungrouped(bare) if self._format != "magnitude" else _written_out(bare)
        if PLAIN.fullmatch(bare) and bare[0] not in "+-":
            return sign * float(bare)
        number = _NOT_FINITE.get(bare.lower())
        return None if number is None else sign * number

    def _ungrouped(self, bare: str) -> str:
        """Without what divides the thousands."""
        if self._format in {"spaced", "spaced-comma"}:
            if self._format == "spaced-comma" and bare.count(",") == 1 and "." not in bare:
                bare = bare.replace(",", ".")
            found = _SPACED.fullmatch(bare)
            return bare.replace(found[1], "") if found else bare
        return bare.replace(",", "") if self._format == "lakh" and _LAKH.fullmatch(bare) else _without_commas(bare)

    def _without_unit(self, bare: str) -> str:
        if self._unit:
            bare = bare.removeprefix(self._unit).removesuffix(self._unit).strip()
        if bare[:1] in _CURRENCIES:
            bare = bare[1:].strip()
        return bare[:-1].strip() if bare[-1:] in _CURRENCIES else bare

    def _refusal(self, value: object) -> BadValue:
        return BadValue(
            f"{shown(value)} is not a number",
            hint=f"send a number such as {self._example}, or null when it is not known",
        )


def _hours(bare: str) -> float | None:
    """`17:45`, `5:45 pm` as hours since midnight."""
    found = _CLOCK.fullmatch(bare)
    if not found:
        return None
    hour, half = int(found[1]), (found[4] or "").lower()
    if hour > 23 or (half and not 1 <= hour <= 12):
        return None
    hour = hour % 12 + 12 * (half == "p") if half else hour
    return hour + int(found[2]) / 60 + float(found[3] or 0) / 3600


def _span(bare: str) -> float | None:
    """`30:15:00`, `1 day 02:03:04`, `PT36H`, `1h 30m` in hours. As Python writes it, a sign before days is theirs."""
    for pattern in _SPANS:
        found = pattern.fullmatch(bare)
        parts = found.groups()[1:] if found else ()
        if found and any(parts):
            hours = [float(part or 0) * each for part, each in zip(parts, _HOURS, strict=True)]
            sign = -1.0 if found[1] == "-" else 1.0
            of_days = parts[0] and "of_days" in pattern.groupindex
            return sign * hours[0] + sum(hours[1:]) if of_days else sign * sum(hours)
    return None


def _stopped(bare: str) -> float | None:
    """`45:30` is of minutes and seconds."""
    hours = _span(bare)
    return hours / 60 if hours is not None and bare.count(":") == 1 else hours


def _written_out(bare: str) -> str:
    """`1.2M` as `1.2e6`, which is the nearest float to 1,200,000."""
    found = _MAGNITUDE.fullmatch(bare)
    power = _TENS.get(found[2].lower().rstrip(".")) if found else None
    return _without_commas(bare) if found is None or power is None else f"{_without_commas(found[1])}e{power}"


def _in_ascii(bare: str) -> str:
    """Digits of any script, and what stands among those of full width and of Arabic."""
    plain = unicodedata.normalize("NFKC", bare).translate(_ARABIC)
    return "".join(each if each.isascii() else str(unicodedata.decimal(each, each)) for each in plain)


def _without_commas(bare: str) -> str:
    return bare.replace(",", "") if _GROUPED.fullmatch(bare) else bare


_TIMES: Final = {"clock": _hours, "duration": _span, "stopwatch": _stopped}
"""Read in hours."""
