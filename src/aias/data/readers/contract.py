"""The promise of a reader: the bytes of one file → a raw table.

A member is a module of this folder, found by its file name, with the three functions of `Reader`. Readers see bytes
that are already unpacked and bounded; they open nothing themselves.
"""

from dataclasses import dataclass
from typing import Final, Protocol

import polars as pl

from aias.core.events import Event

SURE: Final = 1.0
"""The bytes say so: a magic number, a declaration."""
NAMED: Final = 0.8
"""The file's suffix says so."""
LIKELY: Final = 0.6
"""The content looks like it."""
PERHAPS: Final = 0.4
NO: Final = 0.0


@dataclass(frozen=True, slots=True)
class File:
    """The bytes of one file. `name` is for messages and for its suffix, never a path to open. `encoding`: what its text
    is in, where the caller says so."""

    name: str
    data: bytes
    encoding: str | None = None

    @property
    def suffix(self) -> str:
        """`.csv`, in lower case; "" when there is none."""
        stem, dot, end = self.name.rpartition(".")
        return f".{end.lower()}" if dot and stem and "/" not in end else ""


@dataclass(frozen=True, slots=True)
class Options:
    """What the caller knows of the file.

    `names`: the columns' names when it has no header. `known`, `target`: names to look for in a header. `part`: a
    sheet's name. `encoding`: of its text.
    """

    names: tuple[str, ...] | None = None
    known: frozenset[str] = frozenset()
    target: str | None = None
    part: str | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Columns as they came: text from text files, typed ones where the format has types. Nothing is inferred yet."""

    frame: pl.DataFrame
    notes: tuple[Event, ...] = ()


def noted(message: str) -> Event:
    """Something that was left out, or read otherwise than it stands: whoever gave the file is told."""
    return Event("data.read", message, "warning")


class Reader(Protocol):
    def fits(self, file: File) -> float:
        """How sure it is that the file is its own: `SURE` to `NO`. Looks at the suffix and the first bytes; cheap."""

    def read(self, file: File, options: Options) -> Table:
        """The table. Raises `Unreadable` with what to do; never returns a part of the rows without a note."""
