"""The promise of a feature: a block of columns that a linear model weighs, and the same sums inside a graph."""

from typing import Any, ClassVar, Protocol

from aias.core.arrays import Floats
from aias.core.graph import GraphWriter
from aias.encoders.rows import Encoded, RowEncoder

Matrix = Any
"""A SciPy CSR matrix of float64, (rows, width)."""


class Feature(Protocol):
    """Fitted on training rows by `fit`; afterwards it never changes."""

    name: ClassVar[str]
    width: int

    @classmethod
    def fit(cls, encoded: Encoded, encoder: RowEncoder, /) -> "Feature | None":
        """None when the rows hold nothing for this feature."""

    def matrix(self, encoded: Encoded) -> Matrix:
        """What the learner is fitted on."""  # (rows, width)

    def project(self, encoded: Encoded, weights: Floats) -> Floats:
        """`matrix(encoded) @ weights`, with the precision that the graph has."""  # (rows, outputs)

    def export(self, graph: GraphWriter, weights: Floats) -> str:
        """Write `project` into the graph; gives the name of a (rows, outputs) float64 tensor."""
