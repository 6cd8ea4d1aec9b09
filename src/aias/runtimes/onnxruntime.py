"""ONNX Runtime on one thread: a row costs a few microseconds, and no neighbour is disturbed."""

import hashlib
import math
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import copy
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from aias.artifact.manifest import FileEntry, Manifest
from aias.core.catalog import member
from aias.core.errors import BadValue, Damaged
from aias.core.graph import GRAFTED, ROUNDED, TWO_WAYS, UNPADDED
from aias.core.limits import FOREIGN_BYTES_MAX
from aias.core.memory import give_back
from aias.encoders.rows import Encoded, RowEncoder
from aias.encoders.subwords import Subwords
from aias.runtimes.contract import Answers, Column, Row, Text, Vectors
from aias.runtimes.lengths import runs
from aias.runtimes.tree_nodes import taken

__all__ = ["OnnxRuntime"]

MODEL: Final = "model.onnx"

CHUNK_ROWS: Final = 4_096
"""Rows of one call into the graph; bounds the memory of its intermediate tensors."""


TRIM_FROM_BYTES: Final = 1 << 20
"""Of a graph. What ONNX Runtime reads it with is several times as large, and stays with the process unless asked."""


_KEPT: Final = {
    "optimized_model_external_initializers_min_size_in_bytes": "1024",
    "save_external_prepacked_constant_initializers": "1",
}
"""How a graph is kept: its weights in a file of their own, also as this processor multiplies them."""


class Session:
    """A graph in memory, or as `mapped.py` keeps it, of which one output is asked for. `threads` of them work on parts
    of many texts side by side; how many does not change the answer. `keep_as`: a path to keep it so.
    """

    def __init__(self, model: bytes | Path, *, output: str, threads: int = 1, keep_as: Path | None = None) -> None:
        # What is kept in files is not cut: the trees stand in it.
        trees = taken(model) if isinstance(model, bytes) and keep_as is None else None
        session = _session(trees.rest if trees else model, keep_as)
        if trees:
            give_back()
        self.threads, self.output, self.engine = threads, output, "onnxruntime"
        # The session under the session: what the public `run` checks on every call costs as much as a small graph.
        run = getattr(session, "_sess", session).run
        self._run = trees.before(run) if trees else run
        self._options = _only_what_is_asked()
        names = {each.name for each in session.get_inputs()}
        self._reads_terms, self.reads_tokens = "term_ids" in names, "tokens" in names
        self.reads_vectors = "vectors" in names
        notes = session.get_modelmeta().custom_metadata_map
        self._unpadded, self.two_ways, self.rounded = (each in notes for each in (UNPADDED, TWO_WAYS, ROUNDED))
        self._output = [output]

    @property
    def engine_run(self) -> Callable[..., Any]:
        """As ONNX Runtime's sessions are called: outputs, feeds, options → the outputs' arrays."""
        return self._run

    def behind(self, run: Callable[..., Any], *, name: str) -> "Session":
        """The same graph answered by another engine."""
        other = copy(self)
        other._run, other.engine, other._options = run, name, None  # noqa: SLF001  its own kind
        return other

    def run(self, encoded: Encoded) -> Any:
        """The output of all rows, (rows, ...), a part of them after another."""
        if self.reads_tokens and encoded.rows > 1 and encoded.tokens is not None:
            return self._run_by_length(encoded, encoded.tokens, np.asarray(encoded.token_mask))
        if encoded.rows <= CHUNK_ROWS:
            return self._run(self._output, self._feeds(encoded), self._options)[0]
        starts = range(0, encoded.rows, CHUNK_ROWS)
        parts = [encoded.take(np.arange(at, min(at + CHUNK_ROWS, encoded.rows))) for at in starts]
        return np.concatenate([self.run(part) for part in parts])

    def _run_by_length(self, encoded: Encoded, tokens: Any, mask: Any) -> Any:
        """Texts of about one length together, so that hardly any padding is computed."""
        texts = len(tokens) // encoded.rows
        lengths = mask.sum(axis=1).reshape(encoded.rows, texts)
        places = runs(lengths.max(axis=1), lengths.sum(axis=1), texts=texts, unpadded=self._unpadded)
        if len(places) == 1:
            return self._run(self._output, self._feeds(encoded), self._options)[0]

        def run(rows: Any) -> Any:
            return self._run(self._output, self._feeds(encoded.take(rows)), self._options)[0]

        if self.threads == 1:
            parts = [run(rows) for rows in places]
        else:
            with ThreadPoolExecutor(self.threads) as pool:
                parts = list(pool.map(run, places))
        return np.concatenate(parts)[np.argsort(np.concatenate(places), kind="stable")]

    def _feeds(self, encoded: Encoded) -> dict[str, Any]:
        if not self._reads_terms:
            feeds: dict[str, Any] = {"columns": encoded.columns}
        else:
            feeds = {"columns": encoded.columns, "term_ids": encoded.term_ids, "term_segments": encoded.term_segments}
        if self.reads_tokens:
            feeds |= {"tokens": encoded.tokens, "token_mask": encoded.token_mask}
        if self.reads_vectors:
            feeds["vectors"] = encoded.vectors
        return feeds


