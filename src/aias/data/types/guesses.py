"""A guess at what a column of texts holds, and why; the few values that do not fit are reported."""

from dataclasses import dataclass
from typing import Final

from aias.core.errors import shown
from aias.core.schema import Kind

SHARE_MIN: Final = 0.995
"""A column is of a kind when all but 1 value in 200 are; the odd ones are reported and read as missing."""

ODD_MAX: Final = 20
"""Different odd values that a field may list."""


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


def odd_note(name: str, found: Guess) -> str:
    """The sentence that reports values which are not of the column's kind."""
    rows = sum(count for _, count in found.odd)
    examples = ", ".join(shown(text) for text, _ in found.odd[:3])
    which = f"1 value is no {found.kind} and is" if rows == 1 else f"{rows:,} values are no {found.kind} and are"
    return f"`{name}`: {which} read as missing: {examples}"
