"""The promise of a runtime: a verified artifact in memory, answering rows.

A row is a mapping from field names to raw values. A field that is absent or null is missing; a value that its
field cannot take, or a field that the model does not know, raises `BadValue` naming the row and the field.
Runtimes are safe to call from several threads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from aias.artifact.manifest import Manifest

Row = Mapping[str, object]
Column = Sequence[object] | npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answers:
    """`predictions`: a class label or a number for each row. `probabilities`: (rows, classes), None for regression.
    `intervals`: of a regression, from and to where the truth lies as often as the manifest says; None where none are
    known. Of an embedding there are no predictions but `vectors`."""

    predictions: list[str] | list[float]
    probabilities: npt.NDArray[np.float32] | None
    intervals: list[tuple[float, float]] | None = None
    vectors: "Vectors | None" = None

    @property
    def rows(self) -> int:
        return len(self.predictions) if self.vectors is None else len(self.vectors.values)


@dataclass(frozen=True, slots=True)
class Vectors:
    """`values`: (rows, width). `tokens`: how many were read of each text; `cut`: whether it went on behind them."""

    values: npt.NDArray[np.float32]
    tokens: list[int]
    cut: list[bool]


class Runtime(Protocol):
    manifest: Manifest

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> "Runtime":
        """Read a folder that has been verified. Raises `Damaged`."""

    def predict(self, rows: Sequence[Row]) -> Answers:
        """The answers in the order of the rows. Raises `BadValue`."""

    def predict_columns(self, columns: Mapping[str, Column], rows: int) -> Answers:
        """The same from columns of equal length; columns that the model does not know are refused."""
