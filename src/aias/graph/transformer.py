"""A transformer encoder as nodes of the graph: tokens → one vector for each text.

    x = LayerNorm(word + position + type)
    x = LayerNorm(x + softmax(Q Kᵀ / √d + mask) V O)      for each layer, Q, K, V, O linear in x
    x = LayerNorm(x + W₂ act(W₁ x))
    vector = the mean of x over the tokens, or x of the first token; of length 1 where the encoder says so
             and before it, where `beside` names a layer, the same of what that layer gives

(Devlin et al. 2019; Reimers and Gurevych 2019.) All in float32, as the weights are. Padding is there in attention
alone, where it stands for the text's last token and weighs e⁻⁴⁰ of it: less than float32 can add to anything, so a
text's vector does not depend on its neighbours.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from aias.core.graph import GraphWriter
from aias.graph.unpadded import Unpadded

Weights = npt.NDArray[np.float32]

Rows = Callable[[Weights, str], str]
"""Of a table, by their places: (rows, width), (tokens,) → (tokens, width)."""

Affines = Callable[[int, str, "Affine"], str]
"""Of the layer at a place: (tokens, inputs) → (tokens, outputs)."""

MASKED: Final = -40.0
"""Added where a token is only padding. Much less, and softmax takes eight times as long: its powers are denormal."""

MIDDLE: Final = 2 / 3
"""Of the layers, at which the middle is; of MiniLM's six the fourth."""

LAYERS_MIN: Final = 3
"""Of two neither is in the middle."""

