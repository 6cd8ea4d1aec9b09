"""From a fitted pipeline to a model that is proved and measured: compile, prove, time, test, describe."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import msgspec
import numpy as np

from aias.artifact.card import card
from aias.artifact.manifest import Manifest, Parity
from aias.artifact.report import REPORT, read_report
from aias.core.events import Event, Watch
from aias.core.failpoints import failpoint
from aias.core.schema import Field
from aias.data.dataset import Dataset
from aias.encoders.rows import RowEncoder
from aias.graph.compile import compile_graph
from aias.graph.nasty import nasty_rows
from aias.graph.parity import prove
from aias.runtimes.onnxruntime import OnnxRuntime
from aias.training.pipeline import Pipeline

PARITY_ROWS_MAX: Final = 1_000
PARITY_SECONDS_MAX: Final = 2.0
"""A slow ensemble is proved on fewer held-out rows; never on fewer than `PARITY_ROWS_MIN`."""
PARITY_ROWS_MIN: Final = 200

TIMED_CALLS: Final = 60
"""Single rows of which the median is a model's latency."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that is proved and ready to be published: its manifest and its files by path."""

    manifest: Manifest
    files: dict[str, bytes]
    runtime: OnnxRuntime = field(repr=False)


@dataclass(frozen=True, slots=True)
class Timed:
    """A pipeline as it would be served: its runtime, µs from a dict to the answer, bytes of the graph; and the seconds
    it took to find out."""

    runtime: OnnxRuntime
    row_us: float
    graph_bytes: int
    seconds: float


def compiled(pipeline: Pipeline, encoder: RowEncoder, draft: Manifest) -> tuple[dict[str, bytes], OnnxRuntime]:
    """The files of the artifact, and their runtime."""
    tables = encoder.tables()
    files = {entry.path: msgspec.json.encode(tables[entry.field]) for entry in draft.encoders}
    files["model.onnx"] = compile_graph(
        pipeline, encoder.layout, classes=draft.task.classes, label_weights=draft.label_weights
    )
    return files, OnnxRuntime.from_files(files, draft)


def timed(pipeline: Pipeline, encoder: RowEncoder, draft: Manifest, rows: Sequence[Mapping[str, object]]) -> Timed:
    """Compile it and ask it row by row. Raises `ParityBroken`, `Damaged`."""
    began = time.perf_counter()
    files, runtime = compiled(pipeline, encoder, draft)
    prove(pipeline.scores, encoder, runtime, rows)
    row_us = row_microseconds(runtime, rows)
    return Timed(runtime, row_us, len(files["model.onnx"]), time.perf_counter() - began)


def row_microseconds(runtime: OnnxRuntime, rows: Sequence[Mapping[str, object]]) -> float:
    """The median over single rows, from a Python dict to the answer."""
    calls = []
    for i in range(TIMED_CALLS):
        row = [rows[i % len(rows)]]
        before = time.perf_counter()
        runtime.predict(row)
        calls.append(time.perf_counter() - before)
    return float(np.median(calls)) * 1e6


def finished(
    pipeline: Pipeline, encoder: RowEncoder, draft: Manifest, *, held_out: Dataset, profile: bytes, watch: Watch
) -> Trained:
    """Compile and prove; raises `ParityBroken` when the graph answers otherwise than the pipeline."""
    files, runtime = compiled(pipeline, encoder, draft)
    failpoint("train.after_compile")
    files["profile.json"] = profile
    usual = held_out.frame.select([each.name for each in draft.inputs]).to_dicts()
    row_us = row_microseconds(runtime, usual)
    proof = _prove(pipeline, encoder, runtime, usual, draft.inputs, row_us=row_us)
    failpoint("train.after_proof")
    watch(Event(
        "train.parity", f"the graph answers as the pipeline on {proof.rows:,} held-out and nasty rows",
        facts={"form": draft.form, **msgspec.to_builtins(proof)},
    ))  # fmt: skip
    manifest = replace(draft, parity=proof, row_us=round(row_us, 1))
    runtime.manifest = manifest
    return Trained(manifest, files, runtime)


def described(trained: Trained, manifest: Manifest) -> Trained:
    """The same with its last word: measurements in the manifest, and the card."""
    sizes = {path: len(held) for path, held in trained.files.items() if path != "card.md"}
    trained.runtime.manifest = manifest
    report = read_report(trained.files[REPORT]) if REPORT in trained.files else None
    written = card(manifest, sizes=sizes, report=report).encode()
    return Trained(manifest, trained.files | {"card.md": written}, trained.runtime)


def _prove(
    pipeline: Pipeline, encoder: RowEncoder, runtime: OnnxRuntime, usual: list[dict[str, Any]],
    inputs: Sequence[Field], *, row_us: float,
) -> Parity:  # fmt: skip
    affordable = int(PARITY_SECONDS_MAX / max(row_us * 4e-6, 1e-9))
    count = min(PARITY_ROWS_MAX, max(PARITY_ROWS_MIN, affordable))
    rows = [*usual[:count], *nasty_rows(inputs, usual[:50])]
    return prove(pipeline.scores, encoder, runtime, rows)
