"""A version of this very registry: trained, compressed or imported."""

import re
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from aias.core.names import Ref
from aias.core.schema import Schema
from aias.core.settings import home
from aias.registry.registry import Registry
from aias.runtimes.onnxruntime import OnnxRuntime
from aias.teaching.teachers.contract import BadTeacher, Question, Row, Said, amount, likely

__all__ = ["Version"]


class Version:
    reads: ClassVar[tuple[str, ...] | None] = None
    rows_at_once: ClassVar[int] = 1_024
    concurrent: ClassVar[int] = 1

    def __init__(self, runtime: OnnxRuntime, *, ref: str, digest: str) -> None:
        task = runtime.manifest.task
        if task.width:
            raise BadTeacher(f"{ref} gives vectors, and no answers", hint="name a version that predicts")
        self._runtime, self.manifest = runtime, runtime.manifest
        self.who, self.identity = ref, ("version", digest, "chances")
        self.schema: Schema | None = Schema(runtime.manifest.inputs)
        self.classes: tuple[str, ...] | None = task.classes

    @staticmethod
    def fits(source: str) -> bool:
        return re.match(r"[a-z]+://", source) is None

    @classmethod
    def open(cls, source: str, question: Question) -> "Version":
        """Raises `NotFound`, `Damaged`."""
        registry = Registry.open(question.home or home())
        version = registry.version(Ref.parse(source))
        runtime = OnnxRuntime.load(registry.folder(version), registry.manifest(version))
        return cls(runtime, ref=str(version), digest=version.digest)

    def ask(self, rows: Sequence[Row]) -> list[Said]:
        """A network from elsewhere may have no answer where a value is missing."""
        found = self._runtime.predict(list(rows))
        if found.probabilities is None:
            return [amount(float(each)) for each in found.predictions]
        classes, known = self._runtime.manifest.task.classes, np.isfinite(found.probabilities.sum(axis=1))
        return [
            Said(str(label), chances=likely(classes, each)) if sure else Said("", came="nan")
            for label, sure, each in zip(found.predictions, known, found.probabilities.tolist(), strict=True)
        ]
