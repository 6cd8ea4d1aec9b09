"""Two header rows: groups of columns above the names of the columns, which become `group.name`."""

from collections.abc import Sequence
from itertools import pairwise

from aias.data.readers.contract import Options
from aias.data.text_files.headings import is_number, judged

Row = Sequence[str]


def under_groups(groups: Row, names: Row) -> list[str]:
    """One name for each column; [] where the first row is none of groups.

    A group stands above each of its columns, or where none does above its first. Two columns or more of some group have
    names of their own.
    """
    if len(groups) != len(names) or any(is_number(name.strip()) for name in names):
        return []
    each = any(one.strip() == two.strip() != "" for one, two in pairwise(groups))
    out: list[tuple[str, str]] = []
    for group, name in zip(groups, names, strict=True):
        out.append((group.strip() or (out[-1][0] if out and not each else ""), name.strip()))
    spans = [one[0] for one, two in pairwise(out) if one[0] == two[0] != ""]
    several = all(name for group, name in out if group in spans)
    joined = [".".join(dict.fromkeys(filter(None, pair))) for pair in out]
    return joined if spans and several and len(set(joined)) == len(joined) else []


def begins_at(rows: Sequence[Row], place: int) -> int:
    """Where the header begins that is found at `place`: at a row of groups above it, if names are the same without."""
    names = [cell.strip() for cell in rows[place]]
    above = [*rows[place - 1], *[""] * len(names)][: len(names)] if place else []
    return place - bool(len(set(names)) < len(names) and under_groups(above, names))


def grouped(rows: Sequence[Row], options: Options) -> list[str]:
    """The names of the columns where the first row is one of groups, and the second surely one of names."""
    joined = under_groups(rows[0], rows[1]) if len(rows) > 2 else []
    known = not (options.known | {options.target}).isdisjoint(joined)
    return joined if joined and (known or judged(rows[1:], options, surely=True)) else []


def told_groups(names: Sequence[str], file: str) -> str:
    example = next(name for name in names if "." in name)
    return f"`{file}`: its header has two rows, the first of groups; columns are called by both, as `{example}`"
