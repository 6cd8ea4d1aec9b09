"""Texts that are numbers, and how they are written: units, thousands, magnitudes, times of day."""

import re
from collections import Counter
from dataclasses import replace
from typing import Final

import polars as pl

from aias.core.errors import BadValue, shown
from aias.core.schema import Field
from aias.data.types.conform import is_plain
from aias.data.types.counted import Counted
from aias.data.types.guesses import ODD_MAX, SHARE_MIN, Guess
from aias.data.types.spellings import BEFORE, BESIDE, MONEY, UNITS
from aias.encoders.number import BOUND, RANGE, Number

DIFFERENT_MIN: Final = 3
"""Amounts or times, beside words that mean missing."""

UNITS_MAX: Final = 5
"""Of more, what follows numbers are words: streets, months."""

_SAMPLE: Final = 200
_CODES_SHARE: Final = 0.01
_CODES_MANY: Final = 200
_CODE_ROWS_MIN: Final = 4
"""Of so many codes on fewer rows each than this little can be learned one by one: their order says more."""

_BESIDE: Final = re.compile(
    r"[(\s+-]*([^\W\d_]{2,4}\.|[^\d\s.,()+-]{0,8})[\s+-]*\d(?:[\d.,]|['\u2019\s](?=\d))*\s*"
    r"([^\W\d_]{2,4}\.|[^\d\s.,()]{0,8})[)\s]*"
)
_GAP: Final = re.compile(r"\d['\u2019\s]\d{3}(?!\d)")
"""Where thousands are divided by a space or an apostrophe."""

_LONG: Final = re.compile(r"[+-]?(?:[0-9]+ ?d|([0-9]+):)", re.IGNORECASE)
_HOUR_MAX: Final = 23
_SPAN: Final = re.compile(
    r"[+-]?P(?:[0-9.]+D)?T?[0-9.]+[DHMS].*|[0-9.]+ ?h(?:(?:ou)?rs?)?,? ?[0-9.]+ ?m.*|[+-]?[0-9]+ ?days?,? .*:.*"
)
"""One such among the values, and they are no codes."""

_LETTER: Final = re.compile(
    r"([^\W\d]{0,3}[^\w\s.,-]?)\s?[+-]?[0-9][0-9.,]*\s?"
    r"([kmbt]|[mbt]n|m(?:io|ln|rd)\.?|(?:m|b|tr)illions?|[\u4e07\u842c\u4ebf\u5104])\s?([^\W\d]{0,3}[^\w\s.,-]?)",
    re.IGNORECASE,
)
_OTHER_DIGIT: Final = re.compile(r"(?![0-9])\d")
_AMOUNT_CHARS_MAX: Final = 40
_SURE_LETTERS: Final = frozenset("kKM\u4e07\u842c\u4ebf\u5104") | {"million", "billion"}
_AFTER: Final = re.compile(
    r"[+-]?[0-9][0-9.,]*(?:\s+|(?=[^\w\s.,:;/()*+#-]))([^\W\d_][^\s,;]{0,15}(?: [a-z]{1,8})?|[^\w\s])"
)
_TIGHT: Final = re.compile(rf"[+-]?[0-9][0-9.,]*({'|'.join(map(re.escape, sorted(UNITS)))})")
_CLOCK_VALUES_MIN: Final = 20
"""Fewer different times of day are slots, and stay categories."""

_GROUPS_MAX: Final = 20
"""Bounds and ranges alone are groups, if no more of them differ: `18-24`, `25-34`, `65+`."""

_CODE: Final = re.compile(r"(?<![0-9.,])0[0-9]")

_HOW: Final = {
    "decimal-comma": " with a decimal comma",
    "spaced": " with spaces or apostrophes between thousands",
    "spaced-comma": " with spaces between thousands and a decimal comma",
    "lakh": " grouped as in India",
    "magnitude": " with a letter or a word for thousands or millions",
    "other-digits": " in digits of another script",
    "clock": ": hours of a time of day",
    "duration": ": hours, also more than those of a day",
    "stopwatch": ": hours, written in minutes and seconds",
    "approximate": "",
}
"""What to say of each format of numbers."""


def numbers_in_texts(found: Counted, *, unit: str | None = None, is_target: bool = False) -> Guess | None:
    """The guess that all but a few are numbers. `unit`: what stands beside them, where it is none that is known."""
    texts = pl.Series("v", found.values)
    plain = is_plain(texts).to_list()
    dressed = [text for text, good in zip(found.values, plain, strict=True) if not good]
    if not dressed:
        return plain_numbers(texts, found.missing, rows=found.rows, is_target=is_target)
    unit = unit or _unit(dressed)
    tidy = _number_written(found, plain, Field("", "number", unit=unit))
    if tidy:
        return tidy
    for form in _other_formats(found.values, dressed):
        good = [False] * len(plain) if form == "decimal-comma" else plain  # 1.200 is another number there
        tidy = _number_written(found, good, Field("", "number", unit=unit, format=form))
        if tidy:
            return tidy
    return None


def plain_numbers(texts: pl.Series, missing: tuple[str, ...], *, rows: int, is_target: bool) -> Guess:
    """The guess for texts that are numbers without cleaning: codes, where some begin with zeros and, if they are no
    target, few differ or each has some of the `rows`."""
    codes = texts.filter(texts.str.contains(r"^0[0-9]"))
    if len(codes) < _CODES_SHARE * len(texts):
        return Guess("number", "every value is a number", missing)
    such, distinct = f"digits with leading zeros, such as {codes[0]}", texts.n_unique()
    if is_target or distinct < max(_CODES_MANY, rows / _CODE_ROWS_MIN):
        return Guess("category", f"{such}, are codes", missing)
    which = f"{distinct:,} different ones in {rows:,} rows, too few of each to learn from"
    return Guess("number", f"{such}: {which} but by their order", missing)


