"""A model that is loaded, tried out and measured: what stands behind an endpoint."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Final, Protocol

import msgspec
import numpy as np

from aias.artifact.manifest import Manifest
from aias.core.errors import Damaged
from aias.core.limits import ANSWER_BYTES_MAX, BODY_VALUES_MAX
from aias.core.schema import Field
from aias.encoders.rows import Encoded
from aias.runtimes.contract import Answers, Joining, Reading, Row, Vectors
from aias.runtimes.latency import longest_seconds
from aias.serving.batching.costs import Cost
from aias.serving.batching.tickets import Flow
from aias.serving.batching.tiers import Tier, runs_fast
from aias.serving.bounds import Bounds
from aias.serving.formats.json_answers import AnswerForm
from aias.serving.formats.json_vectors import VectorForm
from aias.serving.versions.residency import Resident

_serials: Final = count()
_TRIALS: Final = 5
_SEVERAL: Final = 8

FASTER: Final = 0.67
"""Of the time that a row took when it was loaded. What differs by less is the machine's own unrest."""

_GUESSES: Final[dict[str, object]] = {"number": 0.0, "category": None, "time": None, "text": "some text"}


class Answering(Protocol):
    """The part of a runtime that serving needs."""

    @property
    def manifest(self) -> Manifest: ...

    def predict(self, rows: Sequence[Row]) -> Answers: ...

    def predict_columns(self, columns: Mapping[str, Sequence[object]], rows: int) -> Answers: ...


