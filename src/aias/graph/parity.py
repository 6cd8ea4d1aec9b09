"""The proof that a graph answers as its pipeline did. No proof, no model."""

from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from aias.artifact.manifest import Parity
from aias.core.arrays import Floats
from aias.core.errors import AiasError
from aias.core.evenly import evenly
from aias.encoders.rows import Encoded, RowEncoder
from aias.runtimes.contract import Row
from aias.runtimes.onnxruntime import OnnxRuntime

SCORE_DIFFERENCE_MAX: Final = 1e-5
"""Of probabilities, or of predictions relative to their largest size."""

ALONE_ROWS_MAX: Final = 500


class ParityBroken(AiasError):
    """The graph does not answer as the pipeline that it was compiled from, or otherwise alone than in a batch."""

    code = "graph.parity-broken"


def prove(
    scores: Callable[[Encoded], Floats], encoder: RowEncoder, runtime: OnnxRuntime, rows: Sequence[Row]
) -> Parity:
    """Answer `rows` by the pipeline and by the artifact as it will be served, in a batch and one by one.

    Raises `ParityBroken` when a label differs, or a score by more than 1e-5.
    """
    encoded = encoder.rows(rows)
    expected = scores(encoded)
    # What was made elsewhere may have no answer to a gap; then nobody has one.
    gaps = runtime.manifest.lineage.verb == "import"
    together = runtime.answer(encoded) if runtime.encoder is encoder else runtime.predict(rows)
    classes = runtime.manifest.task.classes
    if classes:
        assert together.probabilities is not None
        weighed = expected.astype(np.float32) * np.array(runtime.manifest.label_weights or 1.0, np.float32)
        wrong = sum(classes[i] != label for i, label in zip(weighed.argmax(axis=1), together.predictions, strict=True))
        found = together.probabilities.astype(np.float64)
        difference = _largest(_apart(found, expected, gaps=gaps))
    else:
        wrong = 0
        found = np.array(together.predictions, np.float64)[:, None]
        difference = _largest(_apart(found, expected, gaps=gaps)) / max(1.0, _size(expected, gaps=gaps))
    proof = Parity(len(rows), wrong, difference, _alone(runtime, rows, found, gaps=gaps))
    if wrong or not max(difference, proof.batch_difference_max) <= SCORE_DIFFERENCE_MAX:
        raise ParityBroken(
            f"the graph answers unlike the pipeline: {wrong} of {len(rows)} labels differ, "
            f"scores by up to {difference:.2g}, alone against in a batch by up to {proof.batch_difference_max:.2g}",
            hint="nothing was published; this is a fault of Aias, please report it with the schema of your data",
        )
    return proof


def _alone(runtime: OnnxRuntime, rows: Sequence[Row], together: Floats, *, gaps: bool) -> float:
    """The largest difference between a row's answer in the batch and by itself."""
    worst = 0.0
    for place in evenly(len(rows), ALONE_ROWS_MAX):
        alone = runtime.run(runtime.encoder.one(rows[place]))
        worst = max(worst, _largest(_apart(np.asarray(alone, np.float64).ravel(), together[place], gaps=gaps)))
    return worst if runtime.manifest.task.classes else worst / max(1.0, _size(together, gaps=gaps))


def _apart(found: Floats, expected: Floats, *, gaps: bool) -> Floats:
    """By how much they differ; with `gaps`, two that are NaN do not."""
    apart = np.abs(found - expected)
    return np.where(np.isnan(found) & np.isnan(expected), 0.0, apart) if gaps else apart


def _size(scores: Floats, *, gaps: bool) -> float:
    return _largest(np.abs(scores[~np.isnan(scores)] if gaps else scores))


def _largest(differences: Floats) -> float:
    """The largest element; NaN counts as infinite."""
    return float(np.nan_to_num(differences, nan=np.inf).max(initial=0.0))
