"""What a column of texts holds: numbers, times, categories or free text, and why we think so."""

import re
from dataclasses import dataclass, replace
from typing import Final

import polars as pl

from aias.core.errors import BadValue, shown
from aias.core.schema import Field, Kind
from aias.data.conform import is_plain
from aias.data.spellings import AMONG_AMOUNTS, BEFORE, BESIDE, MONEY, SPELLINGS
from aias.encoders.number import Number
from aias.encoders.time import ISO, pattern_of, read_time

SHARE_MIN: Final = 0.995
"""A column is of a kind when all but 1 value in 200 are; the odd ones are reported and read as missing."""

ODD_MAX: Final = 20
"""Different odd values that a field may list."""

_SPELLING_CHARS_MAX: Final = 13
_DIFFERENT_MIN: Final = 3
"""Amounts or times, beside words that mean missing."""

_SAMPLE: Final = 200
_CODES_SHARE: Final = 0.01
_DAYS: Final = (
    *("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%m/%d/%y", "%d/%m/%y"),
    *("%d.%m.%y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y.%m.%d", "%d-%m-%y", "%m-%d-%y", "%y-%m-%d", "%y/%m/%d"),
    *("%y.%m.%d", "%Y\u5e74%m\u6708%d\u65e5", "%Y\ub144 %m\uc6d4 %d\uc77c", "%Y. %m. %d."),
)
_LAST_YEAR: Final = re.compile(r"%[md]([-/.])%[md]\1%y")
_SHORT: Final = re.compile(r"%.-%.-%[yd]")
_SHORT_MIN: Final = 10
"""Different dates of two digits each: fewer may be codes."""
_HOURS: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_NAMED_MONTHS: Final = ("%d %b %Y", "%d-%b-%Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%d %b %y")
_ANY_MONTHS: Final = (
    *("%e %L %Y", "%L %e, %Y", "%e de %L de %Y", "%e-%L-%Y", "%e-%L-%y", "%e %L %y", "%e/%L/%Y", "%l, %e %L %Y"),
    *("%l %e %L %Y", "%l, %e de %L de %Y", "%l, %L %e, %Y"),
)
_MONTHS: Final = (
    *("%Y-%m", "%m/%Y", "%b %Y", "%b-%Y", "%b-%y", "%B %Y", "%L %Y", "%L-%Y", "%L-%y", "%L de %Y"),
    *("%Y\u5e74%m\u6708", "%Y\ub144 %m\uc6d4"),
)
_PARTS_OF_YEARS: Final = ("%G-W%V", "%G-W%V-%u", "%GW%V", "%Y-Q%q", "%YQ%q", "%Y Q%q", "Q%q %Y", "Q%q-%Y", "Q%q/%Y")
_TIGHT: Final = tuple(
    f"%Y%m%d{hour}{zone}"
    for hour in ("T%H%M%S", "T%H%M", " %H:%M", " %H:%M:%S", " %H%M%S", "-%H%M%S", "_%H%M%S")
    for zone in ("", "%z")
)
_LOGS: Final = (
    "%a, %d %b %Y %H:%M:%S %z",
    "%a %b %d %H:%M:%S %Y",
    "%d/%b/%Y:%H:%M:%S %z",
    "%A, %d %B %Y",
    "%A, %B %d, %Y",
)
_FORMATS: Final = (
    *(day + hour for day in (*_DAYS, *_NAMED_MONTHS) for hour in _HOURS),
    *(*_MONTHS, *_LOGS, *_PARTS_OF_YEARS, *_TIGHT),
    *(day + hour for day in _ANY_MONTHS for hour in _HOURS),
)
"""Of two that read equally many values the first is taken: the month before the day."""

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
_CLOCK_VALUES_MIN: Final = 20
"""Fewer different times of day are slots, and stay categories."""

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
}
"""What to say of each format of numbers."""

_WIDE: Final = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}]"


@dataclass(frozen=True, slots=True)
class Guess:
    """`odd`: values that are not of the kind, with their number of rows; they are read as missing."""

    kind: Kind
    reason: str
    missing: tuple[str, ...] = ()
    format: str | None = None
    unit: str | None = None
    odd: tuple[tuple[str, int], ...] = ()
    id_like: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """The different values of a column, most frequent first, without those that mean missing."""

    values: list[str]
    counts: list[int]
    missing: tuple[str, ...]

    @property
    def rows(self) -> int:
        return sum(self.counts)


