"""The promise of a format: what a foreign file holds, its own answers, and the same as one of our graphs.

A member's file exports one class. All of it runs in a process apart, with bounds on memory and time; what the file says
is checked before any library sees it, as far as it can be.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

import msgspec
import numpy as np

from aias.core.arrays import Floats
from aias.core.errors import UserError, shown
from aias.core.task import TaskType, is_metric

Values = Floats | list[str]
"""One input's values, one a row: numbers, or categories as the file spells them."""


class UnreadableModel(UserError):
    """The file is not a model that can be read: damaged, empty, or of another format."""

    code = "importing.unreadable"


class UnsafeModel(UserError):
    """The file asks for what no model needs: other files, endless work, more memory than it can be given."""

    code = "importing.unsafe"


class UnfitModel(UserError):
    """The model is intact, but does not take a table, or does not give a single answer."""

    code = "importing.unfit"


def quantile_metric(alpha: object) -> str:
    """By which answers to a quantile of the amounts are judged; empty where that is none."""
    try:
        found = f"quantile_loss:{float(str(alpha).strip('[]')):g}"
    except ValueError:
        return ""
    return found if is_metric(found) else ""


def apart(text: str, name: str) -> UnfitModel:
    """Of a category that the file knows in two spellings."""
    return UnfitModel(
        f"it tells spellings of {shown(text)} in `{name}` apart, which are one category here",
        hint="write categories in one way before training: without spaces around them, 3 instead of 3.0",
    )


Shown = Sequence[tuple[str, Sequence[Sequence[str]]]]
"""The columns of the rows that came with a file, in their order, and the different texts in each: how
it is written here, then all ways it is written there, as `3`, then `3` and `3.0`; of numbers none. Behind the
empty text stand the words for a missing value."""


def shown_in(shown: Shown, name: str, place: int, *, named: bool) -> Sequence[Sequence[str]]:
    """The texts of an input's column, found by its name or, where there are none, by its place."""
    if named:
        return dict(shown).get(name, ())
    return shown[place][1] if place < len(shown) else ()


class Input(msgspec.Struct, frozen=True):
    """One column of the rows. `whole`: a number without its fraction; `flag`: whether it is not 0. Of neither can a
    missing value be told from 0. `categories`: all that the file can tell apart, as it spells them; `missing`: what it
    is given for a missing one; `written`: the categories as rows have them, where they cannot be told from that."""

    name: str
    kind: Literal["number", "whole", "flag", "category"] = "number"
    categories: tuple[str, ...] = ()
    missing: str = ""
    written: tuple[str, ...] = ()


class Description(msgspec.Struct, frozen=True):
    """`named`: whether the inputs are called as the columns were. `task`: empty where the file does not say. `outputs`:
    classes, or 1. `classes`: as the file names them, if it does. `notes`: what whoever imports it should know."""

    format: str
    inputs: tuple[Input, ...]
    named: bool
    task: TaskType | Literal[""]
    outputs: int
    classes: tuple[str, ...] = ()
    labels: bool = False
    """Whether it tells labels by itself."""
    trees: int = 0
    notes: tuple[str, ...] = ()
    libraries: dict[str, str] = {}
    label_weights: tuple[float, ...] = ()
    """Times which the largest of its probabilities is its label, where not as they are."""
    metric: str = ""
    """By which alone its amounts are good, where it was trained for a quantile of them."""


class Plan(msgspec.Struct, frozen=True):
    """What was decided: the task, its classes in the file's order, what the file's scores are, and times which the
    largest is the label."""

    task: TaskType
    classes: tuple[str, ...]
    scores: Literal["probabilities", "logits"] = "probabilities"
    label_weights: tuple[float, ...] = ()


class Said(msgspec.Struct, frozen=True):
    """The file's own answers: (rows, outputs), as little-endian float64; and its labels, if it tells any."""

    scores: bytes
    labels: list[str] | None = None


class Foreign(Protocol):
    """A model read from another library's file: it answers by that library, and writes the graph that replaces it."""

    description: Description

    @classmethod
    def read(cls, path: Path) -> "Foreign":
        """Raises `UnreadableModel`, `UnsafeModel`, `UnfitModel`; a library's own errors are told by the caller."""

    def answer(self, values: Sequence[Values], plan: Plan) -> tuple[Floats, list[str] | None]:
        """As its own library answers: (rows, outputs), and labels."""

    def write(self, plan: Plan) -> bytes:
        """The graph over `columns`, one an input: categories as 2 + their place, 0 missing, 1 unknown."""


class Format(Protocol):
    """A file format; `title` is what people call it."""

    title: ClassVar[str]

    @classmethod
    def read(cls, path: Path) -> Foreign: ...


def said(scores: Any, labels: list[str] | None) -> Said:
    return Said(np.ascontiguousarray(scores, "<f8").tobytes(), labels)
