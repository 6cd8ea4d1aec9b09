"""Many fitted pipelines as one: the weighted mean of their scores, in as few nodes of the graph as it takes.

Linear models of one configuration become one by the mean of their weights; of forests of independent trees, as many
folds as there are give each that part of its trees. The trees of all others become one forest
with an output for each, as far as ONNX Runtime reads it quickly: a graph of a hundred small boosters has one
TreeEnsemble.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.forest import Forest, side_by_side
from aias.core.graph import GraphWriter
from aias.core.task import Task
from aias.encoders.rows import Encoded
from aias.training.logarithms import LogPipeline
from aias.training.pipeline import ColumnsPipeline, LinearPipeline, Pipeline

NODES_TOGETHER: Final = 30_000
"""Of a TreeEnsemble of several forests: what ONNX Runtime 1.32 takes to load one grows with the square. 192,000 nodes
in 6,400 trees load in 0.83 s and answer a row in 439 µs, in eight parts in 0.23 s and 368. A part more costs a row a
microsecond, so small ones stand together."""

LINKS: Final = ("sigmoid", "softmax", "identity")


@dataclass(frozen=True, slots=True)
class Part:
    """A pipeline and how much its scores count."""

    weight: float
    pipeline: Pipeline

    @property
    def link(self) -> str:
        """The link of trees (`learners.contract.Trees`); empty for everything else."""
        return str(getattr(getattr(self.pipeline, "fitted", None), "link", ""))


@dataclass(frozen=True, eq=False)
class Ensemble:
    """`parts`: of weights that sum to 1."""

    task: Task
    width: int
    """Of the encoded columns."""
    parts: Sequence[Part]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def scores(self, encoded: Encoded) -> Floats:
        total = np.zeros((encoded.rows, self.task.outputs))
        for part in self.parts:
            total += part.weight * part.pipeline.scores(encoded)
        return total

    def export(self, graph: GraphWriter) -> str:
        if len(self.parts) == 1:
            return self.parts[0].pipeline.export(graph)
        trees = sorted((part for part in self.parts if part.link), key=lambda part: LINKS.index(part.link))
        names = [self._export_trees(graph, trees)] if trees else []
        for part in self.parts:
            if not part.link:
                scores = part.pipeline.export(graph)
                names.append(graph.op("Mul", scores, graph.constant(np.float64(part.weight))))
        total = names[0]
        for name in names[1:]:
            total = graph.op("Add", total, name)
        return total

    def state(self) -> Mapping[str, Any]:
        raise NotImplementedError("an ensemble is kept as its parts")

    def _export_trees(self, graph: GraphWriter, parts: Sequence[Part]) -> str:
        """The weighted sum of their scores; `parts` of one link stand together."""
        columns = _Columns(graph, self.width)
        forests = [columns.forest(part.pipeline) for part in parts if isinstance(part.pipeline, ColumnsPipeline)]
        sums = _sums(forests, graph, columns.tensor())
        if self.task.type == "multiclass":
            return self._mean_of_classes(graph, sums, parts)
        linked = self._linked(graph, sums, parts)
        weights = np.array([[part.weight] for part in parts])  # (parts, 1)
        if self.task.type == "regression":
            return graph.op("MatMul", linked, graph.constant(weights))
        both = graph.op("MatMul", linked, graph.constant(np.hstack([-weights, weights])))
        return graph.op("Add", both, graph.constant(np.array([[weights.sum(), 0.0]])))

    def _linked(self, graph: GraphWriter, sums: str, parts: Sequence[Part]) -> str:
        """Sums to scores, the outputs of each link together: (rows, parts)."""
        links = [(link, len(list(each))) for link, each in groupby(part.link for part in parts)]
        if len(links) == 1:
            return graph.op("Sigmoid", sums) if links[0][0] == "sigmoid" else sums
        assert [link for link, _ in links] == ["sigmoid", "identity"], "a binary forest has one of two links"
        sizes = graph.constant(np.array([size for _, size in links]))
        logits, plain = graph.ops("Split", sums, sizes, outputs=2, axis=1)
        return graph.op("Concat", graph.op("Sigmoid", logits), plain, axis=1)

    def _mean_of_classes(self, graph: GraphWriter, sums: str, parts: Sequence[Part]) -> str:
        """(rows, parts * classes) sums → (rows, classes) weighted probabilities."""
        classes = self.task.outputs
        shape = graph.constant(np.array([-1, len(parts), classes]))
        each = graph.op("Reshape", sums, shape)
        soft = sum(part.link == "softmax" for part in parts)
        if soft == len(parts):
            each = graph.op("Softmax", each, axis=2)
        elif soft:
            logits, plain = graph.ops(
                "Split", each, graph.constant(np.array([soft, len(parts) - soft])), outputs=2, axis=1
            )
            each = graph.op("Concat", graph.op("Softmax", logits, axis=2), plain, axis=1)
        weights = np.array([[part.weight] for part in parts])  # (parts, 1)
        weighted = graph.op("Mul", each, graph.constant(weights))
        return graph.op("ReduceSum", weighted, graph.constant(np.array([1])), keepdims=0)


def _sums(forests: Sequence[Forest], graph: GraphWriter, x: str) -> str:
    """The outputs of all, one after another: (rows, outputs)."""
    groups: list[list[Forest]] = []
    nodes = NODES_TOGETHER
    for forest in forests:
        nodes += forest.nodes
        if nodes > NODES_TOGETHER:
            groups.append([])
            nodes = forest.nodes
        groups[-1].append(forest)
    sums = [side_by_side(group).write(graph, x) for group in groups]
    return graph.op("Concat", *sums, axis=1) if len(sums) > 1 else sums[0]


def bagged(pipelines: Sequence[Pipeline], weight: float) -> list[Part]:
    """The pipelines of one configuration's folds, with this weight together."""
    merging = [each for each in pipelines if isinstance(each, LinearPipeline) and getattr(each.model, "merges", False)]
    if len(pipelines) > 1 and len(merging) == len(pipelines):
        return [Part(weight, mean_of_weights(merging))]
    logs = [each for each in pipelines if isinstance(each, LogPipeline)]
    if len(logs) == len(pipelines) > 1:
        parts = bagged([each.inner for each in logs], weight)
        if len(parts) == 1:
            smear = float(np.mean([each.smear for each in logs]))
            return [Part(weight, replace(logs[0], inner=parts[0].pipeline, smear=smear))]
        return [Part(part.weight, replace(each, inner=part.pipeline)) for part, each in zip(parts, logs, strict=True)]
    return [Part(weight / len(pipelines), _thinned(each, len(pipelines))) for each in pipelines]


