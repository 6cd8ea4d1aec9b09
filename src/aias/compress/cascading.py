"""A cascade, two models as one: a small one answers every row and defers those of which it is unsure to a large one.

    small model's scores    → sure:    they stay
                            → unsure:  the large model's scores instead, computed for these rows alone

The deferral rule is a range of the small model's own scores, so that a row is deferred alone as in any batch: with two
classes the probability of the second lies between two limits; with more, the lead of the best class is below one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from aias.compress.context import Context
from aias.compress.techniques.contract import Made
from aias.core.arrays import Flags, Floats, Ints
from aias.core.errors import UserError
from aias.core.evenly import evenly
from aias.core.graph import GraphWriter
from aias.encoders.rows import Encoded
from aias.graph.builder import Builder
from aias.graph.sentences import SentenceEncoder
from aias.training.pipeline import Pipeline

Rows = Sequence[Mapping[str, object]]

ALIKE: Final = 1e-6
"""No limit lies between scores that are nearer to each other: engines add in different orders, and one would defer a
row that the other keeps."""


TIMED_ROWS: Final = 60
LOOKED_THROUGH_MAX: Final = 2_000
"""Rows searched for some that are deferred."""


def usual(context: Context) -> Rows:
    """Rows to time by, spread over the table: a file may begin with its shortest texts."""
    dataset, names = context.prepared.dataset, [each.name for each in context.encoder.fields]
    found: Rows = dataset.take(evenly(dataset.rows, TIMED_ROWS)).frame.select(names).to_dicts()
    return found


def fair(context: Context, made: Made, sent: float, rows: Rows) -> Rows:
    """Rows to time by: the same, unless some are deferred; then as large a share of these, evenly spread, as in rows
    that it was not fitted on. A model is surer of rows that it was fitted on."""
    if not sent:
        return rows
    places = context.some(LOOKED_THROUGH_MAX)
    goes = made.pipeline.sends(context.encoded(places, made.encoder, made.embedding))  # type: ignore[attr-defined]
    frame = context.prepared.dataset.take(places).frame.select([each.name for each in made.encoder.fields])
    long, short = np.flatnonzero(goes), np.flatnonzero(~goes)
    if not len(long) or not len(short):
        raise UserError("of the rows that are here all take one way, and what the other takes cannot be timed")
    is_long = going_on(sent)
    before: Ints = np.cumsum(is_long) - is_long  # that go on, of those above each place
    chosen = np.where(is_long, long[before % len(long)], short[(np.arange(len(is_long)) - before) % len(short)])
    found: Rows = frame[chosen].to_dicts()
    return found


def going_on(sent: float) -> Flags:
    """Of rows to time by, which ones go on: that share of them and, of the first few, no smaller one, since of a slow
    model no more are asked. With the first at the 25th place a twentieth of the time seemed to be all it takes."""
    count = max(1, round(sent * TIMED_ROWS))
    rows = max(count, int(count / sent + 1e-9))
    before = -(-np.arange(rows + 1) * count // rows)  # that go on, up to each place
    return np.asarray(np.diff(before) > 0)


def deferral_score(scores: Floats) -> Floats:
    """What decides on deferral: the probability of the second of two classes, else the lead of the best: (rows,)."""
    if scores.shape[1] == 2:
        return np.asarray(scores[:, 1])
    best = np.sort(scores, axis=1)[:, -2:]
    return np.asarray(best[:, 1] - best[:, 0])


@dataclass(frozen=True, slots=True)
class DeferralRule:
    """Defers rows whose `deferral_score` is above `low` and below `high`."""

    low: float
    high: float

    def of(self, scores: Floats) -> Any:
        found = deferral_score(scores)
        return (found > self.low) & (found < self.high)

    def export(self, graph: GraphWriter, scores: str, *, outputs: int) -> str:
        """`of` in the graph: (rows,) bool."""
        found = _second(graph, scores) if outputs == 2 else _lead(graph, scores)
        below = graph.op("Less", found, graph.constant(np.float64(self.high)))
        if outputs > 2:  # no lead is below zero
            return below
        return graph.op("And", below, graph.op("Greater", found, graph.constant(np.float64(self.low))))


@dataclass(frozen=True, eq=False)
class Cascade:
    """A pipeline. `reads`: what makes the vectors that the large one reads, if it reads any; `split`: where both read
    some, how wide the small one's are, which stand before them."""

    small: Pipeline
    large: Pipeline
    rule: DeferralRule
    outputs: int
    reads: SentenceEncoder | None = None
    split: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reads_tokens(self) -> bool:
        return self.reads is not None

    def scores(self, encoded: Encoded) -> Floats:
        found = np.array(self.small.scores(self._part(encoded, before=True)), np.float64)
        sent = np.flatnonzero(self.rule.of(found))
        if len(sent):
            found[sent] = self.large.scores(self._part(encoded, before=False).take(sent))
        return found

    def sends(self, encoded: Encoded) -> Any:
        """Which rows go on to the large one: (rows,) bool."""
        return self.rule.of(np.asarray(self.small.scores(self._part(encoded, before=True))))

    def export(self, graph: GraphWriter) -> str:
        assert isinstance(graph, Builder)
        said = self.small.export(graph)
        chosen = self.rule.export(graph, said, outputs=self.outputs)
        return graph.for_some(
            chosen, self.large.export, others=said, sentences=self.reads.write if self.reads else None
        )

    def state(self) -> Mapping[str, Any]:
        raise NotImplementedError("two models are kept as both of them")

    def _part(self, encoded: Encoded, *, before: bool) -> Encoded:
        """The rows with the vectors of one of the two."""
        if self.split is None or encoded.vectors is None:
            return encoded
        first, second = np.split(encoded.vectors, [self.split], axis=1)
        return replace(encoded, vectors=first if before else second)


def _second(graph: GraphWriter, scores: str) -> str:
    one = graph.constant(np.array([1]))
    return graph.op("Squeeze", graph.op("Gather", scores, one, axis=1), one)


def _lead(graph: GraphWriter, scores: str) -> str:
    best, _ = graph.ops("TopK", scores, graph.constant(np.array([2])), outputs=2, axis=1)
    return graph.op("ReduceSum", graph.op("Mul", best, graph.constant(np.array([[1.0, -1.0]]))),
                    graph.constant(np.array([1])), keepdims=0)  # fmt: skip
