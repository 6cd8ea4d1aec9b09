"""A frozen sentence encoder: it gives vectors to what is fitted here, and writes itself into what is served.

folder → subwords       text → tokens, by the very tokenizer that is served
       → transformer    tokens → vectors, by the very nodes that are served
"""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from aias.core.errors import UserError
from aias.core.graph import GraphWriter
from aias.encoders.rows import Encoded
from aias.encoders.subwords import LENGTH_MAX, Subwords
from aias.graph.builder import Builder
from aias.graph.transformer import Transformer
from aias.graph.transformer_files import read_transformer
from aias.runtimes.onnxruntime import Session

TRIED_ROWS: Final = 64
"""Whose vectors tell how long all rows will take."""

_FILES: Final = ("*.json", "model.safetensors", "1_Pooling/config.json")
"""What is fetched of a published encoder; never a file that could hold code."""


@dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """`texts`: how many text fields the rows have."""

    folder: Path
    subwords: Subwords
    transformer: Transformer
    texts: int
    threads: int = 1

    @classmethod
    def read(cls, name: str, *, texts: int, threads: int = 1, length_max: int = LENGTH_MAX) -> "SentenceEncoder":
        """From a folder or a name on the hub. Raises `UserError`."""
        folder = folder_of(name)
        transformer = read_transformer(folder)
        subwords = Subwords.read(folder, length_max=min(length_max, transformer.length_max))
        return cls(folder, subwords, transformer, texts, threads)

    @property
    def width(self) -> int:
        """Of the vectors of one row."""
        return self.texts * self.transformer.width

    @cached_property
    def digest(self) -> str:
        """Of the weights; for the lineage."""
        parts = sorted(self.folder.rglob("*.safetensors"))
        return hashlib.sha256(b"".join(hashlib.sha256(part.read_bytes()).digest() for part in parts)).hexdigest()

    def write(self, graph: GraphWriter) -> str:
        return self.transformer.write(graph, texts=self.texts)

    def embedded(self, encoded: Encoded) -> Encoded:
        """The same rows with their vectors, computed by the graph that is served."""
        assert encoded.tokens is not None, "rows are encoded with the subwords of their sentence encoder"
        return replace(encoded, vectors=self._session.run(_texts_of(encoded)))

    def tried_rows(self, encoded: Encoded) -> int:
        """How many rows `expected_seconds` goes by."""
        return min(encoded.rows, TRIED_ROWS * self.threads)

    def expected_seconds(self, encoded: Encoded, *, clock: Callable[[], float] = time.perf_counter) -> float:
        """What `embedded` will take, by what some of the rows take now."""
        if not encoded.rows:
            return 0.0
        encoded = _texts_of(encoded)
        tried = np.unique(np.linspace(0, encoded.rows - 1, self.tried_rows(encoded)).astype(np.int64))
        self._session.run(encoded.take(tried[:1]))  # the first run makes room in memory
        began = clock()
        self._session.run(encoded.take(tried))
        return (clock() - began) * encoded.rows / len(tried)

    @property
    def size_bytes(self) -> int:
        """Of the encoder as a graph."""
        return self._compiled[1]

    @property
    def _session(self) -> Session:
        return self._compiled[0]

    @cached_property
    def _compiled(self) -> tuple[Session, int]:
        builder = Builder(width=0, texts=0, sentences=self.write)
        graph = builder.finish_vectors(builder.vectors)
        return Session(graph, output="vectors", threads=self.threads), len(graph)


def _texts_of(encoded: Encoded) -> Encoded:
    """The rows as the encoder's own graph takes them, which reads nothing but tokens."""
    return replace(encoded, columns=np.empty((encoded.rows, 0)))


def folder_of(name: str) -> Path:
    """A folder as it is; else the hub's copy on this machine, fetched when there is none. Raises `UserError`."""
    if Path(name).is_dir():
        return Path(name)
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UserError(
            f"there is no folder `{name}`",
            hint="name a folder in the Hugging Face format; names on the hub need `pip install huggingface_hub`",
        ) from None
    try:
        return Path(snapshot_download(name, allow_patterns=list(_FILES)))
    except Exception as fault:  # noqa: BLE001  errors of the network, the hub and the name are many
        raise UserError(
            f"the sentence encoder `{name}` is no folder and cannot be fetched: {str(fault)[:200]}",
            hint="without a network, name a folder in the Hugging Face format",
        ) from None
