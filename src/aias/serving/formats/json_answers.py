"""Answers → bytes: the JSON of a model's answers, prepared once and filled in for each row."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from typing import Final

import msgspec
import numpy as np

from aias.artifact.manifest import Manifest
from aias.runtimes.contract import Answers

FLOAT32: Final = "%.9g"
"""Of a probability: nine digits are what a float32 needs to be read back as it was."""

_SHARE_BYTES: Final = len(":1.23456789e-05,")
_AROUND_BYTES: Final = 40
_AMOUNT_BYTES: Final = 3 * len("-1.2345678901234567e-300")
"""Of a number with its interval."""


@dataclass(frozen=True, slots=True)
class AnswerForm:
    """`template` is the JSON of one answer with a place for the label and one for each class's probability; `spans`:
    whether numbers come with intervals."""

    classes: tuple[str, ...]
    labels: dict[str, str]
    template: str
    row_bytes: int
    """Of the JSON of one answer, at most."""
    spans: bool = False

    @classmethod
    def of(cls, manifest: Manifest) -> "AnswerForm":
        labels = {name: _json(name) for name in manifest.task.classes}
        shares = ",".join(f"{label.replace('%', '%%')}:{FLOAT32}" for label in labels.values())
        template = f'{{"prediction":%s,"probabilities":{{{shares}}}}}'
        named = sum(len(label.encode()) + _SHARE_BYTES for label in labels.values())
        longest = max((len(label.encode()) for label in labels.values()), default=_AMOUNT_BYTES)
        spans = manifest.intervals is not None
        return cls(tuple(labels), labels, template, named + longest + _AROUND_BYTES, spans)

    def rows(self, answers: Answers) -> bytes:
        """A JSON list with one object for each row."""
        if len(answers.predictions) == 1:
            return b"[%b]" % self.one(answers)
        return b"[%b]" % ",".join(self._each(answers)).encode()

    def lines(self, answers: Answers) -> bytes:
        """The same objects, each on a line of its own."""
        return "".join(f"{each}\n" for each in self._each(answers)).encode()

    def one(self, answers: Answers) -> bytes:
        """The JSON object of the only row."""
        if answers.probabilities is not None:
            [row] = answers.probabilities.tolist()
            if math.isfinite(sum(row)):
                return (self.template % (self.labels[answers.predictions[0]], *row)).encode()  # type: ignore[index]
        return next(self._each(answers)).encode()

    def columns(self, answers: Answers) -> dict[str, list[object]]:
        """The same as columns: `prediction`, and `probability_<class>` for each class, or `low` and `high`."""
        columns: dict[str, list[object]] = {"prediction": [plain(value) for value in answers.predictions]}
        if answers.probabilities is not None:
            for name, column in zip(self.classes, answers.probabilities.T, strict=True):
                columns[f"probability_{name}"] = short(column)
        if self.spans:
            spans = answers.intervals or [(math.nan, math.nan)] * len(answers.predictions)
            columns["low"], columns["high"] = ([plain(span[at]) for span in spans] for at in (0, 1))
        return columns

    def kinds(self, columns: Iterable[str]) -> dict[str, str]:
        """What each of these columns holds, `text` or `number`: their values do not tell, where there are none."""
        return {name: "text" if name == "prediction" and self.classes else "number" for name in columns}

    def _each(self, answers: Answers) -> Iterator[str]:
        if answers.probabilities is None:
            return map(_amount, answers.predictions, answers.intervals or repeat(None))
        shares = answers.probabilities.tolist()
        # One NaN or infinity makes the sum one.
        if not math.isfinite(sum(map(sum, shares))):
            return (_json(self._plainly(label, row)) for label, row in zip(answers.predictions, shares, strict=True))
        labels, template = self.labels, self.template
        return (
            template % (labels[label], *row)  # type: ignore[index]
            for label, row in zip(answers.predictions, shares, strict=True)
        )

    def _plainly(self, label: object, row: list[float]) -> dict[str, object]:
        return {"prediction": label, "probabilities": dict(zip(self.classes, map(plain, row), strict=True))}


def _amount(value: object, interval: tuple[float, float] | None) -> str:
    if interval is None or not math.isfinite(sum(interval)):
        return f'{{"prediction":{_json(plain(value))}}}'
    return f'{{"prediction":{_json(plain(value))},"interval":[{_json(interval[0])},{_json(interval[1])}]}}'


def plain(value: object) -> object:
    """The value, or None for a number that JSON cannot write."""
    return value if not isinstance(value, float) or math.isfinite(value) else None


def short(column: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]") -> list[object]:
    """Each number in as many digits as in the JSON of an answer."""
    return [plain(float(FLOAT32 % value)) for value in column.tolist()]


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
