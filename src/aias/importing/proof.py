"""The proof that the graph answers as the foreign model itself does. No proof, no version.

A graph of float32 adds up otherwise alone than in a batch, and no sum in float32 is surer than its terms: what rounding
the columns of a row changes in its answer (a backward error of some units in the last place; Higham 2002, §3.1), its
sums may change too.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from aias.artifact.manifest import Parity
from aias.core.arrays import Floats
from aias.core.errors import AiasError
from aias.core.evenly import evenly
from aias.encoders.category import text_of
from aias.graph.parity import ALONE_ROWS_MAX, SCORE_DIFFERENCE_MAX
from aias.importing.formats.contract import Plan
from aias.importing.matching import Matched
from aias.importing.sandbox import Sandbox
from aias.runtimes.contract import Row
from aias.runtimes.onnxruntime import OnnxRuntime

UNIT: Final = 2.0**-23
"""Of the last place of a float32, relative."""

DRAWS: Final = 4
ROUNDINGS: Final = 16
"""Of the largest change in so many draws. Of linear models of 3 to 200 columns 2.3 were seen in some 4,000 rows."""

ROUNDED_MAX: Final = 1e-3
"""Relative to the answer, however much rounding may change."""


class NotProved(AiasError):
    """The graph made of the model answers unlike the model's own library, or otherwise alone than in a batch."""

    code = "importing.not-proved"


def prove(box: Sandbox, plan: Plan, matched: Matched, runtime: OnnxRuntime, rows: Sequence[Row]) -> tuple[Parity, int]:
    """And how many of the rows the model itself has no answer for: NaN, which is then ours as well.

    Raises `NotProved` when a label differs, or a score, or a row's answer by the rows around it, by more than 1e-5 (of
    an amount relative to its size) and than rounding its columns to float32 does.
    """
    encoded = runtime.encoder.rows(rows)
    expected, labels = box.answer(matched.values(encoded.columns), plan)
    found = np.asarray(runtime.run(encoded), np.float64).reshape(len(rows), -1)
    if found.shape != expected.shape:
        raise NotProved(f"the graph gives {found.shape[1]} numbers a row, the model {expected.shape[1]}")
    gap = np.isnan(expected).any(axis=1)
    apart = differences(found, expected, relative=not plan.classes)
    some = evenly(len(rows), ALONE_ROWS_MAX)
    alone = np.array([np.asarray(runtime.run(runtime.encoder.one(rows[at])), np.float64).ravel() for at in some])
    batched = differences(alone, found[some], relative=not plan.classes)
    wrong = _different(plan, found, expected, labels, gap)
    proof = Parity(len(rows), wrong, float(apart.max(initial=0.0)), float(batched.max(initial=0.0)))
    if max(proof.score_difference_max, proof.batch_difference_max) > SCORE_DIFFERENCE_MAX:
        rounded = _rounded(box, plan, matched, encoded.columns, expected)
        _check(apart, rounded, f"the graph answers unlike the model: {wrong} of {len(rows)} labels differ, scores", "")
        _check(
            batched, rounded[some], "a row is answered otherwise alone than among others,",
            "; export the model with a free batch dimension, in inference mode",
        )  # fmt: skip
    if wrong:
        raise NotProved(
            f"the graph answers unlike the model: {wrong} of {len(rows)} labels differ, scores by up to "
            f"{proof.score_difference_max:.2g}",
            hint="nothing was published" + (
                "; its own labels are not the classes of the largest probabilities: export it without labels, and the "
                "likeliest class is the answer" if labels else ""),
        )  # fmt: skip
    return proof, int(gap.sum())


def merged(first: Parity, second: Parity) -> Parity:
    return Parity(
        first.rows + second.rows, first.label_differences + second.label_differences,
        max(first.score_difference_max, second.score_difference_max),
        max(first.batch_difference_max, second.batch_difference_max),
    )  # fmt: skip


def differences(found: Floats, expected: Floats, *, relative: bool) -> Floats:
    """The largest difference of each row; equal infinities, and NaN where NaN is expected, are none; other NaN is
    infinite."""
    same = (found == expected) | (np.isnan(found) & np.isnan(expected))
    with np.errstate(invalid="ignore", over="ignore"):
        apart = np.abs(found - expected)
        apart = apart / np.maximum(1.0, np.abs(expected)) if relative else apart
    return np.asarray(np.nan_to_num(np.where(same, 0.0, apart), nan=np.inf).max(axis=1, initial=0.0))  # (rows,)


def _rounded(box: Sandbox, plan: Plan, matched: Matched, columns: Floats, expected: Floats) -> Floats:
    """By how much each row's answer changes when its numbers change in their last place as float32: (rows,)."""
    numbers, rng = np.array([each.kind == "number" for each in matched.inputs]), np.random.default_rng(0)
    most = np.zeros(len(columns))
    for _ in range(DRAWS):
        with np.errstate(over="ignore"):
            moved = columns * np.where(numbers, 1 + UNIT * rng.choice([-1.0, 1.0], columns.shape), 1.0)
        changed = differences(box.answer(matched.values(moved), plan)[0], expected, relative=not plan.classes)
        most = np.maximum(most, np.where(np.isfinite(changed), changed, 0.0))
    return most


def _check(apart: Floats, rounded: Floats, what: str, hint: str) -> None:
    """Raises `NotProved`."""
    allowed = np.maximum(SCORE_DIFFERENCE_MAX, ROUNDINGS * rounded)
    if (apart <= allowed).all():
        hint = (
            "; its sums keep too few digits in float32: scale the columns before it is trained, or export it in float64"
        )
    if (apart > np.minimum(allowed, ROUNDED_MAX)).any():
        raise NotProved(f"{what} by up to {apart.max():.2g}", hint=f"nothing was published{hint}")


def _different(plan: Plan, found: Floats, expected: Floats, labels: list[str] | None, gap: Any) -> int:
    if not plan.classes:
        return 0
    weights = np.array(plan.label_weights or 1.0, np.float32)
    if plan.label_weights:  # evens are what a sum of NaN becomes, and its label is chance
        gap = gap | (expected == expected[:, :1]).all(axis=1)
    own = (found.astype(np.float32) * weights).argmax(axis=1)
    if labels is None:
        return int((own != (expected.astype(np.float32) * weights).argmax(axis=1))[~gap].sum())
    said = np.array([text_of(each) for each in labels])
    return int((np.array(plan.classes)[own] != said)[~gap].sum())
