"""The different values of a column, by which its kind is told."""

from dataclasses import dataclass
from typing import Final

import polars as pl

from aias.data.types.spellings import SPELLINGS

_SPELLING_CHARS_MAX: Final = 13


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
    found = counts.sort(["n", "v"], descending=[True, False]).rows()
    kept = [(text, count) for text, count in found if not is_spelled(text, spellings)]
    missing = tuple(text for text, _ in found if is_spelled(text, spellings)) if len(kept) < len(found) else ()
    return Counted([text for text, _ in kept], [count for _, count in kept], missing)


def is_spelled(text: str, spellings: frozenset[str]) -> bool:
    """Whether a stripped text is one of these, in any case."""
    return len(text) <= _SPELLING_CHARS_MAX and text.lower() in spellings
