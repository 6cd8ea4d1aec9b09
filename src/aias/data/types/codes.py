"""Texts that only look like amounts or names: grades (`2-`, `3+`), codes that begin alike (`F32.1`, `TX-204-B`), and
lists (`drama;crime`)."""

import re
from itertools import takewhile
from typing import Final

import polars as pl

GRADES_MAX: Final = 20
"""Different ones; of more, a minus behind them is that of accounts."""

_GRADE: Final = re.compile(r"[0-9]{1,2}[+-]?")

CODES_MIN: Final = 100
CODES_SHARE_MIN: Final = 0.5
"""Of the rows; where a code has more than two, they say more of it than those of its like (docs/log.md)."""

BEGINNING: Final = 2
"""Characters, behind those that all begin with."""

ALIKE_MIN: Final = 3
"""Codes of one beginning, on average."""

BEGINNINGS_MIN: Final = 2
SHAPES_MAX: Final = 12
SHAPED_SHARE: Final = 0.95
"""Of the codes have one of so few shapes, letters and digits being all alike; digests have thousands."""

MARKS: Final = (";", "|", ",")
"""Between the parts of a list."""

LISTS_MIN: Final = 0.5
"""Of the different values have several parts."""

KNOWN_MIN: Final = 0.9
"""Of all parts are in another value too: those of names and places are not."""


def are_grades(values: list[str]) -> bool:
    """Whether a sign behind a number is a bit more or less of it, not a minus."""
    signed = any(text.endswith(("+", "-")) for text in values)
    return signed and len(values) <= GRADES_MAX and all(map(_GRADE.fullmatch, values))


def begin_alike(values: list[str]) -> bool:
    """Whether these are codes of letters, then digits, of which many share their first characters: what begins alike
    is of a kind, as diagnoses and articles are. Neither digests do nor numbers behind one and the same word."""
    if len(values) < CODES_MIN:
        return False
    pairs = zip(min(values), max(values), strict=False)
    common = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    codes = pl.Series("v", [text[common:] for text in values])
    beginnings = codes.str.slice(0, BEGINNING).n_unique()
    if not BEGINNINGS_MIN <= beginnings <= len(codes) / ALIKE_MIN:
        return False
    like = int(codes.str.contains(r"^\p{L}[^\s]*[0-9]").sum())
    shapes = codes.str.replace_all(r"\p{L}+", "A").str.replace_all(r"[0-9]+", "0").value_counts(name="n")
    shaped = int(sum(sorted(shapes["n"].to_list())[-SHAPES_MAX:]))
    return min(like, shaped) >= SHAPED_SHARE * len(codes)


def are_lists(values: list[str]) -> bool:
    """Whether these are lists of a few things, each of which stands in many: `drama;crime`, `red|blue`."""
    return len(values) >= CODES_MIN and any(_listed(pl.Series("v", values), mark) for mark in MARKS)


def _listed(values: pl.Series, mark: str) -> bool:
    if values.str.contains(mark, literal=True).sum() < LISTS_MIN * len(values):
        return False
    parts = values.str.split(mark).list.unique().explode().str.strip_chars()
    counts = parts.value_counts(name="n")["n"]
    return bool(int(counts.filter(counts > 1).sum()) >= KNOWN_MIN * len(parts) and len(counts) <= len(values) / 2)
