"""Decision trees as parallel arrays: what every family of trees becomes, and what the graph's TreeEnsemble reads.

    node i:  x[feature] <= threshold        LESS_OR_EQUAL
             x[feature] <  threshold        LESS
             x[feature] in sets of node i   MEMBER
    true → left, false → right; NaN → left where `missing_left`, else right

A tree adds the value of the leaf that a row reaches to one of the outputs; then `base` is added. All in float64.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aias.core.graph import GraphWriter

LESS_OR_EQUAL, LESS, MEMBER = 0, 1, 6
"""`nodes_modes` of the operator TreeEnsemble (ONNX, ai.onnx.ml 5)."""

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_ARRAYS: Final = (
    "feature", "threshold", "mode", "missing_left", "left", "right", "left_is_leaf", "right_is_leaf",
    "leaf_value", "leaf_output", "roots", "set_ends", "set_values", "base",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Forest:
    """`left` and `right` are indices of nodes, or of leaves where the flag beside them says so. `roots` are nodes: a
    tree that is one leaf is a node with two equal leaves. The set of node i is `set_values[set_ends[i-1]:set_ends[i]]`.
    """

    feature: Ints  # (nodes,)
    threshold: Floats  # (nodes,)
    mode: npt.NDArray[np.uint8]  # (nodes,)
    missing_left: Flags  # (nodes,)
    left: Ints  # (nodes,)
    right: Ints  # (nodes,)
    left_is_leaf: Flags  # (nodes,)
    right_is_leaf: Flags  # (nodes,)
    leaf_value: Floats  # (leaves,)
    leaf_output: Ints  # (leaves,)
    roots: Ints  # (trees,)
    set_ends: Ints  # (nodes,)
    set_values: Floats  # (members,)
    base: Floats  # (outputs,)

    @property
    def outputs(self) -> int:
        return len(self.base)

    @property
    def trees(self) -> int:
        return len(self.roots)

    @property
    def nodes(self) -> int:
        return len(self.feature)

    def sums(self, x: Floats) -> Floats:
        """What the trees add up to: (rows, outputs). Plain NumPy, for proofs and for trees without their library."""
        total = np.zeros((len(x), self.outputs))
        every = np.arange(len(x))
        for root in self.roots:
            leaf = self._leaf_of(x, every, int(root))
            total[every, self.leaf_output[leaf]] += self.leaf_value[leaf]
        return total + self.base

    def scaled(self, weight: float) -> "Forest":
        """The same trees with every sum times `weight`."""
        return replace(self, leaf_value=self.leaf_value * weight, base=self.base * weight)

    def reading(self, places: Ints) -> "Forest":
        """The same trees over another matrix: column j of the old one is column `places[j]` of the new."""
        return replace(self, feature=places[self.feature])

    def write(self, graph: GraphWriter, x: str) -> str:
        """Into the graph, over the columns `x` (rows, width) float64; gives the sums: (rows, outputs)."""
        sums = graph.op("TreeEnsemble", x, domain="ai.onnx.ml", **self._attributes())
        return graph.op("Add", sums, graph.constant(self.base)) if self.base.any() else sums

    def state(self, prefix: str = "forest_") -> dict[str, npt.NDArray[Any]]:
        """Everything, as named arrays; `Forest.load` gives it back."""
        return {prefix + name: getattr(self, name) for name in _ARRAYS}

    @classmethod
    def load(cls, state: dict[str, npt.NDArray[Any]], prefix: str = "forest_") -> "Forest":
        return cls(**{name: state[prefix + name] for name in _ARRAYS})

    def _attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "nodes_featureids": self.feature, "nodes_splits": self.threshold, "nodes_modes": self.mode,
            "nodes_missing_value_tracks_true": self.missing_left.astype(np.int64),
            "nodes_truenodeids": self.left, "nodes_trueleafs": self.left_is_leaf.astype(np.int64),
            "nodes_falsenodeids": self.right, "nodes_falseleafs": self.right_is_leaf.astype(np.int64),
            "leaf_targetids": self.leaf_output, "leaf_weights": self.leaf_value, "tree_roots": self.roots,
            "n_targets": self.outputs, "aggregate_function": 1, "post_transform": 0,
        }  # fmt: skip
        tensors = {"nodes_splits", "nodes_modes", "leaf_weights"}
        found = {
            key: value.tolist() if isinstance(value, np.ndarray) and key not in tensors else value
            for key, value in found.items()
        }
        if len(self.set_values):
            sizes = np.diff(self.set_ends, prepend=0)
            at = np.cumsum(sizes[sizes > 0])  # each set is closed by NaN
            found["membership_values"] = np.insert(self.set_values, at, np.nan)
        return found

    def _leaf_of(self, x: Floats, rows: Ints, root: int) -> Ints:
        """The leaf that each row reaches: (rows,)."""
        at = np.full(len(rows), root)
        leaf = np.full(len(rows), -1)
        going = rows
        while len(going):
            node = at[going]
            left = self._goes_left(node, x[going, self.feature[node]])
            after = np.where(left, self.left[node], self.right[node])
            ends = np.where(left, self.left_is_leaf[node], self.right_is_leaf[node])
            leaf[going[ends]] = after[ends]
            at[going] = after
            going = going[~ends]
        return leaf

    def _goes_left(self, node: Ints, value: Floats) -> Flags:
        threshold, mode = self.threshold[node], self.mode[node]
        with np.errstate(invalid="ignore"):
            left = np.where(mode == LESS, value < threshold, value <= threshold)
        for place in np.flatnonzero(mode == MEMBER):
            start = self.set_ends[node[place] - 1] if node[place] else 0
            left[place] = value[place] in self.set_values[start : self.set_ends[node[place]]]
        return np.asarray(np.where(np.isnan(value), self.missing_left[node], left))


def side_by_side(forests: Sequence[Forest]) -> Forest:
    """One forest with the outputs of all of them, one after another: one node of the graph instead of many."""
    nodes = np.cumsum([0, *(each.nodes for each in forests)])
    leaves = np.cumsum([0, *(len(each.leaf_value) for each in forests)])
    outputs = np.cumsum([0, *(each.outputs for each in forests)])
    members = np.cumsum([0, *(len(each.set_values) for each in forests)])

    def joined(name: str) -> Any:
        return np.concatenate([getattr(each, name) for each in forests])

    def child(side: str) -> Ints:
        moved = [
            getattr(each, side) + np.where(getattr(each, f"{side}_is_leaf"), leaves[i], nodes[i])
            for i, each in enumerate(forests)
        ]
        return np.concatenate(moved)

    return Forest(
        joined("feature"), joined("threshold"), joined("mode"), joined("missing_left"), child("left"), child("right"),
        joined("left_is_leaf"), joined("right_is_leaf"), joined("leaf_value"),
        np.concatenate([each.leaf_output + outputs[i] for i, each in enumerate(forests)]),
        np.concatenate([each.roots + nodes[i] for i, each in enumerate(forests)]),
        np.concatenate([each.set_ends + members[i] for i, each in enumerate(forests)]),
        joined("set_values"), joined("base"),
    )  # fmt: skip
