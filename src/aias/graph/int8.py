"""A transformer whose products are of whole numbers: a quarter of the bytes, and half the time or less.

    x ≈ (q - 128) s    q uint8, s = max|x| / 127 over one token      W ≈ V t    V int8, t = max|w| / 127 of each output
    x W ≈ s (q - 128) V t

(Jacob et al. 2018; each token by itself as Dettmers et al. 2022.) A token's scale hangs on that token alone: scales of
a whole tensor, as quantisers set them, make an answer depend on who shares its batch. Where all of a token is 0 its
scale is 0 too; whatever whole number 0 / 0 then becomes is multiplied by it.

The words' table is rounded by rows. Norms, attention's own products and the mean stay as they were: they are small.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
import numpy.typing as npt

from aias.core.graph import GraphWriter
from aias.graph.transformer import Affine, Layer, Transformer, Weights

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
        return _Writing(self.of, self.exact, graph).vectors(texts)


@dataclass(eq=False)
class _Writing:
    """Tokens are rows between the attentions: (texts * length, width)."""

    of: Transformer
    exact: frozenset[int]
    graph: GraphWriter
    _whole: bool = False
    """Whether the layer that is being written stays in float32."""

    def vectors(self, texts: int) -> str:
        of, graph = self.of, self.graph
        x = self._flat(of.embedded(graph, self._words()))
        mask = of.mask(graph)
        bias = of.missing(graph, mask)
        for place, layer in enumerate(of.layers):
            self._whole = place in self.exact
            mixed = self._affine(self._attention(layer, x, bias), layer.output)
            x = of.norm_of(graph, graph.op("Add", x, mixed), layer.attention_norm)
            wide = self._affine(of.active(graph, self._affine(x, layer.wider)), layer.narrower)
            x = of.norm_of(graph, graph.op("Add", x, wide), layer.norm)
        return of.pooled(graph, graph.op("Reshape", x, self._shape(of.width)), mask, texts=texts)

    def _words(self) -> str:
        graph = self.graph
        held, scale = rounded(self.of.words, axis=1)
        words = graph.op("Cast", graph.op("Gather", graph.constant(held), graph.tokens), to=_FLOAT)
        return graph.op("Mul", words, graph.op("Gather", graph.constant(scale), graph.tokens))

    def _attention(self, layer: Layer, x: str, bias: str) -> str:
        """What the heads make of the tokens, (tokens, width); query, key and value by one product."""
        of, graph = self.of, self.graph
        query, key, value = of.query(layer), layer.key, layer.value
        together = Affine(
            np.hstack([query.weight, key.weight, value.weight]), np.concatenate([query.bias, key.bias, value.bias])
        )
        parts = graph.ops("Split", self._affine(x, together), outputs=3, axis=-1, num_outputs=3)
        shape = self._shape(of.heads, of.width // of.heads)
        return self._flat(of.mixed(graph, (graph.op("Reshape", each, shape) for each in parts), bias))

    def _affine(self, x: str, affine: Affine) -> str:
        graph = self.graph
        if self._whole:
            return graph.op("Add", graph.op("MatMul", x, graph.constant(affine.weight)), graph.constant(affine.bias))
        held, scale = rounded(affine.weight, axis=0)
        largest = graph.op("ReduceMax", graph.op("Abs", x), self._ints(-1), keepdims=0)  # (tokens,)
        own = graph.op("Mul", largest, graph.constant(np.array(1 / STEPS, np.float32)))
        whole = graph.op("QuantizeLinear", x, own, self._zeros, axis=0)
        sums = graph.op("MatMulInteger", whole, graph.constant(held), graph.constant(np.array(ZERO, np.uint8)))
        scaled = graph.op("Mul", graph.op("DequantizeLinear", sums, own, axis=0), graph.constant(scale[0]))
        return graph.op("Add", scaled, graph.constant(affine.bias))

    @cached_property
    def _zeros(self) -> str:
        """The zero of each token: (tokens,)."""
        count = self.graph.op("Size", self.graph.tokens)
        shape = self.graph.op("Unsqueeze", count, self._ints(0))
        return self.graph.op("Expand", self.graph.constant(np.array([ZERO], np.uint8)), shape)

    def _flat(self, x: str) -> str:
        return self.graph.op("Reshape", x, self._ints(-1, self.of.width))

    def _shape(self, *more: int) -> str:
        """(texts, length, more)."""
        return self.graph.op("Concat", self.graph.op("Shape", self.graph.tokens), self._ints(*more), axis=0)

    def _ints(self, *values: int) -> str:
        return self.graph.constant(np.array(values, np.int64))


def rounded(weights: Weights, *, axis: int) -> tuple[npt.NDArray[np.int8], Weights]:
    """Weights ≈ whole numbers * scale, where the scale is one for all along the axis."""
    largest = np.abs(weights).max(axis=axis, keepdims=True)
    scale = np.where(largest > 0, largest / STEPS, 1).astype(np.float32)
    return np.rint(weights / scale).astype(np.int8), scale
