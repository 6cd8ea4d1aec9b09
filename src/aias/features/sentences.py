"""Vectors of a sentence encoder → centred, and of one common length, as the words of a text are.

    x = (v - mean of v) * s        s = LENGTH / the root mean square of |v - mean of v|

Nothing is learned of single directions: a frozen encoder's are not equally useful, and its own lengths say how useful.
"""

from typing import Any, ClassVar, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.graph import DOUBLE, GraphWriter
from aias.encoders.rows import Encoded, RowEncoder

__all__ = ["Sentences"]

LENGTH: Final = 2.0
"""Of words, a text's length is one; at twice that, both are heard. Chosen on `sms_spam` and `subj`: of 1, 2 and 4 the
best mean over all rows, 8 and 16 of each class."""


class Sentences:
    """The vectors of all text fields side by side."""

    name: ClassVar[str] = "sentences"

    def __init__(self, mean: Floats, scale: float) -> None:
        self.mean, self.scale = mean, scale
        self.width = len(mean)

    @classmethod
    def fit(cls, encoded: Encoded, _encoder: RowEncoder, /) -> "Sentences | None":
        if encoded.vectors is None or not encoded.rows:
            return None
        vectors = encoded.vectors.astype(np.float64)
        mean = vectors.mean(axis=0)
        spread = float(np.sqrt(((vectors - mean) ** 2).sum(axis=1).mean()))
        return cls(mean, LENGTH / spread if spread > 0 else 0.0)

    def columns(self, encoded: Encoded) -> Floats:
        """Dense, as they have no zeros: (rows, width)."""
        assert encoded.vectors is not None, "the sentence encoder is asked before its vectors are read"
        return (encoded.vectors.astype(np.float64) - self.mean) * self.scale

    def matrix(self, encoded: Encoded) -> Any:
        from scipy import sparse

        return sparse.csr_matrix(self.columns(encoded))

    def project(self, encoded: Encoded, weights: Floats) -> Floats:
        assert encoded.vectors is not None, "the sentence encoder is asked before its vectors are read"
        return encoded.vectors.astype(np.float64) @ (self.scale * weights) - self._shift(weights)

    def export(self, graph: GraphWriter, weights: Floats) -> str:
        return self.export_from(graph, weights, np.zeros(weights.shape[1]))

    def export_from(self, graph: GraphWriter, weights: Floats, start: Floats) -> str:
        """The same added to something, (outputs,), in no more nodes."""
        vectors = graph.op("Cast", graph.vectors, to=DOUBLE)
        added = graph.constant(start - self._shift(weights))
        return graph.op("Gemm", vectors, graph.constant(self.scale * weights), added)

    def export_columns(self, graph: GraphWriter) -> str:
        """`columns` in the graph, for learners other than linear ones."""
        vectors = graph.op("Cast", graph.vectors, to=DOUBLE)
        return graph.op(
            "Mul", graph.op("Sub", vectors, graph.constant(self.mean)), graph.constant(np.float64(self.scale))
        )

    def _shift(self, weights: Floats) -> Floats:
        return np.asarray(self.mean @ (self.scale * weights))  # (outputs,)
