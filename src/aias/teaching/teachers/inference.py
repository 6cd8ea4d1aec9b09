"""A model on any server of Open Inference v2 (`…/v2/models/NAME`): Triton, KServe, MLServer, Seldon, OVMS, Aias.

https://github.com/kserve/open-inference-protocol. Its inputs are the columns of the same names; or its one matrix is
all numbers of a row, in the order of the file. Its answer is a label, a number or a score for each of `--classes`.
"""

import re
from collections.abc import Sequence
from math import isfinite, nan
from typing import Any, ClassVar, Final

import msgspec

from aias.core.schema import Schema
from aias.encoders.category import text_of
from aias.teaching.teachers.contract import BadTeacher, Question, Row, Said, Unanswered, amount, likely
from aias.teaching.wire import Wire

__all__ = ["Inference"]

EVEN: Final = 0.5
"""From which probability on it is the second class, where one number is told."""

_NONE: Final = Said("", came="a number beyond its classes")


class Tensor(msgspec.Struct):
    """Of a description, or of an answer."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] = []


class Inference:
    schema: ClassVar[Schema | None] = None
    classes: ClassVar[tuple[str, ...] | None] = None
    rows_at_once: ClassVar[int] = 64
    concurrent: ClassVar[int] = 2

    def __init__(self, wire: Wire, described: Any, question: Question) -> None:
        self._wire, self._question = wire, question
        try:
            self._inputs = msgspec.convert(described["inputs"], list[Tensor])
        except (KeyError, TypeError, msgspec.ValidationError):
            raise BadTeacher(f"{wire.place} does not describe a model of Open Inference v2") from None
        self._read = _columns(self._inputs, question, wire.place)
        self.reads: tuple[str, ...] | None = tuple(name for each in self._read for name in each)
        self.who = wire.place
        asked = (*(question.classes or ()), "chances" if question.ordered else "")
        self.identity = ("inference", wire.place, str(described.get("versions")), *asked)

    @staticmethod
    def fits(source: str) -> bool:
        return re.match(r"https?://[^?#]+/v2/models/[^/?#]+(/versions/[^/?#]+)?$", source) is not None

    @classmethod
    def open(cls, source: str, question: Question) -> "Inference":
        wire = Wire.to(source)
        return cls(wire, wire.get(wire.under("")), question)

    def ask(self, rows: Sequence[Row]) -> list[Said]:
        inputs = [
            {"name": each.name, "datatype": each.datatype,
             "data": [_value(each, row[name]) for row in rows for name in read],
             "shape": [len(rows)] if len(each.shape) == 1 else [len(rows), len(read)]}
            for each, read in zip(self._inputs, self._read, strict=True)
        ]  # fmt: skip
        found = self._wire.post(self._wire.under("/infer"), {"inputs": inputs})
        try:
            outputs = msgspec.convert(found["outputs"], list[Tensor])
            return self._said(outputs, len(rows))
        except (KeyError, TypeError, ValueError):
            raise Unanswered(
                f"{self._wire.place} gives neither labels nor numbers nor a score for each class",
                hint='name its classes in its order: `--classes a,b,c`, or `classes=("a", "b", "c")`',
            ) from None

    def _said(self, outputs: Sequence[Tensor], rows: int) -> list[Said]:
        """Of its labels, else of its scores, else of its numbers. Raises `ValueError`."""
        for each in outputs:
            if each.datatype == "BYTES" and len(each.data) == rows:
                beside = self._beside(outputs, rows)
                return [Said(text_of(value), chances=known) for value, known in zip(each.data, beside, strict=True)]
        for each in outputs:
            if (found := self._of_numbers(each, rows)) is not None:
                return found
        raise ValueError("no output")

    def _of_numbers(self, each: Tensor, rows: int) -> list[Said] | None:
        """Of scores for each class, of classes by their places, or of amounts; None where it is none of these."""
        classes, ordered = self._question.classes or (), self._question.ordered
        flat = [nan if value is None else float(value) for value in each.data]
        if ordered and len(flat) == rows * len(classes):
            return [_largest(part, classes) for part in _parts(flat, len(classes))]
        if len(flat) != rows:
            return None
        whole = each.datatype.startswith(("INT", "UINT"))
        if ordered and (whole or len(classes) == 2):
            placed = _placed if whole else _second
            return [placed(value, classes) if isfinite(value) else _NONE for value in flat]
        if classes and not whole:
            return None
        return [Said(text_of(value)) if classes and isfinite(value) else amount(value) for value in flat]

    def _beside(self, outputs: Sequence[Tensor], rows: int) -> list[dict[str, float]]:
        """The scores that stand beside its labels, where their order is known."""
        classes = self._question.classes or ()
        for each in outputs:
            if self._question.ordered and each.datatype.startswith("FP") and len(each.data) == rows * len(classes):
                flat = [nan if value is None else float(value) for value in each.data]
                return [likely(classes, part) for part in _parts(flat, len(classes))]
        return [{}] * rows


def _columns(inputs: Sequence[Tensor], question: Question, who: str) -> list[list[str]]:
    """Which columns each input reads. Raises `BadTeacher` where the rows have others."""
    names = [field.name for field in question.fields]
    found = [[each.name] for each in inputs]
    if len(inputs) == 1 and inputs[0].name not in names:
        [matrix] = inputs
        texts, width = matrix.datatype == "BYTES", matrix.shape[-1] if len(matrix.shape) > 1 else 1
        read = [each for each in question.fields if each.role == "input" and (texts or each.kind == "number")]
        if width not in (-1, len(read)):
            raise BadTeacher(f"{who} reads {width} columns, and the rows have {len(read)}")
        found = [[each.name for each in read]]
    if absent := sorted({name for each in found for name in each} - set(names)):
        raise BadTeacher(f"{who} reads `{absent[0]}`, which is no column", hint=f"they are {names[:20]}")
    return found


def _parts(flat: Sequence[float], width: int) -> list[Sequence[float]]:
    return [flat[at : at + width] for at in range(0, len(flat), width)]


def _largest(scores: Sequence[float], classes: Sequence[str]) -> Said:
    """Of none that is known the largest is not known either."""
    if not all(isfinite(score) for score in scores):
        return Said("", came="no score of some class")
    return Said(classes[scores.index(max(scores))], chances=likely(classes, scores))


def _second(score: float, classes: Sequence[str]) -> Said:
    """By the probability of the second of two."""
    return Said(classes[score >= EVEN], chances=likely(classes, (1 - score, score)))


def _placed(at: float, classes: Sequence[str]) -> Said:
    return Said(classes[int(at)]) if 0 <= at < len(classes) else _NONE


def _value(each: Tensor, value: Any) -> Any:
    if each.datatype == "BYTES":
        return "" if value is None else text_of(value)
    if each.datatype.startswith("FP"):
        return value
    return int(value) if value is not None and value == value else 0
