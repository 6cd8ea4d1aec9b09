"""The promise of a runtime: a verified artifact in memory, answering rows.

A row is a mapping from field names to raw values. A field that is absent or null is missing; a value that its
field cannot take, or a field that the model does not know, raises `BadValue` naming the row and the field.
Runtimes are safe to call from several threads.

`onnxruntime` is the runtime of graphs. The other files are engines that can stand in for its session, where they are
installed and faster (`engine_choice.py`): a file is all that one takes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import msgspec
import numpy as np

from aias.artifact.manifest import Manifest
from aias.core.arrays import Floats, Floats32
from aias.encoders.rows import Encoded

Row = Mapping[str, object]
Text = str | Sequence[int]
"""A text, or its tokens' ids."""

Column = Sequence[object] | Floats


class Answers(msgspec.Struct):
    """`predictions`: a class label or a number for each row. `probabilities`: (rows, classes), None for regression.
    `intervals`: of a regression, from and to where the truth lies as often as the manifest says; None where none are
    known. Of an embedding there are no predictions but `vectors`. Nobody changes one: see `Encoded`."""

    predictions: list[str] | list[float]
    probabilities: Floats32 | None
    intervals: list[tuple[float, float]] | None = None
    vectors: "Vectors | None" = None

    @property
    def rows(self) -> int:
        return len(self.predictions) if self.vectors is None else len(self.vectors.values)

    def part(self, start: int, stop: int) -> "Answers":
        """The answers to some of the rows."""
        shares, spans = self.probabilities, self.intervals
        return Answers(
            self.predictions[start:stop],
            None if shares is None else shares[start:stop],
            None if spans is None else spans[start:stop],
            None if self.vectors is None else self.vectors.part(start, stop),
        )

    @staticmethod
    def join(parts: "Sequence[Answers]") -> "Answers":
        """The answers to all rows, one part after the other."""
        if len(parts) == 1:
            return parts[0]
        predictions: Any = [each for part in parts for each in part.predictions]
        shares = [part.probabilities for part in parts if part.probabilities is not None]
        spans = [span for part in parts for span in part.intervals or ()]
        vectors = [part.vectors for part in parts if part.vectors is not None]
        return Answers(
            predictions,
            np.concatenate(shares) if shares else None,
            spans or None,
            Vectors.join(vectors) if vectors else None,
        )


@dataclass(frozen=True, slots=True)
class Vectors:
    """`values`: (rows, width). `tokens`: how many were read of each text; `cut`: whether it went on behind them."""

    values: Floats32
    tokens: list[int]
    cut: list[bool]

    def part(self, start: int, stop: int) -> "Vectors":
        return Vectors(self.values[start:stop], self.tokens[start:stop], self.cut[start:stop])

    @staticmethod
    def join(parts: "Sequence[Vectors]") -> "Vectors":
        tokens = [each for part in parts for each in part.tokens]
        return Vectors(np.concatenate([part.values for part in parts]), tokens, [e for part in parts for e in part.cut])


class Runtime(Protocol):
    """An artifact in memory that answers rows."""

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


@runtime_checkable
class Sharing(Protocol):
    """A runtime some of which is mapped from a file, and there once for all processes that load the same."""

    mapped_bytes: int


@runtime_checkable
class Joining(Protocol):
    """A runtime that can also answer rows of several callers at once: each encodes its own, which may fail alone, and
    what `Encoded.join` makes of them is answered in one run. The answers are those that each would get alone."""

    def encode(self, rows: Sequence[Row]) -> Encoded:
        """Raises `BadValue`."""

    def encode_columns(self, columns: Mapping[str, Column], rows: int) -> Encoded:
        """Raises `BadValue`."""

    def answer(self, encoded: Encoded) -> Answers:
        """The answers in the order of the encoded rows."""


@runtime_checkable
class Reading(Protocol):
    """What a runtime can besides `Joining`: read the one row of a JSON body without the detour of a dict."""

    def read(self, body: bytes) -> Encoded | None:
        """None for what only `encode` can judge."""

    def answer(self, encoded: Encoded) -> Answers: ...


class Embedding(Protocol):
    """What a runtime of an embedding can besides: read texts that are in no row, also as tokens."""

    def embed(self, texts: Sequence[Text]) -> Answers:
        """Raises `BadValue`."""

    def encode_texts(self, texts: Sequence[Text]) -> Encoded:
        """The same in the way of `Joining`."""
