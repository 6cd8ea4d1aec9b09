"""From sums to answers, in NumPy and in the graph.

identity   as they are
sigmoid    one sum → the probabilities of two classes; the sum is that of the second
softmax    a sum for each class → their probabilities
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Floats
from aias.core.graph import GraphWriter

_BOTH: Final = np.array([[-1.0, 1.0]])


def answers(sums: Floats, link: str) -> Floats:
    """(rows, outputs) → (rows, classes), or (rows, outputs)."""
    if link == "sigmoid":
        return sigmoid(sums * _BOTH)
    return softmax(sums) if link == "softmax" else sums


def write_answers(graph: GraphWriter, sums: str, link: str) -> str:
    """`answers` in the graph."""
    if link == "sigmoid":
        return graph.op("Sigmoid", graph.op("Mul", sums, graph.constant(_BOTH)))
    return graph.op("Softmax", sums, axis=1) if link == "softmax" else sums


def sigmoid(z: Floats) -> Floats:
    """Of each element."""
    with np.errstate(over="ignore"):
        return np.asarray(1 / (1 + np.exp(-z)))


def softmax(z: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Of each row: (rows, classes), each row of sum 1."""
    powers = np.exp(z - z.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))
