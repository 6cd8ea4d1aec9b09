"""Of several tables in one text, below each other with an empty line between them, the one that is meant."""

from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import numpy as np

from aias.data.readers.contract import noted
from aias.data.text_files.header_line import Cut, cells_of
from aias.data.text_files.layout import Layout, Records, records

_ROWS_MIN: Final = 2
"""Below a header: fewer are no table, but something said of one."""

_TITLES_MAX: Final = 25
_COLUMN_ROWS_MIN: Final = 5
_TITLE_WORDS_MIN: Final = 3


@dataclass(frozen=True, slots=True)
class _Block:
    """Records without an empty line between them: the first, the one after the last, and the values in most."""

    first: int
    end: int
    width: int


def one_table(data: bytes, layout: Layout, file: str, *, wanted: AbstractSet[str | None]) -> Cut:
    """The data of the table whose header holds a name that is `wanted`, or else of the largest; the others are noted.

    Tables are told by their widths: blocks of as many columns are one table, whatever lies between them.
    """
    if layout.separator is None or b"\n\n" not in data:
        return Cut(data)
    found = records(data, layout.separator, quoted=layout.quoted)
    blocks = _blocks(found)
    if len({block.width for block in blocks}) < 2:
        return Cut(data)

    def worth(block: _Block) -> tuple[bool, int]:
        header = data[found.starts[block.first] : found.ends[block.first]]
        named = not wanted.isdisjoint(name.strip() for name in cells_of(header, layout))
        return named, (block.end - block.first) * block.width

    best = max(blocks, key=worth)  # of equal ones the first
    alike = [block for block in blocks if block.width == best.width]
    others = [block for block in blocks if block.width != best.width]
    between = [other for other in others if alike[0].first < other.first < alike[-1].first]
    if between:  # they take turns: which rows belong together is not known
        return Cut(data)
    start = 0 if alike[0] is blocks[0] else int(found.starts[alike[0].first])
    lines = 0 if not start else int(found.lines[alike[0].first]) - 1
    said = ", ".join(f"one of {other.width} columns on line {found.lines[other.first]}" for other in others[:3])
    more = f", and {len(others) - 3} more" if len(others) > 3 else ""
    message = (
        f"`{file}` holds several tables; that of {best.width} columns from line {found.lines[alike[0].first]} was read."
        f" Left out: {said}{more}. To have another, give it a file of its own, or name its target"
    )
    return Cut(data[start : found.ends[alike[-1].end - 1]] + b"\n", lines, (noted(message),))


def without_title(data: bytes, file: str, *, is_number: Callable[[str], bool], wanted: AbstractSet[str | None]) -> Cut:
    """A single column of numbers without the title above its name."""
    lines = [line.strip() for line in data.decode("utf-8", "replace").split("\n")]
    at = next((place for place, line in enumerate(lines) if is_number(line)), 0)
    above = [line for line in lines[:at] if line]
    below = [line for line in lines[at:] if line]
    if len(above) < 2 or at > _TITLES_MAX or len(below) < _COLUMN_ROWS_MIN or above[0] in wanted:
        return Cut(data)
    titled = "" in lines[1:at] or len(above[0].split()) >= _TITLE_WORDS_MIN
    header = next(place for place in range(at - 1, -1, -1) if lines[place])
    if not titled or not all(map(is_number, below)):
        return Cut(data)
    which = "line 1 is a title" if header == 1 else f"lines 1 to {header} are titles"
    note = noted(f"`{file}`: {which} above the table, and left out: '{above[0][:60]}'")
    return Cut(b"\n".join(data.split(b"\n")[header:]), header, (note,))


def _blocks(found: Records) -> list[_Block]:
    """Those that are tables."""
    blank = np.concatenate(([True], found.blank, [True]))
    edges = np.flatnonzero(blank[1:] != blank[:-1])  # a block begins, ends, begins, ...
    blocks = []
    for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        fields = found.fields[first:end]
        width = int(fields[-1])
        if len(fields) > _ROWS_MIN and width > 1 and (fields[1:] == width).all() and width - fields[0] in {0, 1}:
            blocks.append(_Block(first, end, width))
    return blocks