def same_word(values: list[str]) -> str | None:
    """What follows the number in every value, if a space is between them or it begins with a sign: `7A` is a code."""
    words = {match[1] for text in values[:_SAMPLE] if (match := _AFTER.fullmatch(text))}
    return words.pop() if len(words) == 1 and all(map(_AFTER.fullmatch, values[:_SAMPLE])) else None


def about(found: Counted) -> Guess | None:
    """The guess that bounds and ranges stand among amounts. Ranges alone may be codes, scores or telephone numbers."""
    if any(len(text) > _AMOUNT_CHARS_MAX for text in found.values):
        return None
    bounds = [text for text in found.values if BOUND.fullmatch(text)]
    ranges = [text for text in found.values if RANGE.fullmatch(text)]
    such, every = [*bounds, *ranges], len(found.values)
    if (
        not such
        or any(map(_CODE.search, found.values))
        or (len(such) * 2 > every and every <= _GROUPS_MAX)
        or len(ranges) * 2 > every
    ):
        return None
    field = Field("", "number", unit=_unit([text for text in found.values if text not in such]), format="approximate")
    guess = _number_written(found, [False] * every, field)
    if guess is None:
        return None
    encoder = Number(field)
    taken = [f"{shown(text)} is taken for {encoder.encode(text):g}" for text in [*bounds[:1], *ranges[:1]]]
    reason = f"{guess.reason}, {len(such):,} different ones of them bounds or ranges: {', '.join(taken)}"
    return replace(guess, reason=reason)


def _other_formats(values: list[str], dressed: list[str]) -> list[str]:
    """Ways to write numbers that these texts hint at, the likeliest first."""
    comma = any("," in text for text in dressed)
    some = [text for text in dressed[:_SAMPLE] if len(text) <= _AMOUNT_CHARS_MAX]
    found = ["decimal-comma", "lakh"] if comma else []
    if any(map(_GAP.search, dressed)) and len({len(text) for text in values}) > 1:  # of one length they are codes
        found += ["spaced", "spaced-comma"] if comma else ["spaced"]
    if len(values) > _CLOCK_VALUES_MIN and all(":" in text for text in dressed[:_SAMPLE]):
        found.append(_clock(dressed))
    elif len(values) >= DIFFERENT_MIN and any(map(_SPAN.fullmatch, some)):
        found.append("duration")
    if any(map(_OTHER_DIGIT.search, dressed[:_SAMPLE])):
        found.append("other-digits")
    return [*found, "magnitude"] if _have_magnitudes(some) else found


def _clock(texts: list[str]) -> str:
    """Times of day, or how long something took: then more than 24 hours are among them."""
    long = [text for text in texts if (found := _LONG.match(text)) and int(found[1] or 99) > _HOUR_MAX]
    if not long:
        return "clock"
    mixed = len({text.count(":") for text in texts}) > 1
    return "stopwatch" if mixed and any(text.count(":") == 1 for text in long) else "duration"


def _have_magnitudes(texts: list[str]) -> bool:
    """Whether letters beside numbers are thousands and millions: those of one kind may as well be a size or a grade."""
    found = [match for text in texts if (match := _LETTER.fullmatch(text))]
    letters = {match[2] for match in found}
    surely = any(match[1] in BEFORE or match[3] in MONEY or "." in match[0] for match in found)
    return len(letters) > 1 or (bool(letters) and letters <= _SURE_LETTERS and surely)


def _number_written(found: Counted, plain: list[bool], field: Field) -> Guess | None:
    """The guess that all but a few values are numbers written as `field` says."""
    encoder = Number(field)
    odd: list[tuple[str, int]] = []
    rows = 0
    for text, count, good in zip(found.values, found.counts, plain, strict=True):
        if not good and not _takes(encoder, text):
            odd.append((text, count))
            rows += count
            if len(odd) > ODD_MAX or rows > (1 - SHARE_MIN) * found.rows:
                return None
    if field.format:
        how = _HOW[field.format]
    elif field.unit:
        how = f" written with `{field.unit}`"
    else:
        how = "" if len(odd) == plain.count(False) else " once cleaned"
    share = f"{1 - rows / found.rows:.2%} of the values are numbers" if odd else "every value is a number"
    return Guess("number", share + how, found.missing, field.format, field.unit, tuple(odd))


def _takes(encoder: Number, text: str) -> bool:
    try:
        encoder.encode(text)
    except BadValue:
        return False
    return True


def _unit(dressed: list[str]) -> str | None:
    """What stands beside the numbers, when it is the same almost everywhere and looks like a unit."""
    sample = dressed[:_SAMPLE]
    matches = [match for text in sample if (match := _BESIDE.fullmatch(text))]
    found = [match[1] or match[2] for match in matches if not match[1] or match[1] in BEFORE]
    if not found:
        return None
    unit = max(set(found), key=lambda one: (found.count(one), one))
    return unit if unit in BESIDE and found.count(unit) >= 0.9 * len(sample) else None


def units_of(values: list[str]) -> list[str]:
    """What follows the numbers, the most frequent first, if that is all that these texts are; at most `UNITS_MAX`."""
    matches = [_AFTER.fullmatch(text.strip()) or _TIGHT.fullmatch(text.strip()) for text in values]
    found = Counter(match[1] for match in matches if match)
    return [unit for unit, _ in found.most_common()] if all(matches) and len(found) <= UNITS_MAX else []
