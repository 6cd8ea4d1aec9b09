"""Decision trees as parallel arrays: what every family of trees becomes, and what the graph's TreeEnsemble reads.

    node i:  x[feature] <= threshold        LESS_OR_EQUAL
             x[feature] <  threshold        LESS
             x[feature] in sets of node i   MEMBER
    true → left, false → right; NaN → left where `missing_left`, else right

Columns that MEMBER nodes read hold whole numbers: ONNX Runtime 1.32 takes 2.5 for 2 in some sets.

A tree adds the value of the leaf that a row reaches to one of the outputs; then `base` is added. All in float64, or,
where `single` is set, columns, thresholds and leaves in float32: the values here are float32's then.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Flags, Floats, Ints
from aias.core.graph import DOUBLE, FLOAT, GraphWriter

LESS_OR_EQUAL, LESS, MEMBER = 0, 1, 6
"""`nodes_modes` of the operator TreeEnsemble (ONNX, ai.onnx.ml 5)."""

STEPS_AT_ONCE: Final = 1 << 19
"""Rows times trees that `Forest.sums` moves together: some 30 MB."""


FLOAT32_MAX: Final = float(np.finfo(np.float32).max)

_ARRAYS: Final = (
    "feature", "threshold", "mode", "missing_left", "left", "right", "left_is_leaf", "right_is_leaf",
    "leaf_value", "leaf_output", "roots", "set_ends", "set_values", "base",
)  # fmt: skip

_OF_NODES: Final = (
    "feature", "threshold", "mode", "missing_left", "left", "right", "left_is_leaf", "right_is_leaf",
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
    single: bool = False

    @property
    def outputs(self) -> int:
        return len(self.base)

    @property
    def trees(self) -> int:
        return len(self.roots)

    @property
    def nodes(self) -> int:
        return len(self.feature)

    def __post_init__(self) -> None:
        for side, is_leaf in ((self.left, self.left_is_leaf), (self.right, self.right_is_leaf)):
            assert len(side) == self.nodes, "two children to a node"
            assert ((side >= 0) & (side < np.where(is_leaf, len(self.leaf_value), self.nodes))).all(), "children exist"
        assert ((self.roots >= 0) & (self.roots < self.nodes)).all(), "every tree begins somewhere"
        sizes = np.diff(self.set_ends, prepend=0)
        assert (sizes[self.mode == MEMBER] > 0).all() and not sizes[self.mode != MEMBER].any(), "sets where they belong"
        assert not np.isnan(self.set_values).any(), "NaN closes a set, and missing values have their own flag"
        if self.single:
            for held in (self.threshold, self.leaf_value, self.set_values):
                assert (held.astype(np.float32) == held).all(), "in single precision nothing is rounded when written"

    def sums(self, x: Floats) -> Floats:
        """What the trees add up to: (rows, outputs). Plain NumPy, for proofs and for trees without their library."""
        total = np.zeros((len(x), self.outputs))
        walk = _Walk(self)
        step = max(1, STEPS_AT_ONCE // max(1, self.trees))
        for start in range(0, len(x), step):
            part = np.ascontiguousarray(x[start : start + step])
            leaf = walk.leaves(part)  # (trees, rows)
            place = np.arange(len(part)) * self.outputs + self.leaf_output[leaf]
            # One after another in the order of the trees, as ONNX Runtime does, to the last bit.
            added = np.bincount(place.ravel(), self.leaf_value[leaf].ravel(), minlength=len(part) * self.outputs)
            total[start : start + step] = added.reshape(len(part), self.outputs)
        return total + self.base

    def leaves(self, x: Floats) -> npt.NDArray[np.int32]:
        """The leaf that each row reaches in each tree, (trees, rows): node by node, as the quickest for many rows."""
        if self.single:
            with np.errstate(over="ignore"):  # what float32 cannot hold is infinite there, as in the graph
                x = x.astype(np.float32)
        columns = np.asarray(x, np.float64, order="F")
        found = np.empty((self.trees, len(x)), np.int32)
        for tree, root in enumerate(self.roots.tolist()):
            waiting = [(root, np.arange(len(x), dtype=np.int32))]
            while waiting:
                node, rows = waiting.pop()
                goes_left = self._goes_left(node, columns[rows, self.feature[node]])
                for side, is_leaf, part in (
                    (self.left[node], self.left_is_leaf[node], rows[goes_left]),
                    (self.right[node], self.right_is_leaf[node], rows[~goes_left]),
                ):
                    if is_leaf:
                        found[tree, part] = side
                    elif len(part):
                        waiting.append((int(side), part))
        return found

    def _goes_left(self, node: int, value: Floats) -> Flags:
        if self.mode[node] == MEMBER:
            values = np.sort(self.set_values[self.set_ends[node - 1] if node else 0 : self.set_ends[node]])
            left = values[np.minimum(np.searchsorted(values, value), len(values) - 1)] == value
        elif self.mode[node] == LESS:
            left = value < self.threshold[node]
        else:
            left = value <= self.threshold[node]
        if self.missing_left[node]:
            left |= np.isnan(value)
        return np.asarray(left)

    def scaled(self, weight: float) -> "Forest":
        """The same trees with every sum times `weight`."""
        return replace(self, leaf_value=self.leaf_value * weight, base=self.base * weight)

    def reading(self, places: Ints) -> "Forest":
        """The same trees over another matrix: column j of the old one is column `places[j]` of the new."""
        return replace(self, feature=places[self.feature])

    def some(self, trees: Ints) -> "Forest":
        """These of the trees, by their places among the roots."""
        found, at = [], self.roots[trees]
        while len(at):
            found.append(at)
            at = np.concatenate([self.left[at][~self.left_is_leaf[at]], self.right[at][~self.right_is_leaf[at]]])
        kept = np.unique(np.concatenate(found))
        ends = np.concatenate([self.left[kept][self.left_is_leaf[kept]], self.right[kept][self.right_is_leaf[kept]]])
        leaves = np.unique(ends)
        node, leaf = np.zeros(self.nodes, np.int64), np.zeros(len(self.leaf_value), np.int64)
        node[kept], leaf[leaves] = np.arange(len(kept)), np.arange(len(leaves))
        sizes = np.diff(self.set_ends, prepend=0)
        owners = np.repeat(np.arange(self.nodes), sizes)
        each = {name: getattr(self, name)[kept] for name in _OF_NODES}
        for side in ("left", "right"):
            at, is_leaf = each[side], each[f"{side}_is_leaf"]
            each[side] = np.where(is_leaf, leaf[np.where(is_leaf, at, 0)], node[np.where(is_leaf, 0, at)])
        return replace(
            self, **each, leaf_value=self.leaf_value[leaves], leaf_output=self.leaf_output[leaves],
            roots=node[self.roots[trees]], set_ends=np.cumsum(sizes[kept]),
            set_values=self.set_values[np.isin(owners, kept)],
        )  # fmt: skip

    def write(self, graph: GraphWriter, x: str) -> str:
        """Into the graph, over the columns `x` (rows, width) float64; gives the sums: (rows, outputs)."""
        if self.single:
            x = graph.op("Cast", x, to=FLOAT)
        sums = graph.op("TreeEnsemble", x, domain="ai.onnx.ml", **self._attributes())
        if self.single:
            sums = graph.op("Cast", sums, to=DOUBLE)
        return graph.op("Add", sums, graph.constant(self.base)) if self.base.any() else sums

    def state(self, prefix: str = "forest_") -> dict[str, npt.NDArray[Any]]:
        """Everything, as named arrays; `Forest.load` gives it back."""
        return {prefix + name: getattr(self, name) for name in _ARRAYS} | {prefix + "single": np.array(self.single)}

    @classmethod
    def load(cls, state: Mapping[str, npt.NDArray[Any]], prefix: str = "forest_") -> "Forest":
        """States of before there was `single` are not."""
        single = bool(state.get(prefix + "single", False))
        return cls(**{name: state[prefix + name] for name in _ARRAYS}, single=single)

    @classmethod
    def of(cls, attributes: Mapping[str, Any]) -> "Forest":
        """As `write` gives them to a TreeEnsemble, its base left out."""
        mode = np.asarray(attributes["nodes_modes"], np.uint8)
        closed = np.asarray(attributes.get("membership_values", ()), np.float64)  # a set after another, each and NaN
        sizes = np.zeros(len(mode), np.int64)
        sizes[mode == MEMBER] = np.diff(np.flatnonzero(np.isnan(closed)), prepend=-1) - 1

        def ints(name: str) -> Ints:
            return np.asarray(attributes[name], np.int64)

        return cls(
            ints("nodes_featureids"), np.asarray(attributes["nodes_splits"], np.float64), mode,
            ints("nodes_missing_value_tracks_true") > 0, ints("nodes_truenodeids"), ints("nodes_falsenodeids"),
            ints("nodes_trueleafs") > 0, ints("nodes_falseleafs") > 0,
            np.asarray(attributes["leaf_weights"], np.float64), ints("leaf_targetids"), ints("tree_roots"),
            np.cumsum(sizes), closed[~np.isnan(closed)], np.zeros(int(attributes["n_targets"])),
        )  # fmt: skip

    def _attributes(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "nodes_featureids": self.feature, "nodes_splits": self.threshold, "nodes_modes": self.mode,
            "nodes_missing_value_tracks_true": self.missing_left.astype(np.int64),
            "nodes_truenodeids": self.left, "nodes_trueleafs": self.left_is_leaf.astype(np.int64),
            "nodes_falsenodeids": self.right, "nodes_falseleafs": self.right_is_leaf.astype(np.int64),
            "leaf_targetids": self.leaf_output, "leaf_weights": self.leaf_value, "tree_roots": self.roots,
            "n_targets": self.outputs, "aggregate_function": 1, "post_transform": 0,
        }  # fmt: skip
        precision = np.float32 if self.single else np.float64
        for name in ("nodes_splits", "leaf_weights"):
            found[name] = found[name].astype(precision)
        tensors = {"nodes_splits", "nodes_modes", "leaf_weights"}
        found = {
            key: array("q", value.astype(np.int64).tobytes())
            if isinstance(value, np.ndarray) and key not in tensors
            else value
            for key, value in found.items()
        }
        if len(self.set_values):
            ends = self.set_ends[self.mode == MEMBER]
            values = np.insert(self.set_values, ends, np.nan)  # each set is closed by NaN
            found["membership_values"] = values.astype(precision)
        return found


class _Walk:
    """Rows on their way down all trees at once. A child that is a leaf is `-1 - leaf` here."""

    def __init__(self, forest: Forest) -> None:
        self.forest = forest
        self.left = np.where(forest.left_is_leaf, -1 - forest.left, forest.left)
        self.right = np.where(forest.right_is_leaf, -1 - forest.right, forest.right)
        self.less, self.member = (forest.mode == LESS).any(), (forest.mode == MEMBER).any()
        if self.member:
            sizes = np.diff(forest.set_ends, prepend=0)
            self.values, ranks = np.unique(forest.set_values, return_inverse=True)
            self.keys = np.unique(np.repeat(np.arange(forest.nodes), sizes) * len(self.values) + ranks)

    def leaves(self, x: Floats) -> Ints:
        """The leaf that each row reaches in each tree: (trees, rows)."""
        rows = len(x)
        if self.forest.single:
            with np.errstate(over="ignore"):  # what float32 cannot hold is infinite there, as in the graph
                x = x.astype(np.float32).astype(np.float64)
        at = np.repeat(self.forest.roots, rows)
        found = np.empty(len(at), np.int64)
        going = np.arange(len(at))
        while len(going):
            at = np.where(self._goes_left(at, x[going % rows, self.forest.feature[at]]), self.left[at], self.right[at])
            arrived = at < 0
            found[going[arrived]] = -1 - at[arrived]
            going, at = going[~arrived], at[~arrived]
        return found.reshape(-1, rows)

    def _goes_left(self, node: Ints, value: Floats) -> Flags:
        threshold = self.forest.threshold[node]
        left = value <= threshold
        if self.less:
            left &= (value != threshold) | (self.forest.mode[node] != LESS)
        if self.member:
            places = np.flatnonzero(self.forest.mode[node] == MEMBER)
            left[places] = self._is_member(node[places], value[places])
        missing = np.isnan(value)
        if missing.any():
            left[missing] = self.forest.missing_left[node[missing]]
        return left

    def _is_member(self, node: Ints, value: Floats) -> Flags:
        rank = np.minimum(np.searchsorted(self.values, value), len(self.values) - 1)
        key = node * len(self.values) + rank
        near = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        return np.asarray((self.keys[near] == key) & (self.values[rank] == value))


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

    (single,) = {each.single for each in forests}
    return Forest(
        joined("feature"), joined("threshold"), joined("mode"), joined("missing_left"), child("left"), child("right"),
        joined("left_is_leaf"), joined("right_is_leaf"), joined("leaf_value"),
        np.concatenate([each.leaf_output + outputs[i] for i, each in enumerate(forests)]),
        np.concatenate([each.roots + nodes[i] for i, each in enumerate(forests)]),
        np.concatenate([each.set_ends + members[i] for i, each in enumerate(forests)]),
        joined("set_values"), joined("base"), single,
    )  # fmt: skip