def _thinned(pipeline: Pipeline, count: int) -> Pipeline:
    """One of `count` pipelines that answer together; a mean of many parts needs only some of them."""
    if isinstance(pipeline, ColumnsPipeline) and hasattr(pipeline.fitted, "thinned"):
        return ColumnsPipeline(pipeline.blocks, pipeline.fitted.thinned(count))
    return pipeline


def mean_of_weights(pipelines: Sequence[Any], shares: Floats | None = None) -> LinearPipeline:
    """One linear pipeline whose sums are the mean of those of several with the same features, by their shares."""
    first = pipelines[0]
    state = {
        name: np.average([each.state()[name] for each in pipelines], axis=0, weights=shares)
        for name in ("weights", "intercept")
    }
    classes = first.model.classes
    model = type(first.model)(**state, classes=classes, settings=dict(first.settings))
    return LinearPipeline(first.features, model)


@dataclass(eq=False)
class _Columns:
    """The matrix that all trees of an ensemble read: encoded columns, and each derived block once."""

    graph: GraphWriter
    width: int

    def __post_init__(self) -> None:
        self._encoded = self.width
        self._names = [self.graph.columns]
        self._starts: dict[int, int] = {}

    def forest(self, pipeline: ColumnsPipeline) -> Forest:
        """The pipeline's trees, reading this matrix."""
        places = [np.arange(self._encoded)]
        for block in pipeline.blocks:
            if id(block) not in self._starts:
                self._starts[id(block)] = self._add(block.export(self.graph), block.width)
            places.append(self._starts[id(block)] + np.arange(block.width))
        fitted: Any = pipeline.fitted
        extra = int(getattr(fitted, "extra_width", 0))
        if extra:  # columns that only this model derives
            start = self._add(fitted.export_extra(self.graph, pipeline.export_columns(self.graph)), extra)
            places.append(start + np.arange(extra))
        trees: Forest = fitted.forest()
        return trees.reading(np.concatenate(places))

    def tensor(self) -> str:
        return self.graph.op("Concat", *self._names, axis=1) if len(self._names) > 1 else self._names[0]

    def _add(self, name: str, width: int) -> int:
        start = self.width
        self._names.append(name)
        self.width += width
        return start
