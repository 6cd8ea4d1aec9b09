"""A transformer whose matrices are kept in four bits: a sixth of their bytes, computed in float32 as before.

    W ≈ V t        V int4, t = max|w| / 7 of each 32 numbers below each other (in blocks, as GGML has it)

ONNX Runtime unpacks blocks while it multiplies (DequantizeLinear with `block_size`, operator set 21, becomes its
MatMulNBits). That saves memory traffic and no arithmetic: of use for large encoders and few tokens. Tables are int8.
"""

from dataclasses import dataclass
from typing import Any, Final

import ml_dtypes
import numpy as np

from aias.core.graph import GraphWriter
from aias.graph.int8 import rows_of
from aias.graph.transformer import Affine, Transformer, Weights

BLOCK: Final = 32
MOST: Final = 7
NUMBERS_MIN: Final = 4_096
"""Of a matrix; smaller ones save nothing that could be measured."""


@dataclass(frozen=True, eq=False)
class Int4:
    """Writes what `of` computes."""

    of: Transformer

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

        def affine(_place: int, x: str, affine: Affine) -> str:
            return graph.op("Add", graph.op("MatMul", x, matrix(graph, affine.weight)), graph.constant(affine.bias))

        return self.of.written(graph, texts=texts, rows=rows, affine=affine)


def matrix(graph: GraphWriter, weights: Weights) -> str:
    """Packed, where it can be."""
    if not can_be_packed(weights):
        return graph.constant(weights)
    whole, scale = packed(weights)
    return graph.op("DequantizeLinear", graph.constant(whole), graph.constant(scale), axis=0, block_size=BLOCK)


def can_be_packed(weights: Any) -> bool:
    """Whether it is a matrix of whole blocks, and large enough."""
    held = np.asarray(weights)
    return held.dtype == np.float32 and held.ndim == 2 and not len(held) % BLOCK and held.size >= NUMBERS_MIN


def packed(weights: Any) -> tuple[Any, Any]:
    """Whole numbers of four bits, (inputs, outputs), and their scales, (inputs / 32, outputs)."""
    blocks = weights.reshape(-1, BLOCK, weights.shape[1])
    largest = np.abs(blocks).max(axis=1)
    scale = np.where(largest > 0, largest / MOST, 1).astype(np.float32)
    whole = np.clip(np.rint(blocks / scale[:, None]), -MOST, MOST)
    return whole.reshape(weights.shape).astype(ml_dtypes.int4), scale
