"""A sentence encoder without layers: a vector of its own for each token, and of a text their mean.

    vector = mean of the rows of its tokens, of length 1      row ≈ V t, V int8

(Tulkens and van Dongen 2024, model2vec.) Some µs instead of milliseconds; what a word means beside others is lost.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from aias.core.graph import FLOAT, GraphWriter
from aias.graph.int8 import rounded
from aias.graph.transformer import Transformer, Weights, of_length_one, side_by_side

NARROW: Final = 128
"""Directions that are kept of wider vectors: those in which tokens differ most."""


@dataclass(frozen=True, slots=True, eq=False)
class StaticVectors:
    """Of a text the mean of its tokens' vectors, brought to length 1."""

    table: Weights  # (vocabulary, width)
    length_max: int

    @property
    def width(self) -> int:
        return int(self.table.shape[1])

    def write(self, graph: GraphWriter, *, texts: int) -> str:
        """The vectors of each row's texts side by side: (rows, texts * width) float32."""
        held, scale = rounded(self.table, axis=1)
        rows = graph.op("Cast", graph.op("Gather", graph.constant(held), graph.tokens), to=FLOAT)
        scales = graph.op("Gather", graph.constant(scale[:, 0]), graph.tokens)
        mask = graph.op("Mul", graph.op("Cast", graph.token_mask, to=FLOAT), scales)  # (texts, length)
        pooled = graph.op("MatMul", graph.op("Unsqueeze", mask, graph.constant(np.array([1]))), rows)
        pooled = graph.op("Squeeze", pooled, graph.constant(np.array([1])))
        return side_by_side(graph, of_length_one(graph, pooled), texts=texts, width=self.width)


def read_first(whole: Transformer) -> Weights:
    """Each token as the first layer reads it, where it stands anywhere: (vocabulary, width)."""
    x = whole.words + whole.positions.mean(axis=0)
    x = x - x.mean(axis=1, keepdims=True)
    x = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + whole.epsilon)
    return np.asarray(x * whole.norm.scale + whole.norm.bias, np.float32)


def narrow(table: Weights, width: int = NARROW) -> Weights:
    """By principal components, (vocabulary, width)."""
    centred = table - table.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.asarray(table @ vectors[:, -width:], np.float32)
