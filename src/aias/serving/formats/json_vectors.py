"""Vectors → bytes, as `formats/json_answers.py` does it for predictions."""

import base64
import math
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
import numpy as np

from aias.core.arrays import Floats
from aias.runtimes.contract import Answers, Vectors
from aias.serving.formats.json_answers import plain

_POWERS: Final = np.array([float(f"1e{power}") for power in range(23)])
"""Of ten, as far as float64 holds them exactly."""

_NUMBER_BYTES: Final = len("-1.23456789e-05,")
_AROUND_BYTES: Final = 60

_KINDS: Final = {"tokens": "whole", "cut": "flag"}


class VectorForm:
    """`{"vector": [...], "tokens": 7}` of each row, and `"cut": true` of a text of which not all was read."""

    def __init__(self, width: int) -> None:
        self.row_bytes = width * _NUMBER_BYTES + _AROUND_BYTES
        """Of the JSON of one answer, at most."""

    def rows(self, answers: Answers) -> bytes:
        """A JSON list with one object for each row."""
        return b"[%b]" % b",".join(self._each(answers))

    def lines(self, answers: Answers) -> bytes:
        """The same objects, each on a line of its own."""
        return b"".join(b"%b\n" % each for each in self._each(answers))

    def one(self, answers: Answers) -> bytes:
        """The JSON object of the only row."""
        return next(self._each(answers))

    def columns(self, answers: Answers) -> dict[str, list[object]]:
        """The same as columns: `vector_0` and so on, `tokens`, `cut`."""
        found = _vectors(answers)
        columns: dict[str, list[object]] = {
            f"vector_{at}": [plain(value) for value in column.tolist()] for at, column in enumerate(found.values.T)
        }
        return columns | {"tokens": list(found.tokens), "cut": list(found.cut)}

    def kinds(self, columns: Iterable[str]) -> dict[str, str]:
        """What each of these columns holds: `number`, `whole` or `flag`."""
        return {name: _KINDS.get(name, "number") for name in columns}

    def _each(self, answers: Answers) -> Iterator[bytes]:
        found = _vectors(answers)
        for row, tokens, cut in zip(found.values, found.tokens, found.cut, strict=True):
            yield b'{"vector":%b,"tokens":%d%b}' % (floats(row), tokens, b',"cut":true' if cut else b"")


def floats(row: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> bytes:
    """A JSON list; nine digits are what a float32 needs to be read back as it was."""
    wide = row.astype(np.float64)
    if not math.isfinite(float(wide.sum())):
        return msgspec.json.encode([plain(value) for value in wide.tolist()])
    return msgspec.json.encode(_of_nine_digits(wide).tolist())


def _of_nine_digits(wide: Floats) -> Floats:
    """The float64 next to what each is in nine digits, for which a writer needs no more; beyond the powers of ten that
    are exact in float64, each as it is."""
    size = np.abs(wide)
    # A hair less, or what is next to a power of ten might be left with eight.
    places = (8 - np.floor(np.log10(np.where(size, size, 1.0) * (1 - 1e-12)))).astype(np.int64)
    scale = _POWERS[np.clip(places, 0, len(_POWERS) - 1)]
    exact = (places >= 0) & (places < len(_POWERS))
    return np.where(exact, np.rint(np.where(exact, wide, 0.0) * scale) / scale, wide)


def packed(row: Any) -> bytes:
    """Little-endian float32 as base64, a JSON string."""
    return b'"%b"' % base64.b64encode(np.ascontiguousarray(row, "<f4").tobytes())


def _vectors(answers: Answers) -> Vectors:
    assert answers.vectors is not None, "only what embeds is written in this form"
    return answers.vectors
