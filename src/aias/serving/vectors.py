"""Vectors → bytes, as `forms.py` does it for predictions."""

import base64
import math
from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from aias.runtimes.contract import Answers, Vectors
from aias.serving.forms import plain


class VectorForm:
    """`{"vector": [...], "tokens": 7}` of each row, and `"cut": true` of a text of which not all was read."""

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

    def _each(self, answers: Answers) -> Iterator[bytes]:
        found = _vectors(answers)
        for row, tokens, cut in zip(found.values, found.tokens, found.cut, strict=True):
            yield b'{"vector":%b,"tokens":%d%b}' % (floats(row), tokens, b',"cut":true' if cut else b"")


def floats(row: "np.ndarray[tuple[int], np.dtype[np.float32]]") -> bytes:
    """A JSON list; nine digits are what a float32 needs to be read back as it was."""
    values: list[float] = row.tolist()
    if not math.isfinite(sum(values)):
        return msgspec.json.encode([plain(value) for value in values])
    return ("[" + ",".join([f"{value:.9g}" for value in values]) + "]").encode()


def packed(row: Any) -> bytes:
    """Little-endian float32 as base64, a JSON string."""
    return b'"%b"' % base64.b64encode(np.ascontiguousarray(row, "<f4").tobytes())


def _vectors(answers: Answers) -> Vectors:
    assert answers.vectors is not None, "only what embeds is written in this form"
    return answers.vectors
