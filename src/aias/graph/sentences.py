"""A frozen sentence encoder: it gives vectors to what is fitted here, and writes itself into what is served.

folder → subwords       text → tokens, by the very tokenizer that is served
       → transformer    tokens → vectors, by the very nodes that are served
"""

import hashlib
import importlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Flags, Ints
from aias.core.errors import UserError
from aias.core.graph import GraphWriter
from aias.core.names import digest_of
from aias.encoders.rows import Encoded
from aias.encoders.subwords import LENGTH_MAX, Subwords
from aias.graph.builder import Builder
from aias.graph.int4 import Int4
from aias.graph.int8 import Int8
from aias.graph.static import StaticVectors
from aias.graph.transformer import Transformer
from aias.graph.transformer_files import fitting, read_transformer
from aias.graph.windows import Windows
from aias.runtimes.onnxruntime import Session

Vectors = npt.NDArray[np.float32]

_FILES: Final = ("*.json", "model.safetensors", "1_Pooling/config.json")
"""What is fetched of a published encoder; never a file that could hold code."""

ASK_SECONDS: Final = 10.0
"""For the hub to say whether it has a model of some name."""


@dataclass(frozen=True, eq=False)
class SentenceEncoder:
    """`texts`: how many text fields the rows have."""

    folder: Path
    subwords: Subwords
    transformer: "Transformer | Int8 | Int4 | StaticVectors | Windows"
    texts: int
    threads: int = 1

    @classmethod
    def read(cls, name: str, *, texts: int, threads: int = 1, length_max: int = LENGTH_MAX) -> "SentenceEncoder":
        """From a folder or a name on the hub. Raises `UserError`."""
        folder = folder_of(name)
        transformer = read_transformer(folder)
        subwords = Subwords.read(folder, length_max=min(length_max, transformer.length_max))
        fitting(subwords, transformer)
        return cls(folder, subwords, transformer, texts, threads)

    @property
    def whole(self) -> Transformer:
        """The transformer as it was read."""
        assert isinstance(self.transformer, Transformer), "what was made smaller is not gone on from"
        return self.transformer

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

    def shortened(self, length_max: int) -> "SentenceEncoder":
        """The same, which reads no more than so many tokens of a text."""
        if length_max >= self.subwords.length_max:
            return self
        found = replace(self, subwords=self.subwords.shortened(length_max))
        found.__dict__["_compiled"] = self._compiled  # the graph takes any length
        return found

    def embedded(self, encoded: Encoded) -> Encoded:
        """The same rows with their vectors, computed by the nodes that are served."""
        texts = Texts.of(encoded)
        return texts.into(encoded, self.vectors(texts))

    def vectors(self, texts: "Texts") -> Vectors:
        """One after another, (texts, width)."""
        count = len(texts.tokens)
        columns, mask = np.empty((count, 0)), texts.mask
        nothing = np.zeros(0, np.int64)
        return np.asarray(self._session.run(Encoded(columns, nothing, nothing[:, None], 1, texts.tokens, mask)))

    def seconds(self, encoded: Encoded) -> float:
        """What it takes to embed these rows."""
        texts = Texts.of(encoded)
        self.vectors(texts.part(slice(1)))  # the first run makes room in memory
        began = time.perf_counter()
        self.vectors(texts)
        return time.perf_counter() - began

    @property
    def size_bytes(self) -> int:
        """Of the encoder as a graph."""
        return self._compiled[1]

    @property
    def graph_digest(self) -> str:
        """Of all that decides which vector some tokens get."""
        return self._compiled[2]

    @property
    def _session(self) -> Session:
        return self._compiled[0]

    @cached_property
    def _compiled(self) -> tuple[Session, int, str]:
        """The graph of one text."""
        builder = Builder(width=0, texts=0, sentences=lambda graph: self.transformer.write(graph, texts=1))
        graph = builder.finish_vectors(builder.vectors)
        return Session(graph, output="vectors", threads=self.threads), len(graph), digest_of([graph])


@dataclass(frozen=True, slots=True, eq=False)
class Texts:
    """The different texts of some rows, each once, short ones first; `places` (rows, texts): which text is where."""

    tokens: Ints  # (texts, length)
    mask: Flags  # (texts, length)
    places: Ints

    @classmethod
    def of(cls, encoded: Encoded) -> "Texts":
        assert encoded.tokens is not None, "rows are encoded with the subwords of their sentence encoder"
        assert encoded.token_mask is not None
        lengths = encoded.token_mask.sum(axis=1)
        held = np.ascontiguousarray(np.hstack([lengths[:, None], encoded.tokens]))
        _, first, places = np.unique(_as_one(held), return_index=True, return_inverse=True)
        order = np.argsort(lengths[first], kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        first = first[order]
        return cls(encoded.tokens[first], encoded.token_mask[first], rank[places].reshape(encoded.rows, -1))

    def into(self, encoded: Encoded, vectors: Vectors) -> Encoded:
        """The rows that these are the texts of, with their vectors side by side."""
        return replace(encoded, vectors=vectors[self.places].reshape(encoded.rows, -1))

    def part(self, which: slice | Ints) -> "Texts":
        """Some of them, without the padding that they do not need; nobody's places."""
        mask = self.mask[which]
        length = int(mask.sum(axis=1).max(initial=0))
        return Texts(self.tokens[which, :length], mask[:, :length], self.places[:0])

    def parts(self, tokens_max: int) -> Iterator["Texts"]:
        """All of them, about so many tokens at once."""
        ends = self.mask.sum(axis=1).cumsum()
        at = 0
        while at < len(ends):
            before = ends[at - 1] if at else 0
            end = max(at + 1, int(np.searchsorted(ends, before + tokens_max, side="right")))
            yield self.part(slice(at, end))
            at = end


def _as_one(rows: Ints) -> npt.NDArray[np.void]:
    """Each row as one value that can be compared."""
    return rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()


def folder_of(name: str) -> Path:
    """A folder as it is; else the hub's copy on this machine, fetched when there is none. Raises `UserError`."""
    if _is_folder(name):
        return Path(name)
    hub = _hub(name)
    try:
        return Path(hub.snapshot_download(name, allow_patterns=list(_FILES)))
    except Exception as fault:  # noqa: BLE001  errors of the network, the hub and the name are many
        raise _not_found(name, fault) from None


def check_name(name: str) -> None:
    """Raises `UserError` where `folder_of` would find nothing; asks the hub, and fetches nothing."""
    if _is_folder(name):
        return
    hub = _hub(name)
    try:
        try:
            hub.snapshot_download(name, allow_patterns=list(_FILES), local_files_only=True)
        except hub.errors.LocalEntryNotFoundError:
            hub.model_info(name, timeout=ASK_SECONDS)
    except Exception as fault:  # noqa: BLE001  as above
        raise _not_found(name, fault) from None


def _is_folder(name: str) -> bool:
    return bool(name) and Path(name).is_dir()


def _hub(name: str) -> Any:
    try:
        return importlib.import_module("huggingface_hub")
    except ImportError:
        raise UserError(
            f"there is no folder `{name}`",
            hint="name a folder in the Hugging Face format; names on the hub need `pip install huggingface_hub`",
        ) from None


def _not_found(name: str, fault: Exception) -> UserError:
    return UserError(
        f"the sentence encoder `{name}` is no folder and cannot be fetched: {str(fault)[:200]}",
        hint="without a network, name a folder in the Hugging Face format",
    )
