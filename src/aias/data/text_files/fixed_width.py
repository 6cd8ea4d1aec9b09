"""Text whose columns stand at fixed places: blanks pad the values, and may stand within them or instead of them."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from aias.data.text_files.blanks import ROWS_PLENTY
from aias.data.text_files.header_line import without_comments
from aias.data.text_files.headings import is_number
from aias.data.text_files.layout import RARE, Layout

_LINES_MIN: Final = 3
_COLUMNS_SURE: Final = 3
"""So many need hold no numbers; two may be a text in two columns."""

_NAMES_ROWS: Final = 2
"""Blanks between a first column without a name and the next."""

_SOME: Final = 1_000
_RULE: Final = re.compile(r"[-=]{2,}(?: +[-=]+)+")
_DASHES: Final = re.compile(r"[-=]+")
_INK: Final = bytes(ord("0" if code == ord(" ") else "1") for code in range(256))
_WIDE: Final = re.compile(r"1+(?:01+)*")
_ANY: Final = re.compile(r"1+")
_GAPS: Final = re.compile(r" {2,}")
_Spans = list[tuple[int, int]]


def divided_by_places(data: bytes, layout: Layout) -> bytes | None:
    """The same lines divided by tabs, where the same places are blank in all of them; else None.

    `layout`: how the data look otherwise. A line of dashes below the header says where the columns are.
    """
    below = without_comments(data)
    lines = [line.rstrip(" ") for line in below.decode("utf-8", "replace").split("\n")]
    full = [line for line in lines if line]
    if len(full) < _LINES_MIN or b"\t" in below or layout.separator in {";", "|", *RARE}:
        return None
    first, rest = full[0], full[1:]
    header: Sequence[str] = ()
    if _RULE.fullmatch(rest[0]):
        spans = [found.span() for found in _DASHES.finditer(rest.pop(0))]
        if any(line[end:start].strip() for (_, end), (start, _) in pairwise(spans) for line in full):
            return None
    elif len(spans := _spans(rest)) > 1:  # names may be longer than the values
        words = (_GAPS.split(first.strip()), first.split())
        header = next((names for names in words if len(names) == len(spans) and not any(map(is_number, names))), ())
        spans = spans if header else _named(first, _spans(full))
    if len(spans) < 2 or any(map(_GAPS.search, header or _cells(first, spans))) or not _is_table(rest, spans, layout):
        return None
    divided = ["\t".join(_cells(line, spans)) if line else "" for line in lines]
    if header:
        divided[lines.index(first)] = "\t".join(header)
    return data[: len(data) - len(below)] + "\n".join(divided).encode()


def _spans(lines: Sequence[str]) -> _Spans:
    """The places that hold something in some line; where lines are few, one blank divides nothing."""
    ink = 0
    for at, line in enumerate(lines, 1):
        ink |= int(line.encode("latin-1", "replace").translate(_INK)[::-1] or b"0", 2)
        if at in {_SOME, len(lines)}:
            run = _ANY if len(lines) >= ROWS_PLENTY else _WIDE
            spans = [found.span() for found in run.finditer(f"{ink:b}"[::-1])]
            if len(spans) < 2:
                return []
    return spans


def _named(first: str, spans: _Spans) -> _Spans:
    """Those at which something stands in the first line; others belong to the nearer one beside them."""
    spans, at = list(spans), 0
    while at < len(spans):
        if first[slice(*spans[at])].strip():
            at += 1
            continue
        left = spans[at][0] - spans[at - 1][1] if at else _NAMES_ROWS
        right = spans[at + 1][0] - spans[at][1] if at + 1 < len(spans) else left
        if at == 0 and right >= _NAMES_ROWS:
            at += 1
            continue
        at -= bool(at and left <= right)
        spans[at : at + 2] = [(spans[at][0], spans[min(at + 1, len(spans) - 1)][1])]
    return spans


def _cells(line: str, spans: _Spans) -> list[str]:
    starts = [0, *(start for start, _ in spans[1:])]
    return [line[start:end].strip() for start, end in zip(starts, [*starts[1:], len(line)], strict=True)]


def _is_table(lines: Sequence[str], spans: _Spans, layout: Layout) -> bool:
    """Whether the columns are more than commas make, and hold numbers beyond the first, or are three."""
    columns = list(zip(*(_cells(line, spans) for line in lines[:_SOME]), strict=True))
    comma = layout.separator or "\0"
    if any(all(cell.strip(comma) != cell for cell in column if cell) for column in columns):
        return False
    if any(_GAPS.search(cell) for column in columns for cell in column):  # several values, of which some are not there
        return False
    if layout.separator and layout.share == 1 and lines[0].count(comma) + 1 >= len(spans):
        return False
    numeric = [any(column) and all(is_number(cell) for cell in column if cell) for column in columns]
    return any(numeric[1:]) or len(spans) >= _COLUMNS_SURE
