"""A model that is loaded, tried out and measured: what stands behind an endpoint."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec
import numpy as np

from aias.artifact.manifest import Manifest
from aias.core.schema import Field
from aias.runtimes.contract import Answers, Row, Vectors
from aias.serving.bounds import Bounds
from aias.serving.forms import AnswerForm
from aias.serving.vectors import VectorForm

_TRIALS: Final = 5
_GUESSES: Final[dict[str, object]] = {"number": 0.0, "category": None, "time": None, "text": "some text"}


class Answering(Protocol):
    """The part of a runtime that serving needs."""

    @property
    def manifest(self) -> Manifest: ...

    def predict(self, rows: Sequence[Row]) -> Answers: ...

    def predict_columns(self, columns: Mapping[str, Sequence[object]], rows: int) -> Answers: ...


@dataclass(frozen=True, slots=True)
class Model:
    """One version in memory. `version` is for people: `reviews@3`; `number` is its last part."""

    version: str
    number: int
    runtime: Answering
    form: AnswerForm | VectorForm
    example: dict[str, object]
    example_bytes: int
    row_seconds: float

    @property
    def manifest(self) -> Manifest:
        return self.runtime.manifest

    def nothing(self) -> Answers:
        """The answers to no rows at all, which no graph is asked for."""
        if width := self.manifest.task.width:
            return Answers([], None, vectors=Vectors(np.empty((0, width), np.float32), [], []))
        classes = len(self.manifest.task.classes)
        return Answers([], np.empty((0, classes), np.float32) if classes else None)

    def seconds_for(self, body_bytes: int) -> float:
        """What a body of this size will take, judged by the example row."""
        return self.row_seconds * max(1.0, body_bytes / self.example_bytes)

    def runs_inline(self, body_bytes: int, bounds: Bounds) -> bool:
        """Whether it may run on the event loop: it is over before a hop to a thread would pay."""
        return self.row_seconds <= bounds.inline_row_seconds and self.seconds_for(body_bytes) <= bounds.inline_seconds


def warm(runtime: Answering, *, version: str, number: int) -> Model:
    """Answer the example row until the caches are warm, and note what it costs at best."""
    example = example_row(runtime.manifest.inputs)
    form = VectorForm() if runtime.manifest.task.width else AnswerForm.of(runtime.manifest)
    row_seconds = float("inf")
    for _ in range(_TRIALS):
        started = time.perf_counter()
        form.rows(runtime.predict([example]))
        row_seconds = min(row_seconds, time.perf_counter() - started)
    size = len(msgspec.json.encode([example]))
    return Model(version, number, runtime, form, example, size, row_seconds)


def example_row(inputs: Sequence[Field]) -> dict[str, object]:
    """A row as callers send it, from the values that came with the data."""
    return {field.name: _GUESSES[field.kind] if field.example is None else field.example for field in inputs}
