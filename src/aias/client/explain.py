"""Explanations of answers: how much each field contributes to the difference from a typical row's answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from aias.artifact.manifest import Manifest
from aias.core.arrays import Floats
from aias.core.errors import BadValue
from aias.core.task import written
from aias.runtimes.onnxruntime import OnnxRuntime

PERMUTATIONS: Final = 32
"""Orders in which fields are changed, each also in reverse; the sum is exact with any number of orders."""

VALUES_MAX: Final = 20_000_000
"""Rows to predict, at most, unless one order takes more: about ten seconds. With thousands of fields there are fewer
orders."""

DIGITS: Final = 12
"""Digits of an answer and its parts: fewer than a sum of doubles holds, more than a graph gives."""


@dataclass(frozen=True, slots=True, repr=False)
class Explained:
    """`answer` = `usual` + the sum of `parts`, all for the output `of`; the largest part comes first. `usual` is the
    answer for the row `reference`."""

    of: str
    answer: float
    usual: float
    parts: tuple[tuple[str, float], ...]
    reference: dict[str, object]

    @property
    def like(self) -> float:
        """The amount that decides how many digits are written."""
        return max(abs(self.answer), abs(self.usual))

    def __repr__(self) -> str:
        parts = [f"  {signed(part, like=self.like)}  {name}" for name, part in self.parts]
        answer, usual = written(self.answer, like=self.like), written(self.usual, like=self.like)
        return "\n".join([f"{self.of}: {answer}; of a typical row {usual}", *parts])


def signed(part: float, *, like: float) -> str:
    return ("" if part < 0 else "+") + written(part, like=like)


def explained(
    runtime: OnnxRuntime, profile: Mapping[str, Any], row: Mapping[str, object], *, of: str | None = None, seed: int = 0
) -> Explained:
    """The parts are of a class's probability, by default that of the predicted class; or of a regression's prediction.

    The typical row has the median of each number and time and the most frequent value of each category; its texts are
    empty. Raises `BadValue`.
    """
    from aias.training.scoring.importance import explain

    manifest = runtime.manifest
    reference = usual_row(manifest, profile)
    names = [field.name for field in manifest.inputs]
    said = runtime.predict([row]).predictions[0]  # raises what is wrong with the row, before anything else
    whole = {name: row.get(name) for name in names}

    def answer(places: Floats) -> Floats:
        columns = {
            name: [whole[name] if place else reference[name] for place in places[:, i]] for i, name in enumerate(names)
        }
        found = runtime.run(runtime.encoder.columns(columns, len(places)))
        return np.asarray(found, np.float64).reshape(len(places), -1)

    ones, zeros = np.ones(len(names)), np.zeros(len(names))
    fields = {name: [i] for i, name in enumerate(names)}
    orders = min(PERMUTATIONS, max(1, VALUES_MAX // (2 * len(names) ** 2)))
    found = explain(answer, ones, zeros, fields, permutations=orders, seed=seed)
    output = _output(manifest, str(said) if of is None else of)
    parts = sorted(((name, each[output]) for name, each in found.contributions.items()), key=lambda part: -abs(part[1]))
    named = manifest.task.classes[output] if manifest.task.classes else manifest.task.target
    rounded = tuple((name, _rounded(part)) for name, part in parts)
    return Explained(named, _rounded(found.answer[output]), _rounded(found.base[output]), rounded, reference)


def _rounded(value: float) -> float:
    """Without rounding errors in the last digits: 0.0035, and not 0.0034999999999999996."""
    return float(f"{value:.{DIGITS}g}")


def usual_row(manifest: Manifest, profile: Mapping[str, Any]) -> dict[str, object]:
    """The typical row, made from the profile: no row of the training data."""
    row: dict[str, object] = {}
    for field in manifest.inputs:
        held = profile["columns"][field.name]
        row[field.name] = None
        if held["kind"] == "number" and held["quantiles"]:
            row[field.name] = held["quantiles"][len(held["quantiles"]) // 2]
        elif held["kind"] == "category" and held["frequent"]:
            row[field.name] = held["frequent"][0][0]
        elif held["kind"] == "time":
            row[field.name] = held.get("median")  # versions of earlier releases have none
    return row


def read_profile(raw: bytes) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(raw)
    return found


def _output(manifest: Manifest, of: str) -> int:
    classes = manifest.task.classes
    if not classes:
        return 0
    if of not in classes:
        raise BadValue(f"there is no class `{of}`", hint=f"the classes are: {', '.join(classes[:20])}")
    return classes.index(of)