MIDDLE_LENGTH: Final = 1.5
"""Of the middle's vectors, where the last layer's have 1: they differ by .58 to .67, those by .92 to .97."""


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
    beside: int = 0
    """A layer, counted from 1, whose vector stands beside the last one's; 0 for none."""

    @property
    def hidden(self) -> int:
        """Numbers of a token."""
        return int(self.words.shape[1])

    @property
    def width(self) -> int:
        """Numbers of a text's vector."""
        return self.hidden * (2 if self.beside else 1)

    def lowest(self, layers: int) -> "Transformer":
        """Its first layers alone."""
        return replace(self, layers=self.layers[:layers], beside=self.beside if self.beside < layers else 0)

    def with_middle(self) -> "Transformer":
        """With what the middle says beside the last layer, where vectors are of one length: the top is made for what
        the encoder was trained on, and a classifier of other texts often finds more below it (docs/log.md)."""
        layers = len(self.layers)
        return replace(self, beside=round(MIDDLE * layers) if self.normalised and layers >= LAYERS_MIN else 0)

    @property
    def length_max(self) -> int:
        return len(self.positions)

    def write(self, graph: GraphWriter, *, texts: int) -> str:
        """The vectors of each row's texts side by side: (rows, texts * width) float32."""
        return self.written(
            graph, texts=texts, rows=lambda table, places: graph.op("Gather", graph.constant(table), places),
            affine=lambda _place, x, affine: affine_of(graph, x, affine),
        )  # fmt: skip

    def written(self, graph: GraphWriter, *, texts: int, rows: Rows, affine: Affines) -> str:
        """The same, where the tables' rows and what is affine may be written in another way."""
        tokens = Unpadded(graph, self.heads, self.hidden)
        bias = _missing(graph, tokens.mask)
        words, positions = rows(self.words, tokens.ids), rows(self.positions, tokens.positions)
        x = self._norm_of(graph, graph.op("Add", words, positions), self.norm)  # (tokens, width)
        parts = []
        for place, layer in enumerate(self.layers):
            mixed = _mixed(graph, tokens.apart(affine(place, x, self._together(layer))), bias)
            mixed = affine(place, tokens.back(mixed), layer.output)
            x = self._norm_of(graph, graph.op("Add", x, mixed), layer.attention_norm)
            wide = affine(place, self._active(graph, affine(place, x, layer.wider)), layer.narrower)
            x = self._norm_of(graph, graph.op("Add", x, wide), layer.norm)
            if place + 1 == self.beside:
                parts.append(graph.op("Mul", self._pooled(graph, x, tokens), _float(graph, MIDDLE_LENGTH)))
        parts.append(self._pooled(graph, x, tokens))
        vectors = graph.op("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
        return side_by_side(graph, vectors, texts=texts, width=self.width)

    def _together(self, layer: Layer) -> Affine:
        """Query, with the root of a head's width in it, key and value as one."""
        narrow = np.float32(1 / np.sqrt(self.hidden // self.heads))
        parts = (Affine(layer.query.weight * narrow, layer.query.bias * narrow), layer.key, layer.value)
        return Affine(np.hstack([each.weight for each in parts]), np.concatenate([each.bias for each in parts]))

    def _active(self, graph: GraphWriter, wide: str) -> str:
        if self.activation == "relu":
            return graph.op("Relu", wide)
        return graph.op("Gelu", wide, approximate="none" if self.activation == "gelu" else "tanh")

    def _norm_of(self, graph: GraphWriter, x: str, norm: Norm) -> str:
        scale, bias = graph.constant(norm.scale), graph.constant(norm.bias)
        return graph.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=self.epsilon)

    def _pooled(self, graph: GraphWriter, x: str, tokens: Unpadded) -> str:
        """(texts, hidden)."""
        if self.pooling == "cls":
            pooled = graph.op("Gather", x, tokens.firsts)
        else:
            pooled = _mean_of(graph, tokens.spread_out(x), tokens.mask)
        return of_length_one(graph, pooled) if self.normalised else pooled


def affine_of(graph: GraphWriter, x: str, affine: Affine) -> str:
    """(tokens, inputs) → (tokens, outputs)."""
    return graph.op("Gemm", x, graph.constant(affine.weight), graph.constant(affine.bias))


def _missing(graph: GraphWriter, mask: str) -> str:
    """What is added to the shares of tokens: (texts, 1, 1, length)."""
    missing = graph.op("Sub", _float(graph, 1.0), mask)
    return graph.op("Mul", graph.op("Unsqueeze", missing, _ints(graph, 1, 2)), _float(graph, MASKED))


def _mixed(graph: GraphWriter, parts: Sequence[str], bias: str) -> str:
    """Of query, key and value, (texts, heads, length, width / heads), the values by their shares: the same."""
    query, key, value = parts
    products = graph.op("MatMul", query, graph.op("Transpose", key, perm=[0, 1, 3, 2]))
    shares = graph.op("Softmax", graph.op("Add", products, bias), axis=-1)
    return graph.op("MatMul", shares, value)


def _mean_of(graph: GraphWriter, x: str, mask: str) -> str:
    """Of the tokens that are there: (texts, length, width), (texts, length) → (texts, width)."""
    shares = graph.op("Div", mask, graph.op("ReduceSum", mask, _ints(graph, 1), keepdims=1))
    pooled = graph.op("MatMul", graph.op("Unsqueeze", shares, _ints(graph, 1)), x)  # (texts, 1, width)
    return graph.op("Squeeze", pooled, _ints(graph, 1))


def of_length_one(graph: GraphWriter, vectors: str) -> str:
    """(texts, width); zeros stay zeros."""
    return graph.op("LpNormalization", vectors, axis=-1, p=2)


def side_by_side(graph: GraphWriter, vectors: str, *, texts: int, width: int) -> str:
    """The vectors of each row's texts: (rows * texts, width) → (rows, texts * width)."""
    if texts == 1:
        return vectors
    rows = graph.op("Shape", graph.columns, start=0, end=1)
    return graph.op("Reshape", vectors, graph.op("Concat", rows, _ints(graph, texts * width), axis=0))


def _ints(graph: GraphWriter, *values: Any) -> str:
    return graph.constant(np.array(values, np.int64))


def _float(graph: GraphWriter, value: float) -> str:
    return graph.constant(np.array(value, np.float32))
