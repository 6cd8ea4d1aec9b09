"""What a version of one text has, whatever is told of it: a transformer from a folder in the Hugging Face format, its
tokenizer, and texts to try it with."""

from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from aias.artifact.manifest import FORMAT, EncoderEntry, Lineage, Manifest, Parity
from aias.core.errors import UserError
from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.subwords import AS_PUBLISHED, TOKENIZER, Subwords
from aias.encoders.text import Text
from aias.graph.edge_cases import EDGE_CASES
from aias.runtimes.latency import median_us
from aias.runtimes.onnxruntime import MODEL, OnnxRuntime

TEXT: Final = Field("text", "text", example="How do I get a refund?", reason="what the encoder reads")


USUAL: Final = (
    "How do I get a refund?",
    "The film was dull, and longer than it had to be.",
    "Der Zug nach München hat heute zwanzig Minuten Verspätung.",
    "def add(a, b):\n    return a + b",
    "Quarterly revenue rose 12.5 % to $4.2 billion; margins narrowed for the third time in a row.",
)
ODD: Final = tuple(each for each in EDGE_CASES["text"] if isinstance(each, str))

_TABLE: Final = "encoders/0.json"
_UNBOUNDED: Final = 1 << 30


def files_of(graph: bytes, subwords: Subwords) -> dict[str, bytes]:
    """All files but the card; of texts only tokens are read."""
    return {
        MODEL: graph,
        _TABLE: msgspec.json.encode(Text([], [], [], []).table()),
        TOKENIZER: msgspec.json.encode(subwords.table()),
        "profile.json": b"{}",
    }


def draft(
    name: str, task: Task, settings: dict[str, object], *, began: str, field: Field = TEXT, sentence_encoder: str = ""
) -> Manifest:
    """The manifest before anything was proved or measured."""
    libraries = {each: version(each) for each in ("aias", "onnx", "onnxruntime", "tokenizers")}
    return Manifest(
        format=FORMAT, name=name, task=task, inputs=(field,), ignored=(),
        encoders=(EncoderEntry(field.name, Text.kind, Text.version, _TABLE),
                  EncoderEntry(field.name, Subwords.kind, Subwords.version, TOKENIZER)),
        lineage=Lineage("import", "", settings, 0, libraries=libraries, started_at=began,
                        sentence_encoder=sentence_encoder),
        measurements=(), parity=Parity(0, 0, 0.0, 0.0), leaderboard=(), rows={},
    )  # fmt: skip


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


def row_us(runtime: OnnxRuntime) -> float:
    """The median over the usual texts, from a dict to the answer."""
    return round(median_us(runtime, [{TEXT.name: each} for each in USUAL]), 1)
