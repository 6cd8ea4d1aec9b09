"""A transformer whose products are of whole numbers: a quarter of the bytes, and a third of the time.

    x / c ≈ (q - z) s    q uint8, c of each input, s and z of the product     c W ≈ V t    V int8, t of each output
    x W ≈ s (q - z) V t

(Jacob et al. 2018.) What is multiplied has fixed scales, from the largest and smallest numbers that some texts show: no
answer hangs on who shares its batch, as with scales of whole tensors taken anew each time, and nothing is measured when
a text is read. In a few inputs numbers are a hundred times as large as in others; c makes them alike, and weights take
up what it divides by (Xiao et al. 2023). What is larger in another text is cut. Engines fuse what is written here,
rounding, product and bias, to one node of whole numbers and one that rounds.

The tables of words and positions are rounded by rows. Norms, attention's own products and the mean stay as they were:
they are small.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

import numpy as np
import numpy.typing as npt

from aias.core.graph import ROUNDED, GraphWriter
from aias.graph.reach import PRODUCTS, Reach
from aias.graph.transformer import Affine, Transformer, Weights, affine_of

STEPS: Final = 127
"""On either side of zero, of weights."""

UNSIGNED: Final = 255
"""Steps of activations: processors multiply uint8 with int8 faster than int8 with int8."""

TINY: Final = 1e-6
"""Stands for 0 where something is divided by it."""

ALIKE: Final = 0.8
"""How far inputs are made alike: at 0 they stay as they are, at 1 all reach as far, and weights take up everything. Of
0, .5, .7, .8 and .9 the nearest to float32 (docs/log.md)."""

_FLOAT: Final = 1
"""`TensorProto.FLOAT`, from the ONNX specification."""


@dataclass(frozen=True, eq=False)
class Int8:
    """Writes what `of` computes. `reach`: of each product, in their order (`graph.reach`); of more than `of` has the
    first count. `exact`: layers, by their places, that stay in float32."""

    of: Transformer
    reach: Sequence[Reach]
    exact: frozenset[int] = frozenset()

    @property
    def width(self) -> int:
        return self.of.width

    @property
    def length_max(self) -> int:
        return self.of.length_max

    def write(self, graph: GraphWriter, *, texts: int) -> str:
        """The vectors of each row's texts side by side: (rows, texts * width) float32."""
        places = count()
        if len(self.exact) < len(self.of.layers):
            graph.note(ROUNDED)

        def rows(table: Weights, places: str) -> str:
            return rows_of(graph, table, places)

        def affine(layer: int, x: str, affine: Affine) -> str:
            reach = self.reach[next(places)]
            return affine_of(graph, x, affine) if layer in self.exact else _in_int8(graph, x, affine, reach)

        assert len(self.reach) >= PRODUCTS * len(self.of.layers)
        return self.of.written(graph, texts=texts, rows=rows, affine=affine)


def rows_of(graph: GraphWriter, table: Weights, places: str) -> str:
    """Rows of a table that is rounded by rows: (tokens,) → (tokens, width)."""
    held, scale = rounded(table, axis=1)
    rows = graph.op("Cast", graph.op("Gather", graph.constant(held), places), to=_FLOAT)
    return graph.op("Mul", rows, graph.op("Gather", graph.constant(scale), places))


def _in_int8(graph: GraphWriter, x: str, affine: Affine, reach: Reach) -> str:
    each = _alike(affine.weight, reach)
    held, scales = rounded(affine.weight * each[:, None], axis=0)
    step, zero = _steps(reach.low / each, reach.high / each)
    fixed = graph.constant(np.array(step)), graph.constant(np.array(zero))
    whole = graph.op("QuantizeLinear", graph.op("Mul", x, graph.constant(1 / each)), *fixed)
    # ONNX Runtime fuses only what has a zero, be it 0.
    zeros = graph.constant(np.zeros_like(held[0]))
    weight = graph.op("DequantizeLinear", graph.constant(held), graph.constant(scales[0]), zeros, axis=1)
    sums = step * scales[0]
    added = graph.constant(np.rint(affine.bias / sums).astype(np.int32))
    bias = graph.op("DequantizeLinear", added, graph.constant(sums), axis=0)
    return graph.op("Gemm", graph.op("DequantizeLinear", whole, *fixed), weight, bias)


def _alike(weight: Weights, reach: Reach) -> Weights:
    """By what each input is divided: (inputs,)."""
    far = np.maximum(np.maximum(reach.high, -reach.low), TINY)
    heavy = np.maximum(np.abs(weight).max(axis=1), TINY)
    return np.asarray(far**ALIKE / heavy ** (1 - ALIKE), np.float32)


def _steps(low: Weights, high: Weights) -> tuple[np.float32, np.uint8]:
    """The step from a whole number to the next, and the one that stands for 0."""
    lowest, highest = min(float(low.min()), 0.0), max(float(high.max()), 0.0)
    step = np.float32(max(highest - lowest, TINY) / UNSIGNED)
    return step, np.uint8(round(-lowest / step))


def rounded(weights: Weights, *, axis: int) -> tuple[npt.NDArray[np.int8], Weights]:
    """Weights ≈ whole numbers * scale, where the scale is one for all along the axis."""
    largest = np.abs(weights).max(axis=axis, keepdims=True)
    scale = np.where(largest > 0, largest / STEPS, 1).astype(np.float32)
    return np.rint(weights / scale).astype(np.int8), scale
