"""Trees that no library knows: a forest with its link; and the same trees in half the bits.

ONNX Runtime's TreeEnsemble reads float64 or float32 (1.32; not float16), and with float32 its columns too. A threshold
moves to the float32 that parts the values of a column as it did, wherever float32 can tell these values apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.forest import LESS, LESS_OR_EQUAL, Forest
from aias.core.graph import GraphWriter
from aias.core.links import answers, write_answers
from aias.learners.contract import State

SINGLE: Final = np.float32


@dataclass(frozen=True, slots=True, eq=False)
class PlainTrees:
    """What `learners.contract.Trees` promises."""

    trees: Forest
    link: str
    two: bool
    """Whether the answer is the probabilities of two classes: where there is no link, the sum is that of the second."""
    settings: Mapping[str, Any] = field(default_factory=dict)

    def scores(self, x: Floats) -> Floats:
        sums = self.trees.sums(x)
        if self.link == "identity" and self.two:
            return np.hstack([1 - sums, sums])
        return answers(sums, self.link)

    def forest(self) -> Forest:
        return self.trees

    def export(self, graph: GraphWriter, x: str) -> str:
        sums = self.trees.write(graph, x)
        if self.link == "identity" and self.two:
            return graph.op("Concat", graph.op("Sub", graph.constant(np.float64(1)), sums), sums, axis=1)
        return write_answers(graph, sums, self.link)

    def state(self) -> State:
        return self.trees.state()


def plain(fitted: Any, *, two: bool, x: Floats | None = None) -> PlainTrees:
    """Of a fitted family of trees; in single precision where it is told which rows (rows, width) its thresholds have
    to part as they do."""
    forest: Forest = fitted.forest()
    return PlainTrees(forest if x is None else in_single(forest, x), fitted.link, two)


def in_single(forest: Forest, x: Floats) -> Forest:
    """The forest in float32, which sends every value in `x`, (rows, width), where it went before; two values that are
    one in float32 go the same way."""
    with np.errstate(over="ignore"):  # what float32 cannot hold is infinite
        return _in_single(forest, x)


def told_apart(x: Floats) -> bool:
    """Whether float32 has a value of its own for each that a column of `x`, (rows, width), holds."""
    with np.errstate(over="ignore"):
        return all(len(np.unique(column.astype(SINGLE))) == len(np.unique(column)) for column in x.T)


def _in_single(forest: Forest, x: Floats) -> Forest:
    threshold = forest.threshold.astype(SINGLE)
    for feature in np.unique(forest.feature):
        values = np.unique(x[np.isfinite(x[:, feature]), feature])
        for mode, side in ((LESS_OR_EQUAL, "right"), (LESS, "left")):
            nodes = np.flatnonzero((forest.feature == feature) & (forest.mode == mode))
            threshold[nodes] = _between(forest.threshold[nodes], values, side=side)
    return replace(
        forest, threshold=threshold.astype(np.float64), leaf_value=_rounded(forest.leaf_value),
        set_values=_rounded(forest.set_values), single=True,
    )  # fmt: skip


def _between(threshold: Floats, values: Floats, *, side: Any) -> Any:
    """The nearest float32 that still parts the sorted `values`: of those that go left, none is beyond it."""
    nearest, infinite = threshold.astype(SINGLE), SINGLE(np.inf)
    place = np.searchsorted(values, threshold, side=side)
    ends = np.concatenate([[-infinite], values.astype(SINGLE), [infinite]])
    low, high = ends[place], ends[place + 1]  # the last that goes left, the first that goes right
    if side == "right":
        return np.clip(nearest, low, np.maximum(np.nextafter(high, -infinite), low))
    return np.clip(nearest, np.minimum(np.nextafter(low, infinite), high), high)


def _rounded(values: Floats) -> Floats:
    return values.astype(SINGLE).astype(np.float64)
