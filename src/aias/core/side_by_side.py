"""A dense matrix and a sparse one side by side, as far as a linear learner needs a matrix.

Vectors of a sentence encoder have no zeros: as CSR a product with them takes ten times as long.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True, eq=False)
class SideBySide:
    """`dense` (rows, n) comes first, `sparse` (rows, m), a CSR matrix, after it."""

    dense: npt.NDArray[Any]
    sparse: Any

    # NumPy leaves `array @ this` to this, rather than taking it for a list of numbers.
    __array_ufunc__ = None

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.dense), self.dense.shape[1] + int(self.sparse.shape[1])

    @property
    def nnz(self) -> int:
        return int(self.dense.size + self.sparse.nnz)

    @property
    def T(self) -> "Stacked":  # noqa: N802  as NumPy and SciPy call it
        return Stacked(self)

    def __matmul__(self, weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
        n = self.dense.shape[1]
        return np.asarray(self.dense @ weights[:n] + self.sparse @ weights[n:])

    def __getitem__(self, rows: Any) -> "SideBySide":
        return SideBySide(self.dense[rows], self.sparse[rows])

    def astype(self, kind: Any, *, copy: bool = True) -> "SideBySide":
        return SideBySide(self.dense.astype(kind, copy=copy), self.sparse.astype(kind, copy=copy))

    def multiply(self, other: "SideBySide") -> "SideBySide":
        """Element by element."""
        return SideBySide(self.dense * other.dense, self.sparse.multiply(other.sparse).tocsr())


@dataclass(frozen=True, slots=True, eq=False)
class Stacked:
    """The transpose of `SideBySide`."""

    of: SideBySide

    __array_ufunc__ = None

    def tocsr(self) -> "Stacked":
        return Stacked(SideBySide(self.of.dense, self.of.sparse.T.tocsr().T))

    def __matmul__(self, sums: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate([self.of.dense.T @ sums, self.of.sparse.T @ sums])
