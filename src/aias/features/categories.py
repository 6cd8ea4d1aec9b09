"""Category codes → one weight per known value: one-hot columns that are never written out."""

from typing import Any, ClassVar

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.graph import INT64, GraphWriter
from aias.encoders.rows import Encoded, RowEncoder

__all__ = ["Categories"]


class Categories:
    """Column `offset[j] + code` is 1 where field j has that code: 0 missing, 1 unseen or rare, 2.. known."""

    name: ClassVar[str] = "categories"

    def __init__(self, places: tuple[int, ...], sizes: tuple[int, ...]) -> None:
        self.places = np.array(places)
        self.offsets = np.concatenate(([0], np.cumsum(sizes)[:-1])).astype(np.int64)
        self.width = int(sum(sizes))

    @classmethod
    def fit(cls, _encoded: Encoded, encoder: RowEncoder, /) -> "Categories | None":
        layout = encoder.layout
        return cls(layout.categories, layout.category_sizes) if layout.categories else None

    def matrix(self, encoded: Encoded) -> Any:
        from scipy import sparse

        codes = self._codes(encoded)
        rows, fields = codes.shape
        ends = np.arange(0, rows * fields + 1, fields)
        return sparse.csr_matrix((np.ones(rows * fields), codes.ravel(), ends), shape=(rows, self.width))

    def project(self, encoded: Encoded, weights: Floats) -> Floats:
        codes = self._codes(encoded)
        total = np.zeros((len(codes), weights.shape[1]))
        for field in range(codes.shape[1]):
            total += weights[codes[:, field]]
        return total

    def export(self, graph: GraphWriter, weights: Floats) -> str:
        codes = graph.op("Gather", graph.columns, graph.constant(self.places), axis=1)
        shifted = graph.op("Cast", graph.op("Add", codes, graph.constant(self.offsets.astype(np.float64))), to=INT64)
        each = graph.op("Gather", graph.constant(weights), shifted)  # (rows, fields, outputs)
        return graph.op("ReduceSum", each, graph.constant(np.array([1])), keepdims=0)

    def _codes(self, encoded: Encoded) -> Ints:
        return encoded.columns[:, self.places].astype(np.int64) + self.offsets