class OnnxRuntime:
    """An artifact in memory, answered by ONNX Runtime or a faster engine that agrees with it (`engine_choice.py`)."""

    def __init__(
        self, manifest: Manifest, encoder: RowEncoder, model: bytes | Path, *, keep_as: Path | None = None
    ) -> None:
        self.manifest, self.encoder, self.read = manifest, encoder, encoder.json
        self.mapped_bytes = weights_of(model).stat().st_size if isinstance(model, Path) else 0
        self._classes = list(manifest.task.classes)
        self._embeds = manifest.task.type == "embedding"
        output = "vectors" if self._embeds else "probabilities" if self._classes else "prediction"
        self.session = Session(model, output=output, keep_as=keep_as)
        self._run = self.session.run
        self._weights = np.array(manifest.label_weights, np.float32) if manifest.label_weights else None
        self._bins: tuple[Any, Any, Any, float] | None = None
        if manifest.intervals is not None:
            held: Any = manifest.intervals
            floor = held.get("floor")
            self._bins = (held["edges"], held["lower"], held["upper"], -math.inf if floor is None else float(floor))
        if self.session.reads_tokens and encoder.subwords is None:
            raise Damaged(f"the artifact of `{manifest.name}` has no tokenizer, and its graph reads tokens")

    @classmethod
    def load(
        cls, folder: Path, manifest: Manifest, *, graph: Path | None = None, keep_as: Path | None = None
    ) -> "OnnxRuntime":
        """From a folder; the very bytes that are used are checked against the manifest. `graph`: one that was kept of
        the same version before, in place of its own. Raises `Damaged`."""
        read = [entry for entry in manifest.files if graph is None or entry.path != MODEL]
        files = {entry.path: _sealed(folder, entry, manifest) for entry in read}
        return cls.from_files(files, manifest, graph=graph, keep_as=keep_as)

    @classmethod
    def from_files(
        cls, files: Mapping[str, bytes], manifest: Manifest, *, graph: Path | None = None, keep_as: Path | None = None
    ) -> "OnnxRuntime":
        """From the files of an artifact in memory. Raises `Damaged`."""
        try:
            return cls(manifest, _encoder_of(files, manifest), graph or files[MODEL], keep_as=keep_as)
        except (KeyError, msgspec.MsgspecError, TypeError, ValueError) as fault:
            raise Damaged(f"the artifact of `{manifest.name}` does not fit together: {fault!r}") from None

    def predict(self, rows: Sequence[Row]) -> Answers:
        """The answers in the order of the rows. Raises `BadValue`."""
        if len(rows) == 1:
            encoded = self.encoder.one(rows[0])
            return self.answer(self._marked(encoded, self._texts_of(rows)) if self._embeds else encoded)
        return self.answer(self.encode(rows))

    def predict_columns(self, columns: Mapping[str, Column], rows: int) -> Answers:
        """The same from columns of equal length. Raises `BadValue`."""
        return self.answer(self.encode_columns(columns, rows))

    def embed(self, texts: Sequence[Text]) -> Answers:
        """The vectors of texts, each a string or its tokens' ids; for an embedding only. Raises `BadValue`."""
        if not texts:
            return Answers([], None, vectors=Vectors(np.empty((0, self.manifest.task.width), np.float32), [], []))
        return self.answer(self.encode_texts(texts))

    def encode(self, rows: Sequence[Row]) -> Encoded:
        """Raises `BadValue`."""
        encoded = self.encoder.rows(rows)
        return self._marked(encoded, self._texts_of(rows)) if self._embeds else encoded

    def encode_columns(self, columns: Mapping[str, Column], rows: int) -> Encoded:
        """Raises `BadValue`."""
        encoded = self.encoder.columns(columns, rows)
        if self._embeds:
            return self._marked(encoded, columns.get(self.manifest.inputs[0].name, [None] * rows))
        return encoded

    def encode_texts(self, texts: Sequence[Text]) -> Encoded:
        """Raises `BadValue`."""
        subwords = self.encoder.subwords
        assert self._embeds
        assert subwords is not None
        ids = []
        for at, text in enumerate(texts):
            try:
                ids.append(subwords.encode(text) if isinstance(text, str) else subwords.marked(text))
            except BadValue as fault:
                raise fault.at(field=self.manifest.inputs[0].name, row=at) from None
        tokens, mask = subwords.padded(ids)
        nothing = np.zeros(0, np.int64)
        return self._marked(Encoded(np.empty((len(ids), 0)), nothing, nothing[:, None], 1, tokens, mask), texts)

    def answer(self, encoded: Encoded) -> Answers:
        """The answers to rows that may come from several callers."""
        return self._vectors(encoded) if self._embeds else self._answers(self._run(encoded))

    def answer_by(self, session: Session) -> None:
        """The same graph behind another engine (`runtimes.engine_choice`)."""
        self.session, self._run = session, session.run

    def run(self, encoded: Encoded) -> Any:
        """Probabilities (rows, classes) float32, or predictions (rows,) float64."""
        return self.session.run(encoded)

    def _answers(self, found: Any) -> Answers:
        if not self._classes:
            predictions: list[float] = found.tolist()
            return Answers(predictions, None, self._within(predictions))
        classes, weighed = self._classes, found if self._weights is None else found * self._weights
        if len(found) == 1:
            return Answers([classes[int(weighed.argmax())]], found)
        return Answers([classes[i] for i in weighed.argmax(axis=1).tolist()], found)

    def _vectors(self, encoded: Encoded) -> Answers:
        assert encoded.token_mask is not None
        assert encoded.cut is not None
        counts: list[int] = encoded.token_mask.sum(axis=1).tolist()
        return Answers([], None, vectors=Vectors(self._run(encoded), counts, encoded.cut.tolist()))

    def _marked(self, encoded: Encoded, texts: Column | Sequence[Text]) -> Encoded:
        """With the texts noted of which not all was read."""
        subwords = self.encoder.subwords
        assert subwords is not None
        assert encoded.token_mask is not None
        counts: list[int] = encoded.token_mask.sum(axis=1).tolist()
        # Only what fills all of its place can have been cut.
        cut = [count >= subwords.length_max and subwords.cuts(text) for count, text in zip(counts, texts, strict=True)]
        return replace(encoded, cut=np.array(cut, np.bool_))

    def _texts_of(self, rows: Sequence[Row]) -> list[object]:
        return [row.get(self.manifest.inputs[0].name) for row in rows]

    def _within(self, predictions: list[float]) -> list[tuple[float, float]] | None:
        """From and to where the truth should lie, for each prediction."""
        if self._bins is None:
            return None
        edges, lower, upper, floor = self._bins
        if len(predictions) == 1:  # by the shortest way
            place = bisect_right(edges, value := predictions[0])
            low, high = value + lower[place], value + upper[place]
            return [(max(low, floor), max(high, floor))]
        places = [bisect_right(edges, value) for value in predictions]
        return [
            (max(value + lower[i], floor), max(value + upper[i], floor))
            for value, i in zip(predictions, places, strict=True)
        ]


