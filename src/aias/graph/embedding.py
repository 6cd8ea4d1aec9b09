"""A sentence encoder by itself as an artifact: text in, its vector out.

folder ─read→ tokenizer, weights ─write→ graph ─compare with the formula→ manifest, files
"""

import datetime as dt
import time
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec
import numpy as np
import numpy.typing as npt

from aias.artifact.manifest import FORMAT, EncoderEntry, Lineage, Manifest, Parity
from aias.artifact.vector_card import vector_card
from aias.core.errors import UserError
from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.subwords import AS_PUBLISHED, Subwords
from aias.encoders.text import Text
from aias.graph.builder import Builder
from aias.graph.nasty import NASTY
from aias.graph.parity import SCORE_DIFFERENCE_MAX, ParityBroken
from aias.graph.reference import reference
from aias.graph.sentences import SentenceEncoder
from aias.graph.transformer import Transformer
from aias.graph.transformer_files import UnknownEncoder
from aias.runtimes.golden import GOLDEN, record
from aias.runtimes.onnxruntime import MODEL, OnnxRuntime

TEXT: Final = Field("text", "text", example="How do I get a refund?", reason="what the encoder reads")

TABLE: Final = "encoders/0.json"
TOKENIZER: Final = "encoders/tokenizer.json"

USUAL: Final = (
    "How do I get a refund?",
    "The film was dull, and longer than it had to be.",
    "Der Zug nach München hat heute zwanzig Minuten Verspätung.",
    "def add(a, b):\n    return a + b",
    "Quarterly revenue rose 12.5 % to $4.2 billion; margins narrowed for the third time in a row.",
)
_UNBOUNDED: Final = 1 << 30


def embedding_of(folder: Path, *, name: str) -> tuple[Manifest, dict[str, bytes]]:
    """The artifact of an encoder in the Hugging Face format. Raises `UserError`, and `ParityBroken` without a proof."""
    began = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    encoder = SentenceEncoder.read(str(folder), texts=1, length_max=length_of(folder))
    subwords, transformer = encoder.subwords, encoder.transformer
    assert isinstance(transformer, Transformer), "as it was read, nothing was made smaller"
    fitting(subwords, transformer)
    builder = Builder(width=0, texts=1, sentences=encoder.write)
    files = {
        MODEL: builder.finish_vectors(builder.vectors),
        TABLE: msgspec.json.encode(Text([], [], [], []).table()),
        TOKENIZER: msgspec.json.encode(subwords.table()),
        "profile.json": b"{}",
    }
    settings: dict[str, object] = {
        "encoder": folder.name, "tokens_max": subwords.length_max, "pooling": transformer.pooling,
        "normalised": transformer.normalised,
    }  # fmt: skip
    libraries = {each: version(each) for each in ("aias", "onnx", "onnxruntime", "tokenizers")}
    draft = Manifest(
        format=FORMAT, name=name, task=Task("", "embedding", "", width=transformer.width), inputs=(TEXT,), ignored=(),
        encoders=(EncoderEntry(TEXT.name, Text.kind, Text.version, TABLE),
                  EncoderEntry(TEXT.name, Subwords.kind, Subwords.version, TOKENIZER)),
        lineage=Lineage("import", "", settings, 0, libraries=libraries, started_at=began,
                        sentence_encoder=encoder.digest),
        measurements=(), parity=Parity(0, 0, 0.0, 0.0), leaderboard=(), rows={},
    )  # fmt: skip
    runtime = OnnxRuntime.from_files(files, draft)
    manifest = replace(draft, parity=prove_vectors(encoder, runtime), row_us=row_us(runtime))
    files[GOLDEN] = record(runtime)
    sizes = {path: len(held) for path, held in files.items()}
    return manifest, files | {"card.md": vector_card(manifest, sizes=sizes).encode()}


def prove_vectors(encoder: SentenceEncoder, runtime: OnnxRuntime) -> Parity:
    """Compare the graph as it will be served with the formula, in a batch and one by one. Raises `ParityBroken`."""
    texts = [each for each in (*USUAL, *NASTY["text"]) if isinstance(each, str)]
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


def fitting(subwords: Subwords, transformer: Transformer) -> None:
    """Raises `UnknownEncoder` where there are tokens without weights."""
    if subwords.size > len(transformer.words):
        raise UnknownEncoder(
            f"the sentence encoder's tokenizer has {subwords.size:,} tokens and its weights {len(transformer.words):,}",
            hint="use the tokenizer.json that was published with the weights",
        )


def length_of(folder: Path) -> int:
    """How many tokens of a text the folder says that the encoder reads. Raises `UserError`."""
    for name, key in (("sentence_bert_config.json", "max_seq_length"), ("tokenizer_config.json", "model_max_length")):
        path = folder / name
        try:
            found = msgspec.json.decode(path.read_bytes()).get(key) if path.is_file() else None
        except (OSError, ValueError, RecursionError, AttributeError) as fault:
            raise UserError(f"the sentence encoder's {name} cannot be read: {fault}", hint=AS_PUBLISHED) from None
        if isinstance(found, int) and found > 2:
            return found
    return _UNBOUNDED  # as many as it has positions


def _values(runtime: OnnxRuntime, texts: Sequence[str]) -> npt.NDArray[np.float64]:
    vectors = runtime.predict([{TEXT.name: each} for each in texts]).vectors
    assert vectors is not None
    return vectors.values.astype(np.float64)


def _largest(differences: npt.NDArray[np.float64]) -> float:
    return float(np.nan_to_num(np.abs(differences), nan=np.inf).max(initial=0.0))


def row_us(runtime: OnnxRuntime) -> float:
    """The median over the usual texts, from a dict to the vector."""
    calls = []
    for text in USUAL * 2:
        before = time.perf_counter()
        runtime.predict([{TEXT.name: text}])
        calls.append(time.perf_counter() - before)
    return round(float(np.median(calls)) * 1e6, 1)
