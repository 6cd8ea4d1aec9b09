"""How a delimited text file is laid out: its separator, what its quotes mean, where its records end."""

import re
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from aias.core.arrays import Flags, Ints

SEPARATORS: Final = ("\t", ";", "|", ",")
"""In this order when two fit equally: a file of `1,5;2,5` is divided by the semicolon."""

RARE: Final = ("^", "~", ":")
"""Where none of those fits, and every record has as many."""

_PAIRS: Final = (b"||", b"::")
_OFTEN: Final = 0.95
_TIME: Final = re.compile(rb"\b[0-9]{1,2}:[0-5][0-9]\b")

HEADED: Final = 0.1
"""Of the records, whose fields count as much as those of the first: of `a;b` above `1,5;2` and `?,5` the comma fits all
lines but the first."""

HEAD_BYTES: Final = 1 << 19
"""By which a layout is told."""

_QUOTE, _LINE_END, _SPACE = 34, 10, 32


@dataclass(frozen=True, slots=True)
class Layout:
    """`separator`: None for a single column. `quoted`: quotes wrap values; else they are data.
    `regular`: every quote stands where RFC 4180 puts it. `spaced`: a space follows each separator. `headed`: the first
    record is one of the `share` that have the commonest number of fields."""

    separator: str | None
    quoted: bool = False
    regular: bool = True
    spaced: bool = False
    share: float = 1.0
    headed: bool = True

    @property
    def likeness(self) -> float:
        """How much it looks like the layout: a header says more than some ragged lines below it."""
        return self.share + HEADED * self.headed


@dataclass(frozen=True, slots=True)
class Records:
    """Where each record begins and ends (bytes), how many fields it has, and the line it begins on (from 1)."""

    starts: Ints
    ends: Ints
    fields: Ints
    lines: Ints

    @property
    def blank(self) -> Flags:
        blank: Flags = self.starts == self.ends
        return blank


def sniff(data: bytes, *, prefer: str | None = None) -> Layout:
    """The separator that gives the most records the same number of fields, and the meaning of the quotes.

    `share` is the share of the records that have the commonest number of fields.
    """
    head = _head(data)
    found = [_fit(head, separator, cut=len(head) < len(data)) for separator in SEPARATORS]
    best = max((fit for fit in found if fit), key=lambda fit: fit.likeness, default=None)
    preferred = next((fit for fit in found if fit and fit.separator == prefer and fit.share > 0.5), None)
    layout = preferred or best
    if layout is None or layout.share < _OFTEN:
        layout = next((fit for separator in RARE if (fit := _rare(head, separator))), layout)
    if layout is None or layout.share < 0.5:
        return Layout(None, *_quotes(data, None))
    quoted, regular = _quotes(data, layout.separator)
    return replace(layout, quoted=quoted, regular=regular)


def records(data: bytes, separator: str | None, *, quoted: bool) -> Records:
    """Find the records without parsing them; a quote turns line ends and separators into data until the next one."""
    chars = np.frombuffer(data, np.uint8)  # (bytes,)
    line_end = chars == _LINE_END
    at_line_end = np.flatnonzero(line_end)
    divides = chars == ord(separator) if separator else np.zeros(len(chars), np.bool_)
    if quoted:
        outside = ~np.bitwise_xor.accumulate((chars == _QUOTE).view(np.uint8)).view(np.bool_)
        line_end &= outside
        divides &= outside
    ends = np.flatnonzero(line_end)
    if len(chars) and not (len(ends) and ends[-1] == len(chars) - 1):
        ends = np.append(ends, len(chars))
    starts = np.concatenate(([0], ends[:-1] + 1)) if len(ends) else ends
    upto = np.searchsorted(np.flatnonzero(divides), ends)
    return Records(starts, ends, np.diff(upto, prepend=0) + 1, np.searchsorted(at_line_end, starts) + 1)


def without_pairs(data: bytes) -> bytes:
    """The same lines divided by tabs, where `||` or `::` divides every one into as many values."""
    lines = [line for line in _head(data).split(b"\n") if line]
    for pair in _PAIRS:
        often = {line.count(pair) for line in lines}
        singles = any(line.count(pair[:1]) != 2 * line.count(pair) for line in lines)
        if len(lines) > 1 and len(often) == 1 and often != {0} and not singles and b"\t" not in data:
            return data.replace(pair, b"\t")
    return data


def _rare(head: bytes, separator: str) -> Layout | None:
    """Colons divide lines of three values or more, and not those of words, times, or `place:value` of sparse rows."""
    lines = [line for line in head.split(b"\n") if line]
    fit = _fit(head, separator, cut=False) if len(lines) > 2 else None
    if fit is None or fit.share < 1:
        return None
    colons = head.count(b":")
    words = colons < 2 * len(lines) or head.count(b" ") >= colons or all(map(_TIME.search, lines))
    return None if separator == ":" and words else fit


def _head(data: bytes) -> bytes:
    if len(data) <= HEAD_BYTES:
        return data
    end = data.rfind(b"\n", 0, HEAD_BYTES)
    return data[: end + 1] if end > 0 else data[:HEAD_BYTES]


def _fit(head: bytes, separator: str, *, cut: bool) -> Layout | None:
    quoted, regular = _quotes(head, separator, cut=cut)
    found = records(head, separator, quoted=quoted)
    fields = found.fields[~found.blank]
    if cut and quoted and head.count(b'"') % 2 and len(fields) > 1:
        fields = fields[:-1]  # its end is not seen
    if not len(fields):
        return None
    counts = np.bincount(fields)
    commonest = int(counts.argmax())
    if commonest < 2:
        return None
    spaced = head.count(f"{separator} ".encode()) >= 0.99 * head.count(separator.encode()) and separator != "\t"
    share, headed = float(counts[commonest]) / len(fields), int(fields[0]) == commonest
    return Layout(separator, quoted, regular, spaced, share, headed)


def _quotes(data: bytes, separator: str | None, *, cut: bool = False) -> tuple[bool, bool]:
    """(quotes wrap values, all of them regularly); what was `cut` may end within a value."""
    chars = np.frombuffer(data, np.uint8)
    at = np.flatnonzero(chars == _QUOTE)
    if not len(at):
        return False, True
    if cut and len(at) % 2:
        at = np.append(at, len(chars) - 1)  # as if the last line end closed it
    divider = ord(separator) if separator else _LINE_END
    opening, closing = at[::2], at[1::2]
    before = np.where(opening == 0, _LINE_END, chars[opening - 1])
    after = np.where(closing + 1 == len(chars), _LINE_END, chars[np.minimum(closing + 1, len(chars) - 1)])
    opens = (before == divider) | (before == _LINE_END) | (before == _QUOTE)
    closes = (after == divider) | (after == _LINE_END) | (after == _QUOTE)
    if len(at) % 2 == 0 and bool(opens.all() and closes.all()):
        return True, True
    edge = re.escape(separator or "\n").encode()
    wrapped = len(re.findall(rb'(?:^|%b|\n) ?"[^"\n]*"(?=%b|\n|\Z)' % (edge, edge), data))
    return wrapped * 4 >= len(at), False
