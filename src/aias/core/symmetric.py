"""Symmetric trees as parallel arrays: all nodes of one level ask the same question, so a leaf's number is its answers.

    bit i of the leaf:  columns[feature of level i] > border of level i        never of NaN

The columns are those of x, and after them how many borders the codes of some columns pass: for the j-th of these
`table[starts[j] + x[:, sources[j]]]`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Flags, Floats, Ints
from aias.core.forest import LESS_OR_EQUAL, Forest, side_by_side
from aias.core.graph import INT64, GraphWriter

VALUES_AT_ONCE: Final = 1 << 22
"""Rows times trees times outputs that `sums` moves together: some 100 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class SymmetricTrees:
    """All trees are as deep as the deepest: a level that a tree has not is a border that nothing passes."""

    feature: Ints  # (depth, trees)
    border: Floats  # (depth, trees)
    leaves: Floats  # (trees, 2 ** depth, outputs)
    base: Floats  # (outputs,)
    sources: Ints  # (extra,)
    starts: Ints  # (extra,)
    table: Floats  # (values,)

    @property
    def extra_width(self) -> int:
        return len(self.sources)

    def extra_columns(self, x: Floats) -> Floats:
        """The columns after those of x: (rows, extra_width)."""
        return np.asarray(self.table[x[:, self.sources].astype(np.int64) + self.starts])

    def write_extra(self, graph: GraphWriter, x: str) -> str:
        codes = graph.op("Gather", x, graph.constant(self.sources), axis=1)
        places = graph.op("Add", codes, graph.constant(self.starts.astype(np.float64)))
        return graph.op("Gather", graph.constant(self.table), graph.op("Cast", places, to=INT64), axis=0)

    def sums(self, x: Floats) -> Floats:
        """What the trees add up to: (rows, outputs)."""
        tree = np.arange(len(self.leaves))[:, None]
        total = np.empty((len(x), len(self.base)))
        step = max(1, VALUES_AT_ONCE // (len(tree) * len(self.base)))
        for start in range(0, len(x), step):
            part = x[start : start + step]
            columns = np.hstack([part, self.extra_columns(part)]).T
            leaf = np.zeros((len(tree), len(part)), np.int64)
            for level, feature in enumerate(self.feature):
                leaf |= (columns[feature] > self.border[level][:, None]).astype(np.int64) << level
            total[start : start + step] = self.leaves[tree, leaf].sum(axis=0)
        return total + self.base

    def followed_by(self, other: "SymmetricTrees", *, width: int) -> "SymmetricTrees":
        """These trees and then those of another, whose sums are added; both read an x of so many columns."""
        depth = max(len(self.feature), len(other.feature))
        feature = np.where(other.feature < width, other.feature, other.feature + self.extra_width)
        one, two = self.deepened(depth), replace(other, feature=feature).deepened(depth)
        joined = [np.concatenate([first, second], axis=axis) for first, second, axis in (
            (one.feature, two.feature, 1), (one.border, two.border, 1), (one.leaves, two.leaves, 0),
        )]  # fmt: skip
        starts = np.concatenate([self.starts, other.starts + len(self.table)])
        return SymmetricTrees(
            joined[0], joined[1], joined[2], self.base + other.base, np.concatenate([self.sources, other.sources]),
            starts, np.concatenate([self.table, other.table]),
        )  # fmt: skip

    def forest(self) -> Forest:
        """Plain trees over x and the columns after it, one for each output."""
        each = [self._forest(output) for output in range(len(self.base))]
        return each[0] if len(each) == 1 else side_by_side(each)

    def state(self) -> dict[str, npt.NDArray[Any]]:
        return {each.name: getattr(self, each.name) for each in fields(self)}

    @classmethod
    def load(cls, state: Mapping[str, npt.NDArray[Any]]) -> "SymmetricTrees":
        return cls(**{each.name: state[each.name] for each in fields(cls)})

    def deepened(self, depth: int) -> "SymmetricTrees":
        """The same with levels that nothing passes."""
        more, (trees, leaves, _) = depth - len(self.feature), self.leaves.shape
        feature = np.pad(self.feature, ((0, more), (0, 0)))
        border = np.pad(self.border, ((0, more), (0, 0)), constant_values=np.inf)
        wider = np.zeros((trees, leaves << more, len(self.base)))
        wider[:, :leaves] = self.leaves
        return replace(self, feature=feature, border=border, leaves=wider)

    def _forest(self, output: int) -> Forest:
        """A node whose one side nothing can reach, or whose sides are one leaf, is left out."""
        values, ref = np.unique(self.leaves[:, :, output], return_inverse=True)
        ref = -1 - ref.reshape(len(self.leaves), -1)  # (trees, paths); leaves are below zero, nodes are not
        reached, made, count = self._reached(), list[tuple[Any, ...]](), 0
        for level in reversed(range(len(self.feature))):
            half = 1 << level
            left, right = ref[:, :half], ref[:, half:]
            goes_left, goes_right = reached[level + 1][:, :half], reached[level + 1][:, half:]
            asks = goes_left & goes_right & (left != right)
            tree = np.nonzero(asks)[0]
            made.append((self.feature[level, tree], self.border[level, tree], left[asks], right[asks]))
            ref = np.where(asks, count + np.cumsum(asks).reshape(asks.shape) - 1, np.where(goes_left, left, right))
            count += len(tree)
        lone = ref[:, 0] < 0  # a tree of one leaf gets a node above it
        alone = np.zeros(lone.sum(), np.int64)
        made.append((alone, alone.astype(np.float64), ref[lone, 0], ref[lone, 0]))
        roots = np.where(lone, count + np.cumsum(lone) - 1, ref[:, 0])
        feature, border, left, right = (np.concatenate(each) for each in zip(*made, strict=True))
        return Forest(
            feature, border, np.full(len(feature), LESS_OR_EQUAL, np.uint8), np.ones(len(feature), np.bool_),
            np.where(left < 0, -1 - left, left), np.where(right < 0, -1 - right, right), left < 0, right < 0,
            values, np.zeros(len(values), np.int64), roots,
            np.zeros(len(feature), np.int64), np.zeros(0), self.base[output : output + 1],
        )  # fmt: skip

    def _reached(self) -> list[Flags]:
        """For each level, which paths to it some row can take: (trees, 2 ** level). Bit i: border of level i passed."""
        reached = [np.ones((len(self.leaves), 1), np.bool_)]
        for level, border in enumerate(self.border):
            path = np.arange(1 << level)
            left = reached[level].copy()
            right = left & np.isfinite(border)[:, None]
            for above in range(level):
                same = self.feature[above] == self.feature[level]
                passed = (path >> above & 1 > 0)[None, :]
                right &= ~((same & (self.border[above] <= border))[:, None] & ~passed)
                left &= ~((same & (self.border[above] >= border))[:, None] & passed)
            reached.append(np.hstack([left, right]))
        return reached
