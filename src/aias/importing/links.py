"""From the sums of trees to answers, as their libraries do it; the proof compares with these."""

from typing import Final, Literal

import numpy as np

from aias.core.graph import GraphWriter

Link = Literal["identity", "sigmoid", "value", "exp", "softmax", "each", "square", "softplus"]

TWO: Final = np.array([[-1.0, 1.0]])


def write_link(graph: GraphWriter, sums: str, link: Link) -> str:
    """`sigmoid`: two classes from one sum; `value`: one number between 0 and 1; `each`: every class by itself."""
    if link == "sigmoid":
        return graph.op("Sigmoid", graph.op("Mul", sums, graph.constant(TWO)))
    if link in {"value", "each"}:
        return graph.op("Sigmoid", sums)
    if link == "exp":
        return graph.op("Exp", sums)
    if link == "softmax":
        return graph.op("Softmax", sums, axis=1)
    if link == "square":
        return graph.op("Mul", sums, graph.op("Abs", sums))
    if link == "softplus":
        return graph.op("Log", graph.op("Add", graph.constant(np.float64(1)), graph.op("Exp", sums)))
    return sums
