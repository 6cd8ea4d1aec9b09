"""A transformer encoder as nodes of the graph: tokens → one vector for each text.

    x = LayerNorm(word + position + type)
    x = LayerNorm(x + softmax(Q Kᵀ / √d + mask) V O)      for each layer, Q, K, V, O linear in x
    x = LayerNorm(x + W₂ act(W₁ x))
    vector = the mean of x over the tokens, or x of the first token; of length 1 where the encoder says so

(Devlin et al. 2019; Reimers and Gurevych 2019.) All in float32, as the weights are. A token that is only padding
weighs exactly 0, so a text's vector does not depend on its neighbours.
"""

from collections.abc import Iterable
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
        return self.layered(graph, graph.op("Gather", graph.constant(self.words), graph.tokens), texts=texts)

    def layered(self, graph: GraphWriter, words: str, *, texts: int) -> str:
        """The same of the tokens' rows of the words' table: (texts, length, width)."""
        x = self.embedded(graph, words)
        mask = self.mask(graph)
        bias = self.missing(graph, mask)
        for layer in self.layers:
            x = self.norm_of(graph, graph.op("Add", x, self._attention(graph, layer, x, bias)), layer.attention_norm)
            wide = _affine(graph, self.active(graph, _affine(graph, x, layer.wider)), layer.narrower)
            x = self.norm_of(graph, graph.op("Add", x, wide), layer.norm)
        return self.pooled(graph, x, mask, texts=texts)

    # Its steps, for whoever writes some of them otherwise

    def embedded(self, graph: GraphWriter, words: str) -> str:
        """From the words' rows to what the first layer reads: (texts, length, width)."""
        length = graph.op("Shape", graph.tokens, start=1, end=2)
        positions = graph.op("Slice", graph.constant(self.positions), _ints(graph, 0), length, _ints(graph, 0))
        return self.norm_of(graph, graph.op("Add", words, positions), self.norm)

    def mask(self, graph: GraphWriter) -> str:
        """1 where a token is: (texts, length)."""
        return graph.op("Cast", graph.token_mask, to=_FLOAT)

    def missing(self, graph: GraphWriter, mask: str) -> str:
        """What is added to the shares of tokens: (texts, 1, 1, length)."""
        missing = graph.op("Sub", _float(graph, 1.0), mask)
        return graph.op("Mul", graph.op("Unsqueeze", missing, _ints(graph, 1, 2)), _float(graph, MASKED))

    def query(self, layer: Layer) -> Affine:
        """With the root of a head's width in it."""
        narrow = np.float32(1 / np.sqrt(self.width // self.heads))
        return Affine(layer.query.weight * narrow, layer.query.bias * narrow)

    def mixed(self, graph: GraphWriter, parts: Iterable[str], bias: str) -> str:
        """Of query, key and value, (texts, length, heads, width / heads), the values by their shares: the same."""
        query, key, value = parts
        query, value = (graph.op("Transpose", each, perm=[0, 2, 1, 3]) for each in (query, value))
        products = graph.op("MatMul", query, graph.op("Transpose", key, perm=[0, 2, 3, 1]))
        shares = graph.op("Softmax", graph.op("Add", products, bias), axis=-1)
        return graph.op("Transpose", graph.op("MatMul", shares, value), perm=[0, 2, 1, 3])

    def active(self, graph: GraphWriter, wide: str) -> str:
        if self.activation == "relu":
            return graph.op("Relu", wide)
        return graph.op("Gelu", wide, approximate="none" if self.activation == "gelu" else "tanh")

    def norm_of(self, graph: GraphWriter, x: str, norm: Norm) -> str:
        scale, bias = graph.constant(norm.scale), graph.constant(norm.bias)
        return graph.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=self.epsilon)

    def pooled(self, graph: GraphWriter, x: str, mask: str, *, texts: int) -> str:
        """From the last layer to the vectors of each row's texts side by side: (rows, texts * width)."""
        return side_by_side(graph, self._pooled(graph, x, mask), texts=texts, width=self.width)

    def _attention(self, graph: GraphWriter, layer: Layer, x: str, bias: str) -> str:
        """(texts, length, width), by way of (texts, heads, length, width / heads)."""
        shape = _ints(graph, 0, 0, self.heads, self.width // self.heads)
        heads = (
            graph.op("Reshape", _affine(graph, x, each), shape) for each in (self.query(layer), layer.key, layer.value)
        )
        mixed = graph.op("Reshape", self.mixed(graph, heads, bias), _ints(graph, 0, 0, self.width))
        return _affine(graph, mixed, layer.output)

    def _pooled(self, graph: GraphWriter, x: str, mask: str) -> str:
        """(texts, width)."""
        if self.pooling == "cls":
            pooled = graph.op("Squeeze", graph.op("Slice", x, *(_ints(graph, i) for i in (0, 1, 1))), _ints(graph, 1))
        else:
            pooled = mean_of(graph, x, mask)
        return of_length_one(graph, pooled) if self.normalised else pooled


def mean_of(graph: GraphWriter, x: str, mask: str) -> str:
    """Of the tokens that are there: (texts, length, width), (texts, length) → (texts, width)."""
    shares = graph.op("Div", mask, graph.op("ReduceSum", mask, _ints(graph, 1), keepdims=1))
    pooled = graph.op("MatMul", graph.op("Unsqueeze", shares, _ints(graph, 1)), x)  # (texts, 1, width)
    return graph.op("Squeeze", pooled, _ints(graph, 1))


def of_length_one(graph: GraphWriter, vectors: str) -> str:
    """(texts, width)."""
    length = graph.op("ReduceL2", vectors, _ints(graph, 1), keepdims=1)
    return graph.op("Div", vectors, graph.op("Max", length, _float(graph, NORM_MIN)))


def side_by_side(graph: GraphWriter, vectors: str, *, texts: int, width: int) -> str:
    """The vectors of each row's texts: (rows * texts, width) → (rows, texts * width)."""
    rows = graph.op("Shape", graph.columns, start=0, end=1)
    return graph.op("Reshape", vectors, graph.op("Concat", rows, _ints(graph, texts * width), axis=0))


def _affine(graph: GraphWriter, x: str, affine: Affine) -> str:
    return graph.op("Add", graph.op("MatMul", x, graph.constant(affine.weight)), graph.constant(affine.bias))


def _ints(graph: GraphWriter, *values: Any) -> str:
    return graph.constant(np.array(values, np.int64))


def _float(graph: GraphWriter, value: float) -> str:
    return graph.constant(np.array(value, np.float32))
