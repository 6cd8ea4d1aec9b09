"""A published graph in place of a pipeline: its nodes up to the scores, some of which compute otherwise.

Where the graph has no answer for a row with a gap (NaN), what is made of it has none either: whole numbers know no NaN.
Gaps that it fills stay filled.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto

from aias.core.arrays import Flags, Floats, Ints
from aias.core.evenly import evenly
from aias.core.graph import UNPADDED, GraphWriter
from aias.encoders.rows import Encoded, Layout
from aias.graph.builder import Builder
from aias.runtimes.onnxruntime import Session

Rewriting = Callable[[onnx.ModelProto], onnx.ModelProto]
"""Of a graph whose inputs and outputs stay. Raises `NothingToRewrite`."""

GAPS_MAX: Final = 64
"""Columns of which each is left without a value, to see whether there is an answer then."""

OPSET_MIN: Final = 13
"""From here on scales may be one for each channel."""


class NothingToRewrite(Exception):
    """It has nothing that could be computed in fewer bits, and says why."""


class Rewritten:
    """`layout`: of the encoder that the graph reads by; `classes`: of its task, empty for a number; `gaps`: columns,
    (width,), without a value of which it has to be kept from answering; None where it knows by itself."""

    settings: Mapping[str, Any] = {}

    def __init__(
        self, model: onnx.ModelProto, layout: Layout, *, classes: tuple[str, ...], gaps: Flags | None = None
    ) -> None:  # fmt: skip
        self.ir_version = model.ir_version
        self.opsets = {each.domain: each.version for each in model.opset_import}
        output = _output(classes)
        self._nodes, self._scores = up_to(model.graph, output)
        self._inputs = [each.name for each in model.graph.input]
        self._gaps, self._without = gaps is not None, gaps
        self._unpadded = any(each.key == UNPADDED for each in model.metadata_props)
        self.reads_tokens = "tokens" in self._inputs
        builder = Builder(width=layout.width, texts=layout.texts, opsets=self.opsets, ir_version=self.ir_version)
        self._session = Session(builder.finish(self.export(builder), classes=classes), output=output)

    def scores(self, encoded: Encoded) -> Floats:
        return np.asarray(self._session.run(encoded), np.float64).reshape(encoded.rows, -1)

    def export(self, graph: GraphWriter) -> str:
        assert isinstance(graph, Builder)
        here = graph.graft(self._nodes, {name: getattr(graph, name) for name in self._inputs if name in _READ})
        if self._unpadded:
            graph.note(UNPADDED)
        scores = here(self._scores)
        if not self._gaps:
            return scores
        gap = graph.op("And", graph.op("IsNaN", graph.columns), graph.constant(np.asarray(self._without)[None]))
        gap = graph.op("Cast", gap, to=TensorProto.FLOAT)
        gap = graph.op("ReduceSum", gap, graph.constant(np.array([1])), keepdims=1)
        return graph.op(
            "Where", graph.op("Cast", gap, to=TensorProto.BOOL), graph.constant(np.array([[np.nan]])), scores
        )

    def state(self) -> dict[str, Any]:
        return {}


_READ: Final = ("columns", "term_ids", "term_segments", "tokens", "token_mask")


def rewritten(model: bytes, how: Rewriting, layout: Layout, *, classes: tuple[str, ...]) -> Rewritten:
    """Raises `NothingToRewrite`."""
    found = onnx.load_from_string(model)
    version = next((each.version for each in found.opset_import if each.domain in ("", "ai.onnx")), 0)
    if version < OPSET_MIN:
        raise NothingToRewrite(f"its operator set is {version}, and scales for each channel came with {OPSET_MIN}")
    before = _unanswered(model, layout, output=_output(classes))
    made = how(found)
    after = _unanswered(made.SerializeToString(), layout, output=_output(classes)) if before.any() else before
    gaps = _kept_from(before, layout) if (before & ~after).any() else None
    return Rewritten(made, layout, classes=classes, gaps=gaps)


def _kept_from(unanswered: Flags, layout: Layout) -> Flags:
    """The columns, (width,), without a value of which there is no answer: but for those that are filled, where only
    some are; what was not looked at may be any."""
    able = _able(layout)
    found = np.zeros(layout.width, np.bool_)
    found[able] = True
    found[able[evenly(len(able), GAPS_MAX)]] = unanswered[1:]
    return found if found.any() else ~found


def _able(layout: Layout) -> Ints:
    """Columns that may be without a value; a category always has a code."""
    return np.setdiff1d(np.arange(layout.width), np.array(layout.categories, np.int64))


def _unanswered(model: bytes, layout: Layout, *, output: str) -> Flags:
    """For which rows with a gap there is no answer: all columns, then one of those that are looked at."""
    able = _able(layout)
    if not len(able) or layout.texts:
        return np.zeros(1, np.bool_)
    places = able[evenly(len(able), GAPS_MAX)]
    columns = np.zeros((1 + len(places), layout.width))
    columns[0, able], columns[1 + np.arange(len(places)), places] = np.nan, np.nan
    nothing = np.zeros(0, np.int64)
    answers = Session(model, output=output).run(Encoded(columns, nothing, nothing[:, None], 0))
    gone = np.isnan(np.asarray(answers, np.float64).reshape(len(columns), -1))
    return np.asarray(gone.any(axis=1))


def _output(classes: tuple[str, ...]) -> str:
    return "probabilities" if classes else "prediction"


def up_to(graph: onnx.GraphProto, output: str) -> tuple[onnx.GraphProto, str]:
    """What the scores need, before they become the output of that name."""
    makes = {name: node for node in graph.node for name in node.output}
    scores = makes[output].input[0]
    needed, nodes = {scores}, list[onnx.NodeProto]()
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(read_by(node))
            nodes.append(node)
    kept = onnx.GraphProto()
    kept.node.extend(reversed(nodes))
    kept.initializer.extend(each for each in graph.initializer if each.name in needed)
    return kept, scores


def read_by(node: onnx.NodeProto) -> list[str]:
    """The tensors that a node reads, or a graph within it."""
    within = [each.g for each in node.attribute if each.HasField("g")]
    own = [*node.input, *(each.name for graph in within for each in graph.output)]
    return [*own, *(name for graph in within for each in graph.node for name in read_by(each))]


def drop_unread(graph: onnx.GraphProto) -> None:
    """Of the tensors that are kept those that nothing reads any more."""
    read = {name for node in graph.node for name in read_by(node)} | {each.name for each in graph.output}
    kept = [each for each in graph.initializer if each.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
