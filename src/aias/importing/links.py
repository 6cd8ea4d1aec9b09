"""From the sums of trees to answers, as their libraries do it; the proof compares with these."""

from typing import Literal

import numpy as np

from aias.core.graph import GraphWriter
from aias.core.links import write_answers

Link = Literal["identity", "sigmoid", "value", "exp", "softmax", "each", "square", "softplus"]


def write_link(graph: GraphWriter, sums: str, link: Link) -> str:
    """`sigmoid`: two classes from one sum; `value`: one number between 0 and 1; `each`: every class by itself."""
    if link in {"value", "each"}:
        return graph.op("Sigmoid", sums)
    if link == "exp":
        return graph.op("Exp", sums)
    if link == "square":
        return graph.op("Mul", sums, graph.op("Abs", sums))
    if link == "softplus":
        return graph.op("Log", graph.op("Add", graph.constant(np.float64(1)), graph.op("Exp", sums)))
    return write_answers(graph, sums, link)
