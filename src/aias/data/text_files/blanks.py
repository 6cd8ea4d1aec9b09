"""Text whose values are divided by runs of blanks: what R's `write.table`, NumPy's `savetxt` and old data sets have."""

import re
from collections.abc import Sequence
from typing import Final

from aias.data.text_files.header_line import without_comments
from aias.data.text_files.layout import HEAD_BYTES, RARE, Layout

ROWS_PLENTY: Final = 20
"""Lines of as many words each: so many are no sentences."""

_VALUE: Final = re.compile(rb'"(?:\\.|""|[^"\\\n])*"(?=[ \t]|\Z)|[^ \t\n"]+(?=[ \t]|\Z)')
_QUOTED: Final = re.compile(rb'"((?:\\.|""|[^"\\\n])*)"(?=[ \t\n]|\Z)|[ \t]+')
_RUNS: Final = re.compile(rb"[ \t]+")
_EDGES: Final = re.compile(rb"^[ \t]+|[ \t]+$", re.MULTILINE)
_NUMBER: Final = re.compile(rb"[+-]?(?:[0-9]+[.,]?[0-9]*|[.,][0-9]+)(?:[eE][+-]?[0-9]+)?%?")
_NOTHING: Final = frozenset({b"?", b"na", b"nan", b"null", b"*", b"-", b".", b"n/a"})


def divided_by_blanks(data: bytes, layout: Layout) -> bool:
    """Whether blanks divide every line into as many values, and nothing else is as likely to.

    `layout`: how the data look otherwise. Among the values have to be numbers, not only in the first column: of lines
    of words a few may be of one length by chance.
    """
    if layout.separator in {";", "|", *RARE}:
        return False
    rows = _rows(without_comments(data))
    if not rows or any(all(value.endswith((b",", b":")) for value in values) for values in zip(*rows[1:], strict=True)):
        return False
    below = rows[1:] if len(rows) > 1 else rows
    numeric = [all(map(_is_number, values)) for values in zip(*below, strict=True)]
    quoted = any(value.startswith(b'"') for row in rows for value in row)
    if not any(numeric[1:]) or not (sum(numeric) * 2 >= len(numeric) or len(below) >= ROWS_PLENTY or quoted):
        return quoted and not layout.regular and len(numeric) > 1
    if layout.separator is None or (quoted and not layout.regular):
        return True
    if layout.separator == ",":
        return all(numeric) and len(numeric) > 2
    return layout.share < 1 or _holds_rows(data)


def with_tabs(data: bytes) -> bytes:
    """The same lines divided by tabs. Comments above stay, but for one that holds the names of the columns."""
    below = without_comments(data)
    above = data[: len(data) - len(below)]
    if above:
        values, names = _values(below.partition(b"\n")[0]), _values(above.rstrip(b"\n").rpartition(b"\n")[2][1:])
        if values and names and len(names) == len(values) and all(map(_is_number, values)):
            above = above[: above.rstrip(b"\n").rfind(b"\n") + 1] + b"\t".join(names) + b"\n"
    below = _EDGES.sub(b"", below)
    return above + (_QUOTED.sub(_tabbed, below) if b'"' in below else _RUNS.sub(b"\t", below))


def _tabbed(found: re.Match[bytes]) -> bytes:
    return b"\t" if found[1] is None else b'"' + found[1].replace(b'\\"', b'""') + b'"'


def _rows(data: bytes) -> list[list[bytes]]:
    """The values of each line; [] where their number differs. The first line may lack one, as R writes it."""
    head = data[: data.rfind(b"\n", 0, HEAD_BYTES) + 1] if len(data) > HEAD_BYTES else data
    rows: list[list[bytes]] = []
    for line in head.split(b"\n"):
        if not line.strip(b" \t"):
            continue
        values = _values(line)
        if values is None or (len(rows) > 1 and len(values) != len(rows[-1])):
            return []
        rows.append(values)
    width = len(rows[-1]) if len(rows) > 1 else 0
    return rows if width > 1 and len(rows[0]) in {width, width - 1} else []


def _values(line: bytes) -> list[bytes] | None:
    """None where a quote does not wrap a value, and of a comment."""
    apart = _VALUE.sub(b"", line).strip(b" \t")
    return None if apart or line.startswith((b"#", b"%")) else _VALUE.findall(line)


def _holds_rows(data: bytes) -> bool:
    """Whether in a column that tabs divide every value is several numbers."""
    lines = [line.split(b"\t") for line in data[:HEAD_BYTES].split(b"\n")[1:-1] if line.strip()]
    columns: Sequence[tuple[bytes, ...]] = list(zip(*lines, strict=False))
    return any(all(_are_numbers(value.split()) for value in column) for column in columns)


def _are_numbers(values: Sequence[bytes]) -> bool:
    return len(values) > 2 and all(map(_is_number, values))


def _is_number(value: bytes) -> bool:
    bare = value.strip(b'"')
    return _NUMBER.fullmatch(bare) is not None or bare.lower() in _NOTHING