def counted(column: pl.Series, spellings: frozenset[str] = SPELLINGS) -> Counted:
    """Count the stripped texts of a column, and take out what spells "missing"."""
    bare = column.cast(pl.String).str.strip_chars().alias("v")  # a column's own name could be a pattern to Polars
    counts = bare.drop_nulls().value_counts(name="n").filter(pl.col("v") != "")
    counts = counts.sort(["n", "v"], descending=[True, False])
    short = pl.col("v").str.len_chars() <= _SPELLING_CHARS_MAX
    means_missing = short & pl.col("v").str.to_lowercase().is_in(list(spellings))
    missing = counts.filter(means_missing)["v"].to_list()
    kept = counts.filter(~means_missing)
    return Counted(kept["v"].to_list(), kept["n"].to_list(), tuple(missing))


def guess(column: pl.Series, spellings: frozenset[str] = SPELLINGS) -> Guess:
    """The kind of a column of texts. A column without values is a category."""
    bare = column.cast(pl.String).str.strip_chars()
    bare = bare.filter(bare != "")
    if len(bare) and bool(is_plain(bare).all()):
        return _plain_number(bare, ())
    found = counted(bare, spellings)
    if not found.values:
        return Guess("category", "no values", found.missing)
    guess = _number(found) or _time(found)
    if guess is None and spellings is SPELLINGS and len(found.values) >= _DIFFERENT_MIN:  # a target may be `3 dwarfs`
        guess = _number(found, unit=_same_word(found.values))
    return guess or _with_gaps(bare, spellings, found) or _words(found)


def _with_gaps(bare: pl.Series, spellings: frozenset[str], words: Counted) -> Guess | None:
    """The guess that a column holds numbers or times, and words that say that there is none."""
    found = counted(bare, AMONG_AMOUNTS) if spellings is SPELLINGS else words  # in a target they may be labels
    if len(found.values) == len(words.values) or len(found.values) < _DIFFERENT_MIN:
        return None
    guess = _number(found) or _time(found)
    if guess is None:
        return None
    said = [text for text in guess.missing if text not in words.missing]
    gaps = words.rows - found.rows
    rows = "1 row says" if gaps == 1 else f"{gaps:,} rows say"
    reason = f"{guess.reason}; {rows} {', '.join(map(shown, said[:3]))}, read as missing"
    return replace(guess, reason=reason)


def _number(found: Counted, *, unit: str | None = None) -> Guess | None:
    """`unit`: what stands beside the numbers, where it is none that is known."""
    texts = pl.Series("v", found.values)
    plain = is_plain(texts).to_list()
    dressed = [text for text, good in zip(found.values, plain, strict=True) if not good]
    if not dressed:
        return _plain_number(texts, found.missing)
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


def _other_formats(values: list[str], dressed: list[str]) -> list[str]:
    """Ways to write numbers that these texts hint at, the likeliest first."""
    comma = any("," in text for text in dressed)
    some = [text for text in dressed[:_SAMPLE] if len(text) <= _AMOUNT_CHARS_MAX]
    found = ["decimal-comma", "lakh"] if comma else []
    if any(map(_GAP.search, dressed)) and len({len(text) for text in values}) > 1:  # of one length they are codes
        found += ["spaced", "spaced-comma"] if comma else ["spaced"]
    if len(values) > _CLOCK_VALUES_MIN and all(":" in text for text in dressed[:_SAMPLE]):
        found.append(_clock(dressed))
    elif len(values) >= _DIFFERENT_MIN and any(map(_SPAN.fullmatch, some)):
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


def _plain_number(texts: pl.Series, missing: tuple[str, ...]) -> Guess:
    codes = texts.filter(texts.str.contains(r"^0[0-9]"))
    if len(codes) >= _CODES_SHARE * len(texts):
        return Guess("category", f"digits with leading zeros, such as {codes[0]}, are codes", missing)
    return Guess("number", "every value is a number", missing)


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


def _same_word(values: list[str]) -> str | None:
    """What follows the number in every value, if a space is between them or it begins with a sign: `7A` is a code."""
    words = {match[1] for text in values[:_SAMPLE] if (match := _AFTER.fullmatch(text))}
    return words.pop() if len(words) == 1 and all(map(_AFTER.fullmatch, values[:_SAMPLE])) else None


