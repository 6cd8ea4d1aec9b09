"""How far the numbers reach that a transformer multiplies, as some texts show: of each product, of each of its inputs.

Products stand in the order in which they are computed, four in a layer: query, key and value together, what attention
gives, and the two of the network behind it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from aias.core.graph import GraphWriter
from aias.encoders.rows import Encoded
from aias.graph.builder import Builder
from aias.graph.transformer import Affine, Transformer, Weights, affine_of
from aias.runtimes.onnxruntime import Session

PRODUCTS: Final = 4
"""Of a layer."""


@dataclass(frozen=True, slots=True, eq=False)
class ActivationRange:
    low: Weights  # (inputs,)
    high: Weights  # (inputs,)


def activation_ranges(whole: Transformer, encoded: Encoded) -> list[ActivationRange]:
    """`encoded`: some rows with their tokens. 0 is always within reach."""
    assert encoded.tokens is not None
    assert encoded.token_mask is not None
    widths: list[int] = []

    def write(graph: GraphWriter) -> str:
        found: list[str] = []

        def affine(_layer: int, x: str, affine: Affine) -> str:
            first = graph.constant(np.array([0]))
            found.extend(graph.op(kind, x, first, keepdims=0) for kind in ("ReduceMin", "ReduceMax"))
            widths.append(len(affine.weight))
            return affine_of(graph, x, affine)

        def rows(table: Weights, places: str) -> str:
            return graph.op("Gather", graph.constant(table), places)

        whole.written(graph, texts=1, rows=rows, affine=affine)
        return graph.op("Unsqueeze", graph.op("Concat", *found, axis=0), graph.constant(np.array([0])))

    builder = Builder(width=0, texts=0, sentences=write)
    session, nothing = Session(builder.finish_vectors(builder.vectors), output="vectors"), np.zeros(0, np.int64)
    shown = np.zeros((1, 2 * sum(widths)))  # (texts, lowest and highest of the inputs of each product)
    for tokens, mask in zip(encoded.tokens, encoded.token_mask, strict=True):
        if mask.any():
            text = tokens[None, : mask.sum()], mask[None, : mask.sum()]
            one = session.run(Encoded(np.empty((1, 0)), nothing, nothing[:, None], 1, *text))
            shown = np.vstack([shown, one])
    parts = np.cumsum(np.repeat(widths, 2))[:-1]
    lowest, highest = (np.split(each.astype(np.float32), parts) for each in (shown.min(axis=0), shown.max(axis=0)))
    return [ActivationRange(low, high) for low, high in zip(lowest[::2], highest[1::2], strict=True)]
