"""What every row costs whatever the model: reading it, and one call of the runtime."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np

from aias.artifact.manifest import Manifest
from aias.core.graph import GraphWriter
from aias.encoders.rows import RowEncoder
from aias.graph.compile import compile_graph
from aias.runtimes.latency import median_us
from aias.runtimes.onnxruntime import OnnxRuntime

SHARED_CALL: Final = 0.5
"""The part of a call that members of one graph pay once: two to five small ones together take .67 to .93 of what they
take by themselves."""


@dataclass(frozen=True, slots=True)
class BaseCost:
    """Microseconds of one row: `encode_us` from a dict to numbers, `call_us` from there to the answer of the smallest
    model there is, on this machine as busy as it is."""

    encode_us: float
    call_us: float

    @property
    def shared_us(self) -> float:
        """What the members of an ensemble pay together."""
        return self.encode_us + SHARED_CALL * self.call_us


def base_cost(encoder: RowEncoder, draft: Manifest, rows: Sequence[Mapping[str, object]]) -> BaseCost:
    encoder = encoder.with_subwords(None)
    graph = compile_graph(_Smallest(draft.task.outputs), encoder.layout, classes=draft.task.classes)
    runtime, spent = OnnxRuntime(draft, encoder, graph), []
    for row in rows:
        began = perf_counter()
        encoder.one(row)
        spent.append(perf_counter() - began)
    encode_us = 1e6 * float(np.median(spent))
    return BaseCost(encode_us, max(0.0, median_us(runtime, rows) - encode_us))


@dataclass(frozen=True, slots=True)
class _Smallest:
    """A linear model that has learned nothing."""

    outputs: int

    def export(self, graph: GraphWriter) -> str:
        weights = graph.constant(np.zeros((graph.columns_width, self.outputs)))
        chances = graph.constant(np.full((1, self.outputs), 1 / self.outputs))
        return graph.op("Add", graph.op("MatMul", graph.columns, weights), chances)
