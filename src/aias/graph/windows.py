"""A sentence encoder as windows of three tokens (`compress.windows`): a table for each place, nothing is multiplied.

    r = max(0, max over t of  A[token(t-1)] + B[token(t)] + C[token(t+1)])        A B C side by side, ≈ V s, V int8

Some µs like static vectors, but "what is" and "is what" are two things. Windows that reach beyond an end are some too;
where no token is at all the sum is 0, so that padding changes nothing.
"""

from dataclasses import dataclass

import numpy as np

from aias.core.graph import GraphWriter
from aias.graph.int8 import rounded
from aias.graph.transformer import Weights, of_length_one, side_by_side

_FLOAT = 1
"""`TensorProto.FLOAT`, from the ONNX specification."""


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    table: Weights  # (vocabulary, 3 * width)
    length_max: int

    @property
    def width(self) -> int:
        return int(self.table.shape[1]) // 3

    def write(self, graph: GraphWriter, *, texts: int) -> str:
        """The vectors of each row's texts side by side: (rows, texts * width) float32."""
        held, scale = rounded(self.table, axis=1)
        rows = graph.op("Cast", graph.op("Gather", graph.constant(held), graph.tokens), to=_FLOAT)
        scales = graph.op("Gather", graph.constant(scale[:, 0]), graph.tokens)
        mask = graph.op("Mul", graph.op("Cast", graph.token_mask, to=_FLOAT), scales)  # (texts, length)
        rows = graph.op("Mul", rows, graph.op("Unsqueeze", mask, graph.constant(np.array([2]))))
        places = graph.ops("Split", rows, graph.constant(np.full(3, self.width)), outputs=3, axis=2)
        # The table of a place moves by one: after it, on it, before it.
        moved = [
            graph.op("Pad", each, graph.constant(np.array([0, 2 - place, 0, 0, place, 0])))
            for place, each in enumerate(places)
        ]
        sums = graph.op("Add", graph.op("Add", *moved[:2]), moved[2])  # (texts, length + 2, width)
        most = graph.op("Relu", graph.op("ReduceMax", sums, graph.constant(np.array([1])), keepdims=0))
        return side_by_side(graph, of_length_one(graph, most), texts=texts, width=self.width)