def _time(found: Counted) -> Guess | None:
    if not any(len(text) >= 6 and any(map(str.isdigit, text)) for text in found.values[:20]):
        return None
    sample = found.values[:: max(1, len(found.values) // _SAMPLE)][:_SAMPLE]
    if sum(read_time(ISO, text) is not None for text in sample) >= SHARE_MIN * len(sample):
        chosen: list[str] = []
    else:
        chosen = _formats(sample)
        if not chosen or (len(found.values) < _SHORT_MIN and any(map(_SHORT.match, chosen))):
            return None
    patterns = [ISO, *map(pattern_of, chosen)]
    left = [
        (text, count)
        for text, count in zip(found.values, found.counts, strict=True)
        if all(read_time(pattern, text) is None for pattern in patterns)
    ]
    if len(left) > ODD_MAX or sum(count for _, count in left) > (1 - SHARE_MIN) * found.rows:
        return None
    form = "|".join(chosen) or None
    reason = f"every value is a time ({form or 'ISO 8601'})"
    if chosen and re.match("%m.%d", chosen[0]) and not _settled(found.values):
        reason += "; day and month could be the other way round"
    return Guess("time", reason, found.missing, form, odd=tuple(left))


def _formats(sample: list[str]) -> list[str]:
    """Up to three formats that together read the sample, the one that reads most first."""
    left = [text for text in sample if read_time(ISO, text) is None]
    chosen: list[str] = []
    while left and len(chosen) < 3:
        scores = [(sum(read_time(pattern_of(form), text) is not None for text in left), form) for form in _FORMATS]
        score, best = max(scores, key=lambda pair: pair[0])  # the first of the best: month before day
        if score < 0.05 * len(sample):
            break
        best = _year_first(best, left)
        chosen.append(best)
        left = [text for text in left if read_time(pattern_of(best), text) is None]
    return chosen if len(left) <= 0.02 * len(sample) else []


def _year_first(form: str, texts: list[str]) -> str:
    """`24-01-31` may be of 2024 or of 2031: taken for the one whose days are closer together by half."""
    other = _LAST_YEAR.sub(r"%y\1%m\1%d", form)
    ends, begins = ([read_time(pattern_of(each), text) for text in texts] for each in (form, other))
    pairs = [(one, two) for one, two in zip(ends, begins, strict=True) if one is not None]
    if other == form or any(two is None for _, two in pairs):
        return form
    spans = [max(each) - min(each) for each in zip(*pairs, strict=True)]
    return other if spans[1] * 2 < spans[0] else form


def _settled(values: list[str]) -> bool:
    """True when some second part is over 12, so that it can only be a day."""
    return any((found := re.match(r"\d+\D(\d+)", text)) and int(found[1]) > 12 for text in values[:10_000])


def _words(found: Counted) -> Guess:
    distinct, rows = len(found.values), found.rows
    values = pl.Series("v", found.values[:5_000])
    words = (values.str.count_matches(r"\S+") + values.str.count_matches(_WIDE) / 2).mean()
    mean_words = float(words) if isinstance(words, int | float) else 0.0
    share = distinct / rows
    texts = f"{distinct:,} different texts" if distinct > 1 else "one text"
    figures = f"{texts} in {rows:,} rows, {mean_words:.1f} words each"
    few = share <= 0.05 or (distinct <= 20 and share <= 0.5)
    if few and distinct <= 2_000:
        return Guess("category", figures, found.missing)
    unique = share >= 0.95 and rows >= 20
    if mean_words >= 3 or (mean_words >= 2 and (rows < 20 or unique)):  # alone each says nothing, its words may
        return Guess("text", figures, found.missing)
    return Guess("category", figures, found.missing, id_like=unique)


def odd_note(name: str, found: Guess) -> str:
    """The sentence that reports values which are not of the column's kind."""
    rows = sum(count for _, count in found.odd)
    examples = ", ".join(shown(text) for text, _ in found.odd[:3])
    which = f"1 value is no {found.kind} and is" if rows == 1 else f"{rows:,} values are no {found.kind} and are"
    return f"`{name}`: {which} read as missing: {examples}"
