"""Of tables side by side with an empty column between them, the one that is meant."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import polars as pl

from aias.core.events import Event
from aias.data.readers.contract import noted

_COLUMNS_MIN: Final = 2
_ROWS_MIN: Final = 2
"""By which tables differ in height: one row may lack some values."""


def one_side(
    frame: pl.DataFrame, names: Sequence[str], file: str, *, wanted: AbstractSet[str | None]
) -> tuple[pl.DataFrame, tuple[Event, ...]]:
    """The tallest table, if it holds the names that are `wanted`, and what is told of the others.

    They are told from one table by their heights, or because they repeat their `names`, of which "" is none.
    """
    sides = _sides(frame, names)
    heights = [_height(frame[:, side]) for side in sides]
    if len(sides) < 2 or min(map(len, sides)) < _COLUMNS_MIN:
        return frame, ()
    called = [[names[at] for at in side] for side in sides]
    alike = all(each == called[0] for each in called)
    tall = max(range(len(sides)), key=lambda at: heights[at])  # of equal ones the first
    absent = (wanted & set(names)) - set(called[tall])
    shorter = all(heights[tall] - each >= _ROWS_MIN for at, each in enumerate(heights) if at != tall)
    if absent or not all(map(all, called)) or not (alike or shorter):
        return frame, ()
    others = ", ".join(f"{len(side)} columns from `{names[side[0]]}` on" for side in sides if side is not sides[tall])
    message = (
        f"`{file}` holds {len(sides)} tables side by side; that of {len(sides[tall])} columns from"
        f" `{called[tall][0]}` on was read. Left out: {others}. To have another, give it a file of its own"
    )
    return frame[: heights[tall], sides[tall]], (noted(message),)


def _sides(frame: pl.DataFrame, names: Sequence[str]) -> list[list[int]]:
    """The columns between those that have neither name nor value."""
    sides: list[list[int]] = [[]]
    for at, name in enumerate(names):
        if name or _height(frame[:, [at]]):
            sides[-1].append(at)
        elif sides[-1]:
            sides.append([])
    return [side for side in sides if side]


def _height(frame: pl.DataFrame) -> int:
    """Down to the last row that holds something."""
    filled = pl.any_horizontal(pl.all().cast(pl.String).str.strip_chars().fill_null("") != "")
    return int(frame.select(pl.when(filled).then(pl.int_range(1, pl.len() + 1)).max()).item() or 0)
