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
    counts = counts.sort(["n", "v"], descending=[True, False])
    short = pl.col("v").str.len_chars() <= _SPELLING_CHARS_MAX
    means_missing = short & pl.col("v").str.to_lowercase().is_in(list(spellings))
    missing = counts.filter(means_missing)["v"].to_list()
    kept = counts.filter(~means_missing)
    return Counted(kept["v"].to_list(), kept["n"].to_list(), tuple(missing))
