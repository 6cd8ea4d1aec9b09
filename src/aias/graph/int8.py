"""A transformer whose products are of whole numbers: a quarter of the bytes, and half the time or less.

    x ≈ (q - 128) s    q uint8, s = max|x| / 127 over one token      W ≈ V t    V int8, t = max|w| / 127 of each output
    x W ≈ s (q - 128) V t

(Jacob et al. 2018; each token by itself as Dettmers et al. 2022.) A token's scale hangs on that token alone: scales of
a whole tensor, as quantisers set them, make an answer depend on who shares its batch. Where all of a token is 0 its
scale is 0 too; whatever whole number 0 / 0 then becomes is multiplied by it.

The tables of words and positions are rounded by rows. Norms, attention's own products and the mean stay as they were:
they are small.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from aias.core.graph import GraphWriter
from aias.graph.transformer import Affine, Transformer, Weights, affine_of

STEPS: Final = 127
"""On either side of zero."""

ZERO: Final = 128
"""Of activations as uint8, which processors multiply with int8 faster than int8 with int8."""

_FLOAT: Final = 1
"""`TensorProto.FLOAT`, from the ONNX specification."""


@dataclass(frozen=True, eq=False)
class Int8:
    """Writes what `of` computes. `exact`: layers, by their places, that stay in float32."""

    of: Transformer
    exact: frozenset[int] = frozenset()

    @property
    def width(self) -> int:
        return self.of.width

    @property
    def length_max(self) -> int:
        return self.of.length_max

    def write(self, graph: GraphWriter, *, texts: int) -> str:
        """The vectors of each row's texts side by side: (rows, texts * width) float32."""

        def rows(table: Weights, places: str) -> str:
            return rows_of(graph, table, places)

        def affine(place: int, x: str, affine: Affine) -> str:
            return affine_of(graph, x, affine) if place in self.exact else _in_int8(graph, x, affine)

        return self.of.written(graph, texts=texts, rows=rows, affine=affine)


def rows_of(graph: GraphWriter, table: Weights, places: str) -> str:
    """Rows of a table that is rounded by rows: (tokens,) → (tokens, width)."""
    held, scale = rounded(table, axis=1)
    rows = graph.op("Cast", graph.op("Gather", graph.constant(held), places), to=_FLOAT)
    return graph.op("Mul", rows, graph.op("Gather", graph.constant(scale), places))


def _in_int8(graph: GraphWriter, x: str, affine: Affine) -> str:
    held, scale = rounded(affine.weight, axis=0)
    last = graph.constant(np.array([-1]))
    largest = graph.op("ReduceMax", graph.op("Abs", x), last, keepdims=0)  # (tokens,)
    own = graph.op("Mul", largest, graph.constant(np.array(1 / STEPS, np.float32)))
    zeros = graph.op("Expand", graph.constant(np.array([ZERO], np.uint8)), graph.op("Shape", own))
    whole = graph.op("QuantizeLinear", x, own, zeros, axis=0)
    sums = graph.op("MatMulInteger", whole, graph.constant(held), graph.constant(np.array(ZERO, np.uint8)))
    scaled = graph.op("Mul", graph.op("DequantizeLinear", sums, own, axis=0), graph.constant(scale[0]))
    return graph.op("Add", scaled, graph.constant(affine.bias))


def rounded(weights: Weights, *, axis: int) -> tuple[npt.NDArray[np.int8], Weights]:
    """Weights ≈ whole numbers * scale, where the scale is one for all along the axis."""
    largest = np.abs(weights).max(axis=axis, keepdims=True)
    scale = np.where(largest > 0, largest / STEPS, 1).astype(np.float32)
    return np.rint(weights / scale).astype(np.int8), scale
