"""A sentence encoder as windows of three tokens (`compress.windows`): a table for each place, nothing is multiplied.

    r = s max(0, max over t of  A[token(t-1)] + B[token(t)] + C[token(t+1)])     A B C int8, s of each number

Some µs like static vectors, but "what is" and "is what" are two things. Windows that reach beyond an end are some too;
where no token is at all the sum is 0, so that padding, which is called a row of zeros, changes nothing.
"""

from dataclasses import dataclass

import numpy as np

from aias.core.graph import FLOAT, GraphWriter
from aias.graph.int8 import rounded
from aias.graph.transformer import Weights, side_by_side


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """Of a text, for each number the largest sum over windows of three tokens, a table for each place; not below 0."""

    table: Weights  # (vocabulary, 3 * width)
    length_max: int

    @property
    def width(self) -> int:
        return int(self.table.shape[1]) // 3

    def write(self, graph: GraphWriter, *, texts: int) -> str:
        """The vectors of each row's texts side by side: (rows, texts * width) float32."""
        held, scale = rounded(self.table.reshape(-1, self.width), axis=0)  # the three of a number are added up
        held = np.vstack([held.reshape(self.table.shape), np.zeros((1, 3 * self.width), np.int8)])
        tokens = graph.op("Where", graph.token_mask, graph.tokens, graph.constant(np.array(len(self.table))))
        rows = graph.op("Cast", graph.op("Gather", graph.constant(held), tokens), to=FLOAT)
        places = graph.ops("Split", rows, graph.constant(np.full(3, self.width)), outputs=3, axis=2)
        # The table of a place moves by one: after it, on it, before it; behind all of them is a window of nothing.
        moved = [
            graph.op("Pad", each, graph.constant(np.array([0, 2 - place, 0, 0, place + 1, 0])))
            for place, each in enumerate(places)
        ]
        sums = graph.op("Sum", *moved)  # (texts, length + 3, width)
        most = graph.op("ReduceMax", sums, graph.constant(np.array([1])), keepdims=0)
        most = graph.op("Mul", most, graph.constant(scale))
        return side_by_side(graph, most, texts=texts, width=self.width)
