"""The promise of a teacher: rows in, what it says of each out.

A member's file exports one class: `fits` says by the source alone whether it is meant; `open` looks at it for the first
time. `ask` is called by several threads at once. What a service must not be told again, or will never answer, is said
by the kind of error.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from aias.core.errors import AiasError, UserError
from aias.core.schema import Field, Schema

Row = Mapping[str, Any]

SUM_OFF_MAX: Final = 0.01
"""Of probabilities, from 1: what is told with three digits each, and of few classes."""

CHANCE_MIN: Final = 1e-4
"""A label less likely than this is not kept."""


class BadTeacher(UserError):
    """The teacher that was named cannot be asked like this."""

    code = "teaching.bad-teacher"


class TeacherRefused(AiasError):
    """The teacher refuses the key or the model, or answers no row: asking on would only cost."""

    code = "teaching.refused"


class Unanswered(AiasError):
    """These rows get no answer; others may."""

    code = "teaching.unanswered"


class Busy(Unanswered):
    """The teacher cannot answer now: too many requests, an overload, a silence.

    `seconds`: when to try again, where it said so.
    """

    code = "teaching.busy"

    def __init__(self, message: str, *, hint: str = "", seconds: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.seconds = seconds


class Said(msgspec.Struct, frozen=True):
    """`answer`: a label, or a number as text; empty where what came was neither. `came`: then a piece of it.
    `chances`: how likely each label is, if the teacher says so; of the others next to nothing."""

    answer: str
    read: int = 0
    written: int = 0
    """Tokens, of services that count them."""
    came: str = ""
    chances: dict[str, float] = {}


def likely(labels: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    """How likely each label is; nothing where the values are no probabilities, but scores of another kind."""
    known = len(labels) == len(values) and all(0 <= each <= 1 for each in values)
    if not known or not abs(sum(values) - 1) <= SUM_OFF_MAX:
        return {}
    return {label: round(each, 6) for label, each in zip(labels, values, strict=True) if each >= CHANCE_MIN}


def amount(value: float) -> Said:
    """A number that counts: infinite ones and none at all are no answers."""
    return Said(repr(value)) if math.isfinite(value) else Said("", came=repr(value))


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a row. `fields`: all columns, those that tell nothing too; `classes`: all labels that count,
    empty for a number, None where nobody said; `ordered`: whether somebody named them in the teacher's order;
    `examples`: rows whose answers are known; `home`: where versions are, if not where they usually are."""

    target: str
    fields: tuple[Field, ...]
    classes: tuple[str, ...] | None = None
    instructions: str = ""
    examples: tuple[tuple[Row, str], ...] = ()
    model: str = ""
    ordered: bool = False
    home: Path | None = None


class Labeller(Protocol):
    """Whoever labels rows: a version, an endpoint, a model on another server, a chat service."""

    who: str
    """For people and the lineage; holds no secret."""
    identity: tuple[str, ...]
    """All that decides its answers, and no key."""
    schema: Schema | None
    """How it reads rows, if it says so; and which columns of them, if it names no kinds."""
    reads: tuple[str, ...] | None
    classes: tuple[str, ...] | None
    """What it tells apart, empty for numbers; None where it does not say."""
    rows_at_once: int
    concurrent: int
    """How many calls at one time."""

    def ask(self, rows: Sequence[Row]) -> list[Said]:
        """One each. Raises `Busy`, `Unanswered`, `TeacherRefused`."""


class Kind(Protocol):
    @staticmethod
    def fits(source: str) -> bool: ...

    @staticmethod
    def open(source: str, question: Question) -> Labeller:
        """Raises `BadTeacher`, `TeacherRefused`, `Busy`."""
