"""ONNX Runtime on one thread: a row costs a few microseconds, and no neighbour is disturbed."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from aias.artifact.manifest import Manifest
from aias.core.errors import Damaged
from aias.encoders.rows import Encoded, RowEncoder
from aias.runtimes.contract import Answers, Column, Row

__all__ = ["OnnxRuntime"]

MODEL: Final = "model.onnx"

CHUNK_ROWS: Final = 4_096
"""Rows of one call into the graph; bounds the memory of its intermediate tensors."""


class OnnxRuntime:
    def __init__(self, manifest: Manifest, encoder: RowEncoder, model: bytes) -> None:
        self.manifest, self.encoder = manifest, encoder
        self._classes = list(manifest.task.classes)
        session = _session(model)
        # The session under the session: what the public `run` checks on every call costs as much as a small graph.
        self._run = getattr(session, "_sess", session).run
        self._texts = encoder.layout.texts
        self._output = ["probabilities" if self._classes else "prediction"]

    @classmethod
    def load(cls, folder: Path, manifest: Manifest) -> "OnnxRuntime":
        """From a folder; the very bytes that are used are checked against the manifest. Raises `Damaged`."""
        files = {}
        for entry in manifest.files:
            files[entry.path] = held = (folder / entry.path).read_bytes()
            if hashlib.sha256(held).hexdigest() != entry.sha256:
                raise Damaged(
                    f"{entry.path} of `{manifest.name}` is not what was sealed",
                    hint="deploy another version, or train again",
                )
        return cls.from_files(files, manifest)

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], manifest: Manifest) -> "OnnxRuntime":
        """From the files of an artifact in memory. Raises `Damaged`."""
        try:
            tables = {entry.field: msgspec.json.decode(files[entry.path]) for entry in manifest.encoders}
            others = [field.name for field in manifest.ignored] + [manifest.task.target]
            encoder = RowEncoder.load(manifest.inputs, tables, others=others)
            return cls(manifest, encoder, files[MODEL])
        except (KeyError, msgspec.MsgspecError, TypeError, ValueError) as fault:
            raise Damaged(f"the artifact of `{manifest.name}` does not fit together: {fault!r}") from None

    def predict(self, rows: Sequence[Row]) -> Answers:
        """The answers in the order of the rows. Raises `BadValue`."""
        if len(rows) == 1:
            return self._answers(self.run(self.encoder.one(rows[0])))
        return self._answers(self.run(self.encoder.rows(rows)))

    def predict_columns(self, columns: Mapping[str, Column], rows: int) -> Answers:
        """The same from columns of equal length. Raises `BadValue`."""
        return self._answers(self.run(self.encoder.columns(columns, rows)))

    def run(self, encoded: Encoded) -> Any:
        """Probabilities (rows, classes) float32, or predictions (rows,) float64."""
        if encoded.rows <= CHUNK_ROWS:
            return self._run(self._output, self._feeds(encoded), None)[0]
        starts = range(0, encoded.rows, CHUNK_ROWS)
        parts = [encoded.take(np.arange(at, min(at + CHUNK_ROWS, encoded.rows))) for at in starts]
        return np.concatenate([self.run(part) for part in parts])

    def _feeds(self, encoded: Encoded) -> dict[str, Any]:
        if not self._texts:
            return {"columns": encoded.columns}
        return {"columns": encoded.columns, "term_ids": encoded.term_ids, "term_segments": encoded.term_segments}

    def _answers(self, found: Any) -> Answers:
        if not self._classes:
            return Answers(found.tolist(), None)
        classes = self._classes
        if len(found) == 1:
            return Answers([classes[found.argmax()]], found)
        return Answers([classes[i] for i in found.argmax(axis=1).tolist()], found)


def _session(model: bytes) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.enable_mem_pattern = False
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as fault:  # noqa: BLE001  ONNX Runtime has no public base for its errors
        raise Damaged(f"{MODEL} is not a graph that can run: {fault}") from None
