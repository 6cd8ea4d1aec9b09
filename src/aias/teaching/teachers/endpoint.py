"""An endpoint of Aias on any machine, `http://host/predict/NAME`: what it wants and tells apart it says by itself."""

import re
from collections.abc import Sequence
from typing import Any, ClassVar

from aias.core.errors import UserError
from aias.core.schema import KINDS, Field, Kind, Schema
from aias.teaching.teachers.contract import BadTeacher, Question, Row, Said, Unanswered, amount, likely
from aias.teaching.wire import Wire

__all__ = ["Endpoint"]


class Endpoint:
    reads: ClassVar[tuple[str, ...] | None] = None
    rows_at_once: ClassVar[int] = 256
    concurrent: ClassVar[int] = 2

    def __init__(self, wire: Wire, described: Any) -> None:
        self._wire = wire
        try:
            self.schema: Schema | None = Schema(tuple(_field(each) for each in described["inputs"]))
            version, kind = str(described["version"]), described["task"]["type"]
            labels = None if kind == "regression" else described["answer"].get("prediction")
        except (KeyError, TypeError, AttributeError, UserError):
            raise BadTeacher(f"{wire.place} does not describe itself as an endpoint of Aias does") from None
        if kind == "embedding":
            raise BadTeacher(f"{wire.place} gives vectors, and no answers", hint="name an endpoint that predicts")
        self.classes: tuple[str, ...] | None = () if kind == "regression" else None
        if isinstance(labels, list):
            self.classes = tuple(map(str, labels))
        self.who = f"{version} at {wire.place}"
        self.identity = ("endpoint", wire.place, version, "chances")

    @staticmethod
    def fits(source: str) -> bool:
        return re.match(r"https?://[^?#]+/predict/[^/?#]+$", source) is not None

    @classmethod
    def open(cls, source: str, question: Question) -> "Endpoint":  # noqa: ARG003  it knows its own fields
        wire = Wire.to(source)
        return cls(wire, wire.get(wire.under("")))

    def ask(self, rows: Sequence[Row]) -> list[Said]:
        found = self._wire.post(self._wire.under(""), list(rows))
        try:
            return [_said(each) for each in found]
        except (KeyError, TypeError, AttributeError):
            raise Unanswered(f"{self._wire.place} answers otherwise than an endpoint of Aias") from None


def _field(each: Any) -> Field:
    kind: Kind = next((kind for kind in KINDS if kind == each["kind"]), "text")
    return Field(str(each["name"]), kind, format=each.get("format"))


def _said(each: Any) -> Said:
    """A label whose scores are not known is none either."""
    found, scores = each["prediction"], each.get("probabilities") or {}
    if found is None or None in scores.values():
        return Said("", came="nothing")
    if isinstance(found, int | float) and not scores:
        return amount(float(found))
    return Said(str(found), chances=likely(list(scores), list(scores.values())))
