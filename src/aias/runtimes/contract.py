"""The promise of a runtime: a verified artifact in memory, answering rows.

A row is a mapping from field names to raw values. A field that is absent or null is missing; a value that its
field cannot take, or a field that the model does not know, raises `BadValue` naming the row and the field.
Runtimes are safe to call from several threads.

`onnxruntime` is the runtime of graphs. The other files are engines that can stand in for its session, where they are
installed and faster (`race.py`): a file is all that one takes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from aias.artifact.manifest import Manifest

Row = Mapping[str, object]
Column = Sequence[object] | npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Answers:
    """`predictions`: a class label or a number for each row. `probabilities`: (rows, classes), None for regression.
    `intervals`: of a regression, from and to where the truth lies as often as the manifest says; None where none are
    known."""

    predictions: list[str] | list[float]
    probabilities: npt.NDArray[np.float32] | None
    intervals: list[tuple[float, float]] | None = None


class Runtime(Protocol):
    manifest: Manifest

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> "Runtime":
        """Read a folder that has been verified. Raises `Damaged`."""

    def predict(self, rows: Sequence[Row]) -> Answers:
        """The answers in the order of the rows. Raises `BadValue`."""

    def predict_columns(self, columns: Mapping[str, Column], rows: int) -> Answers:
        """The same from columns of equal length; columns that the model does not know are refused."""


class Engine(Protocol):
    """The very same sealed graph behind another library. Whatever it raises, ONNX Runtime answers instead."""

    name: ClassVar[str]

    def __init__(self, model: bytes, *, output: str, precision: str = "") -> None:
        """One output of the graph, on one thread. `precision`: empty for what the graph says, or `bfloat16`."""

    @classmethod
    def version(cls) -> str:
        """Empty where it is not installed; imports nothing."""

    @classmethod
    def computes(cls, precision: str) -> bool:
        """Whether this processor gains by a precision."""

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Any], options: None = None) -> list[Any]:
        """The arrays of the output, as ONNX Runtime's sessions give them; safe to call from several threads."""
