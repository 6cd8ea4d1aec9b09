"""A fitted pipeline → the bytes of one ONNX file."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from aias.core.graph import GraphWriter
from aias.encoders.rows import Layout
from aias.graph.builder import Builder


class Exporter(Protocol):
    def export(self, graph: GraphWriter) -> str:
        """Write everything fitted into the graph; gives the scores' tensor."""


def compile_graph(
    pipeline: Exporter, layout: Layout, *, classes: Sequence[str], label_weights: Sequence[float] = (),
    sentences: Callable[[GraphWriter], str] | None = None, vectors_width: int = 0,
) -> bytes:  # fmt: skip
    """`classes`: the labels in the order of the scores; empty for regression. `label_weights`: times which the largest
    probability gives the label; empty weighs all alike. `sentences`: what writes the sentence encoder, should the
    pipeline ask for its vectors; `vectors_width`: that of vectors which come from outside instead, as in a trial.
    """
    builder = Builder(
        width=layout.width, texts=layout.texts, sentences=sentences, vectors_width=vectors_width, **_foreign(pipeline)
    )
    return builder.finish(pipeline.export(builder), classes=classes, label_weights=label_weights)


def _foreign(pipeline: Exporter) -> dict[str, Any]:
    """What a graph that was made elsewhere is written in, which what stands around it is then written in too."""
    while hasattr(pipeline, "pipeline"):
        pipeline = pipeline.pipeline
    found = {name: getattr(pipeline, name, None) for name in ("opsets", "ir_version")}
    return {name: each for name, each in found.items() if each}
