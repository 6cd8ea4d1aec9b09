"""The proof that the graph answers as the foreign model itself does. No proof, no version."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from aias.artifact.manifest import Parity
from aias.core.errors import AiasError
from aias.core.evenly import evenly
from aias.encoders.category import text_of
from aias.encoders.contract import Floats
from aias.graph.parity import ALONE_ROWS_MAX, SCORE_DIFFERENCE_MAX
from aias.importing.formats.contract import Plan
from aias.importing.matching import Matched
from aias.importing.sandbox import Sandbox
from aias.runtimes.contract import Row
from aias.runtimes.onnxruntime import OnnxRuntime


class NotProved(AiasError):
    """The graph made of the model answers unlike the model's own library, or otherwise alone than in a batch."""

    code = "importing.not-proved"


def prove(box: Sandbox, plan: Plan, matched: Matched, runtime: OnnxRuntime, rows: Sequence[Row]) -> tuple[Parity, int]:
    """And how many of the rows the model itself has no answer for: NaN, which is then ours as well.

    Raises `NotProved` when a label differs, a score by more than 1e-5 (of an amount relative to its size), or a
    row's answer by the rows around it.
    """
    encoded = runtime.encoder.rows(rows)
    expected, labels = box.answer(matched.values(encoded.columns), plan)
    found = np.asarray(runtime.run(encoded), np.float64).reshape(len(rows), -1)
    if found.shape != expected.shape:
        raise NotProved(f"the graph gives {found.shape[1]} numbers a row, the model {expected.shape[1]}")
    gap = np.isnan(expected).any(axis=1)
    relative = not plan.classes
    apart = largest(found, expected, relative=relative)
    some = evenly(len(rows), ALONE_ROWS_MAX)
    alone = np.array([np.asarray(runtime.run(runtime.encoder.one(rows[at])), np.float64).ravel() for at in some])
    batched = largest(alone, found[some], relative=relative)
    wrong = _different(plan, found, expected, labels, gap)
    proof = Parity(len(rows), wrong, apart, batched)
    if batched > SCORE_DIFFERENCE_MAX:
        raise NotProved(
            f"a row is answered otherwise alone than among others, by up to {batched:.2g}",
            hint="nothing was published; export the model with a free batch dimension, in inference mode",
        )
    if wrong or apart > SCORE_DIFFERENCE_MAX:
        raise NotProved(
            f"the graph answers unlike the model: {wrong} of {len(rows)} labels differ, scores by up to {apart:.2g}",
            hint="nothing was published" + (
                "; its own labels are not the classes of the largest probabilities" if labels and wrong else ""),
        )  # fmt: skip
    return proof, int(gap.sum())


def merged(first: Parity, second: Parity) -> Parity:
    return Parity(
        first.rows + second.rows, first.label_differences + second.label_differences,
        max(first.score_difference_max, second.score_difference_max),
        max(first.batch_difference_max, second.batch_difference_max),
    )  # fmt: skip


def largest(found: Floats, expected: Floats, *, relative: bool) -> float:
    """The largest; equal infinities, and NaN where NaN is expected, are no difference; other NaN is infinite."""
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(found - expected)
        apart = apart / np.maximum(1.0, np.abs(expected)) if relative else apart
    return float(np.nan_to_num(np.where(same, 0.0, apart), nan=np.inf).max(initial=0.0))


def _different(plan: Plan, found: Floats, expected: Floats, labels: list[str] | None, gap: Any) -> int:
    if not plan.classes:
        return 0
    own = found.astype(np.float32).argmax(axis=1)
    if labels is None:
        return int((own != expected.astype(np.float32).argmax(axis=1))[~gap].sum())
    said = np.array([text_of(each) for each in labels])
    return int((np.array(plan.classes)[own] != said)[~gap].sum())