@dataclass(frozen=True, slots=True)
class Model:
    """One version in memory. `version` is for people: `reviews@3`; `number` is its last part.

    `flow` is its place in the batcher, `joins` the runtime where it can answer rows of several callers at once, `reads`
    where it can read a row of JSON by itself. `read_seconds`: what it takes to understand a row among others.
    """

    version: str
    number: int
    runtime: Answering
    form: AnswerForm | VectorForm
    example: dict[str, object]
    example_bytes: int
    example_tokens: int
    row_seconds: float
    flow: Flow
    joins: Joining | None
    tier: Tier
    reads: Reading | None = None
    read_seconds: float = float("inf")
    resident: Resident = field(default_factory=Resident)
    serial: int = field(init=False, default_factory=_serials.__next__)
    """No other load has it."""

    @property
    def manifest(self) -> Manifest:
        return self.runtime.manifest

    def nothing(self) -> Answers:
        """The answers to no rows at all, which no graph is asked for."""
        if width := self.manifest.task.width:
            return Answers([], None, vectors=Vectors(np.empty((0, width), np.float32), [], []))
        classes = len(self.manifest.task.classes)
        return Answers([], np.empty((0, classes), np.float32) if classes else None)

    def seconds_for(self, body_bytes: int, rows: int = 1) -> float:
        """What a body of this size will take, and of at least so many rows, judged by the example row."""
        return self.row_seconds * max(1.0, body_bytes / self.example_bytes, rows)

    def seconds_to_read(self, body: bytes) -> float:
        """What understanding it takes; rows may be shorter than the example, but hardly cheaper."""
        return self.read_seconds * max(len(body) / self.example_bytes, body.count(b"{"))

    def seconds_to_read_bytes(self, body_bytes: int) -> float:
        """The same of a body of which only the size is known, as far as its like have been measured."""
        return 0.0 if math.isinf(self.read_seconds) else self.read_seconds * max(1.0, body_bytes / self.example_bytes)

    def units_of(self, body_bytes: int, encoded: Encoded | None = None) -> float:
        """How many example rows a body weighs: by its tokens where a graph reads those, else by its bytes, and then at
        least its rows."""
        if encoded is not None and encoded.token_mask is not None:
            return float(encoded.token_mask.sum()) / self.example_tokens
        return max(1 if encoded is None else encoded.rows, body_bytes / self.example_bytes)

    def ends_of(self, encoded: Encoded) -> list[float] | None:
        """The same up to the end of each row, where rows are weighed one by one."""
        if encoded.token_mask is None or encoded.rows == 1:
            return None
        tokens = encoded.token_mask.sum(axis=1).reshape(encoded.rows, -1).sum(axis=1)
        return list((tokens.cumsum() / self.example_tokens).tolist())

    def rows_within(self, rows_max: int) -> int:
        """How many rows a request may have: no more than so many, and fewer of very many fields or classes."""
        of_fields = BODY_VALUES_MAX // max(1, len(self.manifest.inputs))
        return max(1, min(rows_max, of_fields, ANSWER_BYTES_MAX // self.form.row_bytes))

    def runs_inline(self, body_bytes: int, bounds: Bounds, rows: int = 1) -> bool:
        """Whether it may run on the event loop: it is over before a hop to a thread would pay."""
        return self.tier.inline and self.seconds_for(body_bytes, rows) <= bounds.inline_seconds


def warm(runtime: Answering, *, version: str, number: int, bounds: Bounds | None = None) -> Model:
    """Answer the example row until the caches are warm, and note what one costs, and several together, at best."""
    bounds = bounds or Bounds()
    example = example_row(runtime.manifest.inputs)
    width = runtime.manifest.task.width
    form = VectorForm(width) if width else AnswerForm.of(runtime.manifest)
    row_seconds = _best(lambda: form.rows(runtime.predict([example])))
    joins = runtime if isinstance(runtime, Joining) else None
    reads = runtime if isinstance(runtime, Reading) else None
    cost, tokens = _measured(joins, example, row_seconds)
    flow = Flow(version, cost, rows_max=bounds.batch_rows, objective_seconds=bounds.objective_seconds)
    size = len(msgspec.json.encode([example]))
    # The example may go the shorter of two ways.
    longest = max(row_seconds, longest_seconds(runtime.manifest))
    tier = Tier(fast=runs_fast(longest, cost, bounds), bounds=bounds)
    read_seconds = float("inf") if joins is None else _seconds_to_read(joins, example)
    return Model(
        version, number, runtime, form, example, size, tokens, row_seconds, flow, joins, tier, reads, read_seconds
    )


def faster(model: Model, bounds: Bounds) -> Model | None:
    """The same model, as it is measured now, where a row takes much less than it did: it was loaded in a slow moment,
    by which alone it may have been sent to the threads."""
    if _best(lambda: model.form.rows(model.runtime.predict([model.example]))) > FASTER * model.row_seconds:
        return None
    now = warm(model.runtime, version=model.version, number=model.number, bounds=bounds)
    tier = now.tier if now.tier.fast and not model.tier.fast else model.tier
    return replace(model, row_seconds=now.row_seconds, read_seconds=now.read_seconds, tier=tier)


def _seconds_to_read(joins: Joining, example: dict[str, object]) -> float:
    body = msgspec.json.encode([example] * _SEVERAL)
    return _best(lambda: joins.encode(msgspec.json.decode(body))) / _SEVERAL


def _measured(joins: Joining | None, example: dict[str, object], row_seconds: float) -> tuple[Cost, int]:
    """What runs cost by their rows, and the tokens of the example; rows that cannot be joined cost the same each."""
    if joins is None:
        return Cost(max(row_seconds, 1e-9), 0.0), 1
    one, several = joins.encode([example]), joins.encode([example] * _SEVERAL)
    if joins.answer(several).rows != _SEVERAL:
        raise Damaged(f"the graph gave another number of answers than the {_SEVERAL} rows that it was asked")
    alone, together = _best(lambda: joins.answer(one)), _best(lambda: joins.answer(several))
    per_row = max((together - alone) / (_SEVERAL - 1), alone / 100, 1e-9)
    tokens = 1 if one.token_mask is None else max(1, int(one.token_mask.sum()))
    return Cost(min(per_row, alone), max(0.0, alone - per_row)), tokens


def _best(run: Callable[[], object]) -> float:
    """Seconds at best, of a few trials."""
    best = float("inf")
    for _ in range(_TRIALS):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return best


def example_row(inputs: Sequence[Field]) -> dict[str, object]:
    """A row as callers send it, from the values that came with the data."""
    return {field.name: _GUESSES[field.kind] if field.example is None else field.example for field in inputs}
