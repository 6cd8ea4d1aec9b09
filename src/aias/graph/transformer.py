"""A transformer encoder as nodes of the graph: tokens → one vector for each text.

    x = LayerNorm(word + position + type)
    x = LayerNorm(x + softmax(Q Kᵀ / √d + mask) V O)      for each layer, Q, K, V, O linear in x
    x = LayerNorm(x + W₂ act(W₁ x))
    vector = the mean of x over the tokens, or x of the first token; of length 1 where the encoder says so

(Devlin et al. 2019; Reimers and Gurevych 2019.) All in float32, as the weights are. A token that is only padding
weighs exactly 0, so a text's vector does not depend on its neighbours.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from aias.core.graph import GraphWriter

Weights = npt.NDArray[np.float32]

MASKED: Final = -1e9
"""Added where a token is only padding: softmax makes exactly 0 of it, and no infinity meets another."""

NORM_MIN: Final = 1e-12

_FLOAT: Final = 1
"""`TensorProto.FLOAT`, from the ONNX specification."""


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """`x weight + bias`."""

    weight: Weights  # (inputs, outputs)
    bias: Weights  # (outputs,)


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    scale: Weights  # (width,)
    bias: Weights  # (width,)


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    query: Affine
    key: Affine
    value: Affine
    output: Affine
    attention_norm: Norm
    wider: Affine
    narrower: Affine
    norm: Norm


@dataclass(frozen=True, slots=True, eq=False)
class Transformer:
    """`positions` begin with the first token's, and hold the token type that all tokens have."""

    words: Weights  # (vocabulary, width)
    positions: Weights  # (length_max, width)
    norm: Norm
    layers: tuple[Layer, ...]
    heads: int
    epsilon: float
    activation: Literal["gelu", "gelu_tanh", "relu"]
    pooling: Literal["mean", "cls"]
    normalised: bool

    @property
    def width(self) -> int:
        return int(self.words.shape[1])

    @property
    def length_max(self) -> int:
        return len(self.positions)

    def write(self, graph: GraphWriter, *, texts: int) -> str:
        """The vectors of each row's texts side by side: (rows, texts * width) float32."""
        x = self._embedded(graph)
        mask = graph.op("Cast", graph.token_mask, to=_FLOAT)  # (texts, length)
        missing = graph.op("Sub", _float(graph, 1.0), mask)
        bias = graph.op("Mul", graph.op("Unsqueeze", missing, _ints(graph, 1, 2)), _float(graph, MASKED))
        for layer in self.layers:
            x = self._norm(graph, graph.op("Add", x, self._attention(graph, layer, x, bias)), layer.attention_norm)
            x = self._norm(graph, graph.op("Add", x, self._wide(graph, layer, x)), layer.norm)
        pooled = self._pooled(graph, x, mask)
        rows = graph.op("Shape", graph.columns, start=0, end=1)
        return graph.op("Reshape", pooled, graph.op("Concat", rows, _ints(graph, texts * self.width), axis=0))

    def _embedded(self, graph: GraphWriter) -> str:
        length = graph.op("Shape", graph.tokens, start=1, end=2)
        positions = graph.op("Slice", graph.constant(self.positions), _ints(graph, 0), length, _ints(graph, 0))
        words = graph.op("Gather", graph.constant(self.words), graph.tokens)
        return self._norm(graph, graph.op("Add", words, positions), self.norm)

    def _attention(self, graph: GraphWriter, layer: Layer, x: str, bias: str) -> str:
        """(texts, length, width), by way of (texts, heads, length, width / heads)."""
        size = self.width // self.heads
        narrow = np.float32(1 / np.sqrt(size))
        query = self._heads(graph, x, Affine(layer.query.weight * narrow, layer.query.bias * narrow), (0, 2, 1, 3))
        key = self._heads(graph, x, layer.key, (0, 2, 3, 1))
        value = self._heads(graph, x, layer.value, (0, 2, 1, 3))
        shares = graph.op("Softmax", graph.op("Add", graph.op("MatMul", query, key), bias), axis=-1)
        mixed = graph.op("Transpose", graph.op("MatMul", shares, value), perm=[0, 2, 1, 3])
        return _affine(graph, graph.op("Reshape", mixed, _ints(graph, 0, 0, self.width)), layer.output)

    def _heads(self, graph: GraphWriter, x: str, affine: Affine, order: tuple[int, ...]) -> str:
        shape = _ints(graph, 0, 0, self.heads, self.width // self.heads)
        return graph.op("Transpose", graph.op("Reshape", _affine(graph, x, affine), shape), perm=list(order))

    def _wide(self, graph: GraphWriter, layer: Layer, x: str) -> str:
        wide = _affine(graph, x, layer.wider)
        if self.activation == "relu":
            active = graph.op("Relu", wide)
        else:
            active = graph.op("Gelu", wide, approximate="none" if self.activation == "gelu" else "tanh")
        return _affine(graph, active, layer.narrower)

    def _norm(self, graph: GraphWriter, x: str, norm: Norm) -> str:
        scale, bias = graph.constant(norm.scale), graph.constant(norm.bias)
        return graph.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=self.epsilon)

    def _pooled(self, graph: GraphWriter, x: str, mask: str) -> str:
        """(texts, width)."""
        if self.pooling == "cls":
            pooled = graph.op("Squeeze", graph.op("Slice", x, *(_ints(graph, i) for i in (0, 1, 1))), _ints(graph, 1))
        else:
            shares = graph.op("Div", mask, graph.op("ReduceSum", mask, _ints(graph, 1), keepdims=1))
            pooled = graph.op("MatMul", graph.op("Unsqueeze", shares, _ints(graph, 1)), x)  # (texts, 1, width)
            pooled = graph.op("Squeeze", pooled, _ints(graph, 1))
        if not self.normalised:
            return pooled
        length = graph.op("ReduceL2", pooled, _ints(graph, 1), keepdims=1)
        return graph.op("Div", pooled, graph.op("Max", length, _float(graph, NORM_MIN)))


def _affine(graph: GraphWriter, x: str, affine: Affine) -> str:
    return graph.op("Add", graph.op("MatMul", x, graph.constant(affine.weight)), graph.constant(affine.bias))


def _ints(graph: GraphWriter, *values: Any) -> str:
    return graph.constant(np.array(values, np.int64))


def _float(graph: GraphWriter, value: float) -> str:
    return graph.constant(np.array(value, np.float32))
