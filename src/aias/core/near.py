"""Which known name somebody meant, for "did you mean"."""

import difflib
from collections.abc import Iterable
from itertools import islice
from typing import Final

KNOWN_MAX: Final = 1_000
CHARS_MAX: Final = 100
"""Of more and longer names looking for the nearest takes seconds."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like `name`, whatever the case and the blanks around; None when none is like it."""
    bare = {_bare(each): each for each in reversed(list(islice(known, KNOWN_MAX)))}  # of several the first
    close = difflib.get_close_matches(_bare(name), bare, n=1)
    return bare[close[0]] if close else None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A whole hint, or an empty text."""
    near = nearest(name, known)
    return f"did you mean `{near}`?" if near is not None else ""


def _bare(name: str) -> str:
    return name[:CHARS_MAX].strip().casefold()