def library_ready() -> None:
    """Load ONNX Runtime itself, so that no copy of this process has to."""
    import onnxruntime  # noqa: F401


def sealed_graph(folder: Path, manifest: Manifest) -> bytes:
    """The graph alone, checked likewise."""
    return next(_sealed(folder, entry, manifest) for entry in manifest.files if entry.path == MODEL)


def _sealed(folder: Path, entry: FileEntry, manifest: Manifest) -> bytes:
    held = (folder / entry.path).read_bytes()
    if hashlib.sha256(held).hexdigest() != entry.sha256:
        raise Damaged(
            f"{entry.path} of `{manifest.name}` is not what was sealed", hint="deploy another version, or train again"
        )
    return held


def _encoder_of(files: Mapping[str, bytes], manifest: Manifest) -> RowEncoder:
    """One table for each field, and one of subwords that all texts share."""
    own = [entry for entry in manifest.encoders if entry.kind != Subwords.kind]
    shared = sorted({entry.path for entry in manifest.encoders if entry.kind == Subwords.kind})
    if len(shared) > 1:
        raise ValueError("there are several tokenizers")
    for entry in manifest.encoders:
        encoder = member("encoders", entry.kind)
        ours = encoder.version
        if entry.version not in getattr(encoder, "reads", (ours,)):
            raise Damaged(
                f"`{entry.field}` was read by version {entry.version} of the {entry.kind} encoder; here is {ours}",
                hint="train or import again, or serve it with the Aias that made it",
            )
    tables = {entry.field: msgspec.json.decode(files[entry.path]) for entry in own}
    subwords = msgspec.json.decode(files[shared[0]]) if shared else None
    others = [field.name for field in manifest.ignored] + ([manifest.task.target] if manifest.task.target else [])
    return RowEncoder.load(manifest.inputs, tables, others=others, subwords=subwords)


