"""Golden rows: a few inputs with the answers that a version gave when it was published, which it must still give.

Before a version answers anybody it is asked them again, by the engine and on the processor that will answer. The rows
are made of what the manifest tells anyway (examples, known categories), so nothing of the data is in them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from aias.artifact.manifest import Manifest
from aias.core.errors import Damaged
from aias.core.schema import Field
from aias.runtimes.contract import Answers
from aias.runtimes.engine_choice import DIFFERENCE_MAX, precision_of
from aias.runtimes.onnxruntime import OnnxRuntime

GOLDEN: Final = "golden.json"
ROWS: Final = 8
VALUES: Final = 20_000
"""In all rows together; of a very wide table there are fewer rows."""

TEXT_CHARS_MAX: Final = 2_000
"""Of one value; a model that reads more reads that alike."""


TOKENS_DIFFERENCE_MAX: Final = 0.01
"""Of scores of a graph that reads tokens, between two hosts: processors add up in other orders, and where int8 rounds,
a last bit can become a whole step. What a processor without the right instructions saturates in int8 is far more."""

_FACTORS: Final = (1.0, 0.0, -1.0, 0.5, 2.0, 10.0, 1.5)


class OtherAnswers(Damaged):
    """A version does not answer its golden rows as it did when it was published"""

    code = "runtimes.other-answers"


@dataclass(frozen=True, slots=True)
class Golden:
    """`scores`: of each row its probabilities, its vector, or its number; None stands for what is no number."""

    rows: list[dict[str, Any]]
    labels: list[str]
    scores: list[list[float | None]]


def record(runtime: OnnxRuntime) -> bytes:
    """The rows and their answers, for the artifact."""
    rows = golden_rows(runtime.manifest.inputs)
    labels, scores = _told(runtime.predict(rows), runtime.manifest)
    told = [[float(f"{each:.9g}") if np.isfinite(each) else None for each in row] for row in scores]
    return msgspec.json.encode(Golden(rows, labels, told))


def recorded_in(folder: Path, manifest: Manifest) -> bytes | None:
    """The golden rows of an artifact; None of one that was published before there were any."""
    there = any(entry.path == GOLDEN for entry in manifest.files)
    return (folder / GOLDEN).read_bytes() if there else None


def check(runtime: OnnxRuntime, recorded: bytes, *, moved: bool = False) -> int:
    """How many rows were answered as they were recorded. `moved`: to where scores may come out otherwise in their last
    bits (`arrival.moved`). Raises `OtherAnswers`, `Damaged`."""
    golden = read_golden(recorded)
    labels, found = _told(runtime.predict(golden.rows), runtime.manifest)
    wanted = np.array([[np.nan if each is None else each for each in row] for row in golden.scores], np.float64)
    wrong = sum(a != b for a, b in zip(labels, golden.labels, strict=True))
    allowed = DIFFERENCE_MAX.get(precision_of(runtime.manifest), DIFFERENCE_MAX[""])
    if moved:  # who adds up in another order is off by as much as a batch, which does so too
        tokens = TOKENS_DIFFERENCE_MAX if runtime.session.reads_tokens else 0.0
        allowed = max(allowed, tokens, runtime.manifest.parity.batch_difference_max)
    apart = _apart(found, wanted, relative=not runtime.manifest.task.classes)
    # Where a score may be further off, a label that hangs by a hair may be another one.
    if (wrong and allowed == DIFFERENCE_MAX[""]) or not apart <= allowed:
        raise OtherAnswers(
            f"it answers {len(golden.rows)} golden rows otherwise than when it was published: {wrong} labels differ, "
            f"scores by up to {apart:.2g}",
            hint="its files are sound, so this processor or a library differs; compare `aias evaluate` here",
        )
    return len(golden.rows)


def read_golden(recorded: bytes) -> Golden:
    """Raises `Damaged`."""
    try:
        return msgspec.json.decode(recorded, type=Golden)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Damaged(f"{GOLDEN} cannot be read: {fault}") from None


def golden_rows(fields: Sequence[Field]) -> list[dict[str, Any]]:
    """The example, a row of nothing, and some in between."""
    example = {each.name: _cut(each.example) for each in fields if each.example is not None}
    count = max(3, min(ROWS, VALUES // max(1, len(fields))))
    return [example, {}, *({f.name: _value(f, row + at) for at, f in enumerate(fields)} for row in range(2, count))]


def _cut(example: object) -> object:
    return example[:TEXT_CHARS_MAX] if isinstance(example, str) else example


def _value(field: Field, turn: int) -> object:
    example = _cut(field.example)
    if field.kind == "category" and field.categories and turn % 4:
        return field.categories[turn % len(field.categories)]
    if field.kind == "number" and isinstance(example, int | float):
        return example * _FACTORS[turn % len(_FACTORS)]
    if field.kind == "text" and isinstance(example, str):
        return example[: max(1, len(example) * (turn % ROWS) // ROWS)]
    return example if turn % 2 else None


def _told(answers: Answers, manifest: Manifest) -> tuple[list[str], np.ndarray[Any, np.dtype[np.float64]]]:
    if answers.vectors is not None:
        return [], np.asarray(answers.vectors.values, np.float64)
    if answers.probabilities is not None:
        return [str(each) for each in answers.predictions], np.asarray(answers.probabilities, np.float64)
    assert not manifest.task.classes
    return [], np.array(answers.predictions, np.float64)[:, None]


def _apart(found: Any, wanted: Any, *, relative: bool) -> float:
    """The largest difference; infinite where only one is a number, or the shapes differ."""
    if found.shape != wanted.shape or not np.array_equal(np.isfinite(found), np.isfinite(wanted)):
        return float("inf")
    known = np.isfinite(wanted)
    largest = float(np.abs(found[known] - wanted[known]).max(initial=0.0))
    return largest / max(1.0, float(np.abs(wanted[known]).max(initial=0.0))) if relative else largest
