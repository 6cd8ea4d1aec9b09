"""Texts that are times, and the formats that they are written in."""

import re
from typing import Final

from aias.data.types.counted import Counted
from aias.data.types.guesses import ODD_MAX, SHARE_MIN, Guess
from aias.encoders.time import ISO, pattern_of, read_time

_SAMPLE: Final = 200
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


def times_in_texts(found: Counted) -> Guess | None:
    """The guess that all but a few values are times."""
    if not any(len(text) >= 6 and any(map(str.isdigit, text)) for text in found.values[:20]):
        return None
    sample = found.values[:: max(1, len(found.values) // _SAMPLE)][:_SAMPLE]
    chosen = _formats(sample)
    if chosen is None or (len(found.values) < _SHORT_MIN and any(map(_SHORT.match, chosen))):
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
    iso = [] if chosen and all(read_time(ISO, text) is None for text in sample) else ["ISO 8601"]
    reason = f"every value is a time ({' or '.join([*iso, *chosen])})"
    if chosen and re.match("%m.%d", chosen[0]) and not _settled(found.values):
        reason += "; day and month could be the other way round"
    return Guess("time", reason, found.missing, form, odd=tuple(left))


def _formats(sample: list[str]) -> list[str] | None:
    """Up to three formats that read what is not in ISO 8601, the one that reads most first; None where much is left."""
    left = [text for text in sample if read_time(ISO, text) is None]
    most = max(1, 0.02 * len(sample))
    if _unread(left[: 2 * int(most) + 2]) > most:  # of codes most columns are told by the first few
        return None
    chosen: list[str] = []
    while left and len(chosen) < 3:
        scores = [(sum(read_time(pattern_of(form), text) is not None for text in left), form) for form in _FORMATS]
        score, best = max(scores, key=lambda pair: pair[0])  # the first of the best: month before day
        if score < 0.05 * len(sample):
            break
        best = _year_first(best, left)
        chosen.append(best)
        left = [text for text in left if read_time(pattern_of(best), text) is None]
    return chosen if len(left) <= most else None


def _unread(texts: list[str]) -> int:
    """How many of these no format reads."""
    return sum(all(read_time(pattern_of(form), text) is None for form in _FORMATS) for text in texts)


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
