"""From a fitted pipeline to a model that is proved and measured: compile, prove, time, test, describe."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

import msgspec

from aias.artifact.card import card
from aias.artifact.encoder_tables import encoder_tables
from aias.artifact.manifest import Manifest, Parity
from aias.artifact.report import REPORT, read_report
from aias.core.arrays import Floats
from aias.core.events import Event, Watch
from aias.core.failpoints import failpoint
from aias.core.graph import GraphWriter
from aias.core.schema import Field
from aias.data.dataset import Dataset
from aias.encoders.rows import Encoded, RowEncoder
from aias.encoders.subwords import Subwords
from aias.graph.compile import compile_graph
from aias.graph.edge_cases import edge_case_rows
from aias.graph.parity import prove
from aias.runtimes.latency import median_us
from aias.runtimes.onnxruntime import OnnxRuntime
from aias.training.embedding import Embedding, KnownRows
from aias.training.pipeline import Pipeline

PARITY_ROWS_MAX: Final = 1_000
PARITY_SECONDS_MAX: Final = 2.0
"""A slow ensemble is proved on fewer held-out rows; never on fewer than `PARITY_ROWS_MIN`."""
PARITY_ROWS_MIN: Final = 200

SENTENCES_PARITY_ROWS_MIN: Final = 60
"""The same with a sentence encoder: its nodes gave the vectors that were learned from, so that only what follows them
is proved anew."""


@dataclass(frozen=True, slots=True)
class Trained:
    """A model that is proved and ready to be published: its manifest and its files by path."""

    manifest: Manifest
    files: dict[str, bytes]
    runtime: OnnxRuntime = field(repr=False)


@dataclass(frozen=True, slots=True)
class Timed:
    """A pipeline as it would be served: µs from a dict to the answer, bytes of the graph; and the processor seconds
    that this took to find out. `shared_us`: how much of the row's time is the sentence encoder's, which any number of
    members share."""

    row_us: float
    graph_bytes: int
    seconds: float
    shared_us: float = 0.0


def compiled(
    pipeline: Pipeline, encoder: RowEncoder, draft: Manifest, embedding: Embedding | None
) -> tuple[dict[str, bytes], OnnxRuntime]:
    """The files of the artifact, and their runtime; its manifest lists no tokenizer where the graph reads no tokens."""
    asked = []

    def write(graph: GraphWriter) -> str:
        assert embedding is not None
        asked.append(True)
        return embedding.sentences.write(graph)

    graph = compile_graph(
        pipeline, encoder.layout, classes=draft.task.classes, label_weights=draft.label_weights, sentences=write
    )
    reads = bool(asked) or _reads_tokens(pipeline)
    draft = draft if reads else _without_sentences(draft)
    entries, files = encoder_tables(draft.encoders, encoder)
    draft, files["model.onnx"] = replace(draft, encoders=entries), graph
    runtime = OnnxRuntime.from_files(files, draft)
    assert runtime.session.reads_tokens == reads
    if asked and embedding:
        runtime.session.threads = embedding.sentences.threads  # for the test rows; the answers do not change
    return files, runtime


def timed(
    pipeline: Pipeline, encoder: RowEncoder, draft: Manifest, rows: Sequence[Mapping[str, object]],
    *, known: KnownRows | None = None, shared_bytes: int = 0,
) -> Timed:  # fmt: skip
    """Compile it and ask it row by row. Raises `ParityBroken`, `Damaged`.

    `known`: the rows with their vectors, where there is a sentence encoder, which is then not compiled with every
    member; `shared_bytes`: what it would add to the graph.
    """
    began = time.process_time()
    graph = compile_graph(
        pipeline, encoder.layout, classes=draft.task.classes, vectors_width=known.width if known else 0
    )
    runtime = OnnxRuntime(draft, encoder.with_subwords(None), graph)
    reads = known is not None and runtime.session.reads_vectors
    if reads:
        runtime.encoder = cast("RowEncoder", known)
    prove(pipeline.scores, runtime.encoder, runtime, rows)
    row_us, seconds = median_us(runtime, rows), time.process_time() - began
    if known is None or not reads:
        return Timed(row_us, len(graph), seconds)
    return Timed(row_us + known.row_us, len(graph) + shared_bytes, seconds, known.row_us)


def finished(
    pipeline: Pipeline, encoder: RowEncoder, draft: Manifest, *, held_out: Dataset, profile: bytes,
    embedding: Embedding | None = None, same: Trained | None = None, rows_max: int = PARITY_ROWS_MAX, watch: Watch,
) -> Trained:  # fmt: skip
    """Compile and prove; raises `ParityBroken` when the graph answers otherwise than the pipeline. `same`: of the same
    training; where its graph is this one to the byte, its proof and its speed are this one's. `rows_max`: of those held
    out, by which it is proved."""
    files, runtime = compiled(pipeline, encoder, draft, embedding)
    failpoint("train.after_compile")
    if same is not None and files.items() <= same.files.items():
        proof, row_us = same.manifest.parity, same.manifest.row_us
    else:
        some = held_out.frame.head(min(PARITY_ROWS_MAX, rows_max))
        usual = some.select([each.name for each in draft.inputs]).to_dicts()
        row_us = median_us(runtime, usual)
        expected = embedding.expected(pipeline) if embedding and runtime.session.reads_tokens else pipeline.scores
        proof = _prove(expected, runtime, usual, draft.inputs, row_us=row_us)
    files["profile.json"] = profile
    failpoint("train.after_proof")
    said = f"the graph answers as the fitted model on {proof.rows:,} held-out and difficult rows"
    if rows_max < min(PARITY_ROWS_MIN, held_out.rows):
        said += ", no more of which are read, since their texts are long"
    facts = {"form": draft.form, **msgspec.to_builtins(proof)}
    watch(Event("train.parity", f"{draft.form} form proved: {said}", facts=facts))
    manifest = replace(runtime.manifest, parity=proof, row_us=round(row_us, 1))
    runtime.manifest = manifest
    return Trained(manifest, files, runtime)


def described(trained: Trained, manifest: Manifest) -> Trained:
    """The same with its last word: measurements in the manifest, and the card."""
    sizes = {path: len(held) for path, held in trained.files.items() if path != "card.md"}
    trained.runtime.manifest = manifest
    report = read_report(trained.files[REPORT]) if REPORT in trained.files else None
    written = card(manifest, sizes=sizes, report=report).encode()
    return Trained(manifest, trained.files | {"card.md": written}, trained.runtime)


def _reads_tokens(pipeline: Any) -> bool:
    """By itself, as a graph does that was made elsewhere."""
    while hasattr(pipeline, "pipeline"):
        pipeline = pipeline.pipeline
    return bool(getattr(pipeline, "reads_tokens", False))


def _without_sentences(draft: Manifest) -> Manifest:
    entries = tuple(entry for entry in draft.encoders if entry.kind != Subwords.kind)
    return replace(draft, encoders=entries, lineage=replace(draft.lineage, sentence_encoder=""))


def _prove(
    expected: Callable[[Encoded], Floats], runtime: OnnxRuntime, usual: list[dict[str, Any]], inputs: Sequence[Field],
    *, row_us: float,
) -> Parity:  # fmt: skip
    affordable = int(PARITY_SECONDS_MAX / max(row_us * 4e-6, 1e-9))
    least = SENTENCES_PARITY_ROWS_MIN if runtime.session.reads_tokens else PARITY_ROWS_MIN
    count = min(PARITY_ROWS_MAX, max(least, affordable))
    rows = [*usual[:count], *edge_case_rows(inputs, usual[:50])]
    return prove(expected, runtime.encoder, runtime, rows)
