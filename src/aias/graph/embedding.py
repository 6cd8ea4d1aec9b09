"""A sentence encoder by itself as an artifact: text in, its vector out.

folder ─read→ tokenizer, weights ─write→ graph ─compare with the formula→ manifest, files
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from aias.artifact.manifest import Manifest, Parity
from aias.artifact.vector_card import vector_card
from aias.core.arrays import Floats
from aias.core.task import Task
from aias.graph.builder import Builder
from aias.graph.one_text import ODD, TEXT, USUAL, draft, files_of, length_of, row_us
from aias.graph.parity import SCORE_DIFFERENCE_MAX, ParityBroken
from aias.graph.reference import reference
from aias.graph.sentences import SentenceEncoder
from aias.graph.transformer import Transformer
from aias.runtimes.golden import GOLDEN, record
from aias.runtimes.onnxruntime import OnnxRuntime


def embedding_of(folder: Path, *, name: str) -> tuple[Manifest, dict[str, bytes]]:
    """The artifact of an encoder in the Hugging Face format. Raises `UserError`, and `ParityBroken` without a proof."""
    began = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    encoder = SentenceEncoder.read(str(folder), texts=1, length_max=length_of(folder))
    subwords, transformer = encoder.subwords, encoder.transformer
    assert isinstance(transformer, Transformer), "as it was read, nothing was made smaller"
    builder = Builder(width=0, texts=1, sentences=encoder.write)
    files = files_of(builder.finish_vectors(builder.vectors), subwords)
    settings: dict[str, object] = {
        "encoder": folder.name, "tokens_max": subwords.length_max, "pooling": transformer.pooling,
        "normalised": transformer.normalised,
    }  # fmt: skip
    task = Task("", "embedding", "", width=transformer.width)
    made = draft(name, task, settings, began=began, sentence_encoder=encoder.digest)
    runtime = OnnxRuntime.from_files(files, made)
    manifest = replace(made, parity=prove_vectors(encoder, runtime), row_us=row_us(runtime))
    files[GOLDEN] = record(runtime)
    sizes = {path: len(held) for path, held in files.items()}
    return manifest, files | {"card.md": vector_card(manifest, sizes=sizes).encode()}


def prove_vectors(encoder: SentenceEncoder, runtime: OnnxRuntime) -> Parity:
    """Compare the graph as it will be served with the formula, in a batch and one by one. Raises `ParityBroken`."""
    texts = [*USUAL, *ODD]
    assert isinstance(encoder.transformer, Transformer)
    expected = reference(encoder.transformer, [encoder.subwords.encode(each) for each in texts])
    together = _values(runtime, texts)
    alone = np.concatenate([_values(runtime, [each]) for each in texts])
    size = max(1.0, float(np.abs(expected).max()))
    difference, apart = (_largest(each) / size for each in (together - expected, together - alone))
    if not max(difference, apart) <= SCORE_DIFFERENCE_MAX:
        raise ParityBroken(
            f"the graph's vectors are not those of the formula: apart by up to {difference:.2g}, alone against in a "
            f"batch by up to {apart:.2g}",
            hint="nothing was published; are all weights of the encoder finite?",
        )
    return Parity(len(texts), 0, difference, apart)


def _values(runtime: OnnxRuntime, texts: Sequence[str]) -> Floats:
    vectors = runtime.predict([{TEXT.name: each} for each in texts]).vectors
    assert vectors is not None
    return vectors.values.astype(np.float64)


def _largest(differences: Floats) -> float:
    return float(np.nan_to_num(np.abs(differences), nan=np.inf).max(initial=0.0))
