"""Golden answers: what a version said of some rows where it was proved, and whether it says the same here.

`golden.json`. No row of it is anybody's: each field's value comes from another row, and texts are words of several.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from aias.artifact.manifest import Manifest
from aias.core.errors import Damaged
from aias.encoders.rows import Encoded
from aias.runtimes.onnxruntime import OnnxRuntime

GOLDEN: Final = "golden.json"
ROWS: Final = 32
ALONE: Final = 4
"""Rows that are also asked by themselves."""

WORDS_MAX: Final = 40
"""Of a text; a sentence encoder takes a millisecond for that."""

DIFFERENCE_MAX: Final = {"": 1e-5, "bfloat16": 0.03}
"""Of scores, by the precision that a version was certified with; the first is that of every proof."""

TOKENS_DIFFERENCE_MAX: Final = 0.01
"""Of scores of a graph that reads tokens, between two hosts: processors add up in other orders, and where int8 rounds,
a last bit can become a whole step. What a processor saturates in int8 is far more."""

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Golden:
    """`scores`: probabilities (rows, classes), or predictions (rows, 1)."""

    rows: list[Row]
    scores: list[list[float]]

    def as_bytes(self) -> bytes:
        return msgspec.json.encode(msgspec.to_builtins(self), order="sorted")


def read_golden(raw: bytes) -> Golden:
    """Raises `Damaged`."""
    try:
        return msgspec.json.decode(raw, type=Golden, strict=True)
    except (msgspec.MsgspecError, ValueError, RecursionError) as fault:
        raise Damaged(f"{GOLDEN} holds no golden answers: {fault}") from None


def recorded(runtime: OnnxRuntime, rows: Sequence[Mapping[str, object]], *, seed: int) -> Golden:
    """What it says here of rows that are put together from values of these; the last of them has none."""
    mixed = [*_mixed(runtime.manifest, rows, np.random.default_rng(seed)), {}]
    held: list[Row] = msgspec.json.decode(msgspec.json.encode(mixed))  # as they will be read
    return Golden(held, _scores(runtime, held).tolist())


def difference(runtime: OnnxRuntime, golden: Golden) -> float:
    """The largest between scores then and now, in a batch and alone; infinite where a label is another one."""
    wanted = np.asarray(golden.scores, np.float64)
    together, alone = _scores(runtime, golden.rows), _scores(runtime, golden.rows[:ALONE], alone=True)
    return max(apart(runtime.manifest, wanted, together), apart(runtime.manifest, wanted[:ALONE], alone))


def bound(runtime: OnnxRuntime) -> float:
    """What scores may differ by between two hosts."""
    precision = str(runtime.manifest.lineage.settings.get("precision", ""))
    own = DIFFERENCE_MAX.get(precision, DIFFERENCE_MAX[""])
    return max(own, TOKENS_DIFFERENCE_MAX) if runtime.session.reads_tokens else own


def apart(manifest: Manifest, wanted: Any, got: Any) -> float:
    """The largest difference between two sets of scores, of numbers by their size; infinite where a label is another
    one, although its lead is larger than what scores differ by."""
    wanted = np.asarray(wanted, np.float64)
    if np.shape(got) != wanted.shape:
        return float("inf")
    classes = bool(manifest.task.classes)
    scale = 1.0 if classes else max(1.0, float(np.abs(wanted).max(initial=0.0)))
    off = np.abs(np.asarray(got, np.float64) - wanted) / scale
    worst = float(np.nan_to_num(off, nan=np.inf).max(initial=0.0))
    return float("inf") if classes and _others(manifest, wanted, np.asarray(got), apart=worst) else worst


def _others(manifest: Manifest, wanted: Any, got: Any, *, apart: float) -> bool:
    weights = np.array(manifest.label_weights or 1.0, np.float32)
    wanted, got = wanted * weights, got * weights
    lead = wanted.max(axis=1) - np.take_along_axis(wanted, got.argmax(axis=1)[:, None], axis=1)[:, 0]
    return bool((lead > 2 * apart * np.max(weights)).any())


def _scores(runtime: OnnxRuntime, rows: Sequence[Row], *, alone: bool = False) -> Any:
    """(rows, outputs) float64."""
    encoded: list[Encoded] = [runtime.encoder.one(row) for row in rows] if alone else [runtime.encoder.rows(rows)]
    parts = [np.asarray(runtime.run(each), np.float64).reshape(each.rows, -1) for each in encoded]
    return np.concatenate(parts)


def _mixed(manifest: Manifest, rows: Sequence[Mapping[str, object]], rng: np.random.Generator) -> list[Row]:
    return [
        {each.name: _value(each.kind, each.name, rows, rng) for each in manifest.inputs}
        for _ in range(min(ROWS, len(rows)) - 1)
    ]


def _value(kind: str, name: str, rows: Sequence[Mapping[str, object]], rng: np.random.Generator) -> object:
    if kind != "text":
        return rows[int(rng.integers(len(rows)))].get(name)
    texts = [str(rows[place].get(name) or "") for place in rng.integers(0, len(rows), 3).tolist()]
    words = [word for text in texts for word in text.split()]
    count = int(rng.integers(1, WORDS_MAX))
    return " ".join(str(word) for word in rng.permutation(words)[:count]) if words else None