def weights_of(graph: Path) -> Path:
    """The file beside a graph that was kept, which holds its weights."""
    return graph.with_suffix(".weights")


def _session(model: bytes | Path, keep_as: Path | None = None) -> Any:
    import onnxruntime

    read = model.read_bytes() if isinstance(model, Path) else model

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    if isinstance(model, Path):
        # It is what this very library made of the graph: nothing is left to do.
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    if keep_as is not None:
        options.optimized_model_filepath = str(keep_as)
        for name, value in _KEPT.items():
            options.add_session_config_entry(f"session.{name}", value)
        options.add_session_config_entry(
            "session.optimized_model_external_initializers_file_name", weights_of(keep_as).name
        )
    if GRAFTED.encode() in read:
        _bound_foreign()
        for name in ("use_env_allocators", "use_device_allocator_for_initializers"):
            options.add_session_config_entry(f"session.{name}", "1")
    told = str(model) if isinstance(model, Path) else model
    try:
        session = onnxruntime.InferenceSession(told, options, providers=["CPUExecutionProvider"])
    except Exception as fault:  # noqa: BLE001  ONNX Runtime has no public base for its errors
        raise Damaged(f"{MODEL} is not a graph that can run: {fault}") from None
    if isinstance(model, Path) or len(model) >= TRIM_FROM_BYTES:
        give_back()
    return session


@cache
def _bound_foreign() -> None:
    """One arena for all graphs that were made elsewhere: only what asks it for more than there is fails."""
    import onnxruntime

    where = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    onnxruntime.create_and_register_allocator(where, onnxruntime.OrtArenaCfg({"max_mem": FOREIGN_BYTES_MAX}))


def _only_what_is_asked() -> Any:
    """Without it a graph that can also name its label looks for that name in every run."""
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.only_execute_path_to_fetches = True
    return options
