"""What the formats of trees share: a forest is checked before anything walks through it, and written into a graph."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from aias.core.forest import MEMBER, Forest
from aias.core.graph import GraphWriter
from aias.encoders.rows import Layout
from aias.graph.compile import compile_graph
from aias.importing.columns import FIRST_KNOWN, write_codes
from aias.importing.formats.contract import Input, Plan, UnreadableModel
from aias.importing.linear_leaves import LinearLeaves
from aias.importing.links import Link, write_link

NODES_MAX: Final = 20_000_000
"""Some 3 GB of arrays; the largest gradient-boosted models in use have a tenth."""


ZERO: Final = float(np.float32(1e-35))
"""What LightGBM takes for zero, where zeros are missing (`kZeroThreshold`)."""

CODE_MAX: Final = float(2**31 - 1)


def check_forest(forest: Forest, width: int) -> None:
    """Every node is reached once, from its tree's root, so that every walk ends; every column is there."""
    if forest.nodes > NODES_MAX:
        raise _damaged(f"has {forest.nodes:,} nodes; {NODES_MAX:,} are the most")
    if forest.nodes and not 0 <= forest.feature.min() <= forest.feature.max() < width:
        raise _damaged(f"asks for column {forest.feature.max()} of {width}")
    nodes = np.concatenate([forest.left[~forest.left_is_leaf], forest.right[~forest.right_is_leaf], forest.roots])
    if len(nodes) and np.bincount(nodes).max() > 1:
        raise _damaged("has a node with two parents")
    if not np.isfinite(forest.leaf_value).all() or np.isnan(forest.threshold).any():
        raise _damaged("has a leaf or a threshold that is not a number")
    ends = forest.leaf_output
    if len(ends) and not 0 <= ends.min() <= ends.max() < forest.outputs:
        raise _damaged("has a leaf of an answer that is not there")


def graph_of(
    inputs: Sequence[Input], plan: Plan, forest: Forest, link: Link, *, zeros: Sequence[int] = (), down: bool = False,
    linear: LinearLeaves | None = None,
) -> bytes:  # fmt: skip
    """`zeros`: columns whose zeros count as missing. Where sets read numbers, these lose their fractions: towards zero,
    or `down`. `linear`: what stands in the leaves, where they are no values."""
    layout = Layout(len(inputs), tuple(range(len(inputs))), (), (), 0, 0)
    return compile_graph(_Written(inputs, forest, link, zeros, down, linear), layout, classes=plan.classes)


def on_codes(forest: Forest, inputs: Sequence[Input]) -> Forest | None:
    """The forest over our columns, where it reads categories by sets alone: these hold our codes then, and those of a
    missing and of an unseen value where missing values go to the side of the set. None of any other forest."""
    reads = np.array([each.kind == "category" for each in inputs])[forest.feature]
    if (forest.mode[reads] != MEMBER).any():
        return None
    sizes = np.diff(forest.set_ends, prepend=0)
    members = forest.set_values + FIRST_KNOWN * np.repeat(reads, sizes)
    both = np.flatnonzero(reads & forest.missing_left)
    members = np.insert(members, np.repeat(forest.set_ends[both], 2), np.tile([0.0, 1.0], len(both)))
    sizes[both] += 2
    ends = np.cumsum(sizes)
    return replace(forest, set_ends=ends, set_values=members, missing_left=forest.missing_left & ~reads)


@dataclass(frozen=True, slots=True, eq=False)
class _Written:
    inputs: Sequence[Input]
    forest: Forest
    link: Link
    zeros: Sequence[int]
    down: bool
    linear: LinearLeaves | None

    def export(self, graph: GraphWriter) -> str:
        forest = on_codes(self.forest, self.inputs)
        x = graph.columns if forest is not None else write_codes(graph, self.inputs)
        x = self._whole(graph, self._without_zeros(graph, x))
        forest = forest or self.forest
        if self.linear is not None:
            return write_link(graph, self.linear.write(graph, self.linear.places(forest).write(graph, x)), self.link)
        return write_link(graph, forest.write(graph, x), self.link)

    def _without_zeros(self, graph: GraphWriter, x: str) -> str:
        if not len(self.zeros):
            return x
        widest = np.full((1, len(self.inputs)), -1.0)
        widest[0, list(self.zeros)] = ZERO
        is_zero = graph.op("LessOrEqual", graph.op("Abs", x), graph.constant(widest))
        return graph.op("Where", is_zero, graph.constant(np.array([[np.nan]])), x)

    def _whole(self, graph: GraphWriter, x: str) -> str:
        """What no set can hold is -1; NaN stays."""
        read = np.zeros((1, len(self.inputs)), np.bool_)
        read[0, self.forest.feature[self.forest.mode == MEMBER]] = True
        read &= np.array([each.kind != "category" for each in self.inputs])
        if not read.any():
            return x
        size = graph.op("Abs", x)
        whole = graph.op("Floor", x if self.down else size)
        whole = whole if self.down else graph.op("Mul", graph.op("Sign", x), whole)
        too_large = graph.op("Greater", size, graph.constant(np.array([[CODE_MAX]])))
        whole = graph.op("Where", too_large, graph.constant(np.array([[-1.0]])), whole)
        return graph.op("Where", graph.constant(read), whole, x)


def _damaged(what: str) -> UnreadableModel:
    return UnreadableModel(f"the model {what}", hint="the file is damaged or forged: write it again")
