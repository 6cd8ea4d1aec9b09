"""LightGBM's `linear_tree`: a leaf is a linear model of some columns, or a value where one of these is missing.

The forest says which leaf a row reaches in each tree; tables say what stands in it (LightGBM, include/LightGBM/tree.h,
`Tree::Predict`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.forest import Forest
from aias.core.graph import DOUBLE, INT64, GraphWriter


@dataclass(frozen=True, slots=True, eq=False)
class LinearLeaves:
    """`tree`: of each leaf; `columns`, `weights`: filled up with column 0 and NaN; `value`: where one of its columns is
    missing; `outputs`: trees belong to these in turn; `scale`: of the sums; leaves that are scaled would
    overflow elsewhere."""

    tree: Ints  # (leaves,)
    columns: Ints  # (leaves, most)
    weights: Floats  # (leaves, most)
    intercept: Floats  # (leaves,)
    value: Floats  # (leaves,)
    outputs: int
    scale: float = 1.0

    def places(self, forest: Forest) -> Forest:
        """The forest whose sums are the leaves that a row reaches: an output a tree."""
        leaves = np.arange(len(self.tree), dtype=np.float64)
        return replace(forest, leaf_value=leaves, leaf_output=self.tree, base=np.zeros(forest.trees))

    def write(self, graph: GraphWriter, places: str) -> str:
        """From the leaves, (rows, trees), and the columns to the sums, (rows, outputs)."""

        def of_leaves(table: Any) -> str:
            return graph.op("Gather", graph.constant(table), leaf)

        def flat(x: str) -> str:
            return graph.op("Reshape", x, graph.constant(np.array([0, -1])))

        leaf, counts = graph.op("Cast", places, to=INT64), np.isfinite(self.weights)
        read = graph.op("GatherElements", graph.columns, flat(of_leaves(self.columns)), axis=1)
        counted, none = flat(of_leaves(counts)), graph.constant(np.zeros((1, 1)))
        each = graph.op("Mul", read, flat(of_leaves(np.where(counts, self.weights, 0.0))))
        missing = graph.op("Cast", graph.op("And", graph.op("IsNaN", read), counted), to=DOUBLE)
        by_tree = graph.constant(np.array([0, -1, self.columns.shape[1]]))
        axis = graph.constant(np.array([2]))
        added, gaps = (
            graph.op("ReduceSum", graph.op("Reshape", x, by_tree), axis, keepdims=0)
            for x in (graph.op("Where", counted, each, none), missing)
        )
        linear = graph.op("Add", added, of_leaves(self.intercept))
        found = graph.op("Where", graph.op("Greater", gaps, none), of_leaves(self.value), linear)
        rounds = graph.op("Reshape", found, graph.constant(np.array([0, -1, self.outputs])))
        total = graph.op("ReduceSum", rounds, graph.constant(np.array([1])), keepdims=0)
        return total if self.scale == 1 else graph.op("Mul", total, graph.constant(np.array(self.scale)))


def linear_leaves(text: str, outputs: int) -> LinearLeaves | None:
    """Of a whole text; None where no leaf is linear. Raises `ValueError` and `KeyError` where it is damaged."""
    ends = [*(at for at in _places(text, "\nTree=")), text.index("\nend of trees")]
    trees = [dict(line.partition("=")[::2] for line in text[at:end].split("\n")) for at, end in pairwise(ends)]
    if not any(tree.get("is_linear") == "1" for tree in trees):
        return None
    found = [_leaves(tree) for tree in trees]
    most = max(1, *(len(columns) for leaves in found for columns, _ in leaves))
    count = sum(map(len, found))
    columns, weights, at = np.zeros((count, most), np.int64), np.full((count, most), np.nan), 0
    for leaves in found:
        for own, by in leaves:
            columns[at, : len(own)], weights[at, : len(own)] = own, by
            at += 1
    value, intercept = (
        np.concatenate([_numbers(tree.get(name) or tree["leaf_value"]) for tree in trees])
        for name in ("leaf_value", "leaf_const")
    )
    if not len(value) == len(intercept) == count or not np.isfinite(intercept).all():
        raise ValueError(f"{count:,} leaves hold {len(intercept):,} constants")
    return LinearLeaves(
        np.repeat(np.arange(len(found)), list(map(len, found))), columns, weights, intercept, value, outputs
    )


def _leaves(tree: Mapping[str, str]) -> list[tuple[Ints, Floats]]:
    """The columns of each leaf, and their weights."""
    count = int(tree["num_leaves"])
    if tree.get("is_linear") != "1":
        return [(np.zeros(0, np.int64), np.zeros(0))] * count
    sizes = _numbers(tree["num_features"]).astype(np.int64)
    columns, weights = _numbers(tree["leaf_features"]).astype(np.int64), _numbers(tree["leaf_coeff"])
    if len(sizes) != count or (sizes < 0).any() or not sizes.sum() == len(columns) == len(weights):
        raise ValueError(f"{count:,} leaves read {len(columns):,} columns with {len(weights):,} weights")
    if not np.isfinite(weights).all():
        raise ValueError("a leaf has a weight that is not a number")
    at = np.cumsum(sizes)[:-1]
    return list(zip(np.split(columns, at), np.split(weights, at), strict=True))


def _numbers(values: str) -> Floats:
    return np.array(values.split(), np.float64)


def _places(text: str, what: str) -> list[int]:
    found, at = [], text.find(what)
    while at >= 0:
        found.append(at)
        at = text.find(what, at + 1)
    return found
