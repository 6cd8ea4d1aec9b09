"""An imported classifier of texts in its two parts: the transformer, of which all is known, and the head above it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.compress.context import Context
from aias.compress.techniques.contract import NotApplicable
from aias.core.arrays import Floats
from aias.core.graph import GraphWriter
from aias.encoders.rows import Encoded
from aias.graph.classifier_files import Classifier
from aias.graph.read_back import OtherGraph, read_back
from aias.graph.sentences import SentenceEncoder
from aias.runtimes.onnxruntime import sealed_graph
from aias.training.embedding import Embedding

APART_MAX: Final = 1e-4
"""Of its answers to some texts, as they are and as they were read back: a query's weights are rounded twice."""


@dataclass(frozen=True, slots=True, eq=False)
class ClassifierHead:
    """A pipeline over the vectors of first tokens."""

    of: Classifier
    settings: Mapping[str, Any]

    def scores(self, encoded: Encoded) -> Floats:
        assert encoded.vectors is not None, "the transformer is asked before its vectors are read"
        return self.of.scores(encoded.vectors.astype(np.float64))

    def export(self, graph: GraphWriter) -> str:
        return self.of.write_head(graph, graph.vectors)

    def state(self) -> dict[str, Any]:
        return {}


def classifier_of(context: Context) -> tuple[Embedding, ClassifierHead]:
    """Raises `NotApplicable` where the parent is no such classifier."""
    parent, subwords = context.parent, context.encoder.subwords
    if subwords is None or parent.folder is None:
        raise NotApplicable("it has no sentence encoder")
    try:
        found = read_back(sealed_graph(parent.folder, parent.manifest), classes=context.task.classes)
    except OtherGraph as fault:
        raise NotApplicable(str(fault)) from None
    sentences = SentenceEncoder(parent.folder, subwords, found.transformer, texts=1, threads=context.threads)
    some = context.some_texts(subwords)
    seconds = sentences.seconds(some) / max(some.rows, 1)
    head = ClassifierHead(found, {})
    apart = np.abs(head.scores(sentences.embedded(some)) - parent_scores(context, some)).max(initial=0.0)
    if not apart <= APART_MAX * (1.0 if context.task.classes else max(1.0, float(np.abs(found.last.bias).max()))):
        raise NotApplicable(f"its parts as they were read back answer otherwise, by {apart:.2g}")
    return Embedding(sentences, seconds, 0.0, seconds), head


def parent_scores(context: Context, some: Encoded) -> Floats:
    return np.asarray(context.parent.runtime.run(some), np.float64).reshape(some.rows, -1)
