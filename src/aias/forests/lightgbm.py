"""LightGBM's own text of a model → one forest: its trees in turn for each output. Fields of all trees are read at once.

The text ends its trees with `end of trees`; of a tree it holds parallel arrays of inner nodes and leaves (LightGBM,
src/io/tree.cpp, `Tree::ToString`).
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.forest import LESS_OR_EQUAL, MEMBER, Forest


def forest_of(text: str, outputs: int) -> Forest:
    """The forest of a whole text. Where zeros count as missing, x holds NaN for them: see `zeros_are_missing`."""
    found = _fields(text[: text.index("\nend of trees")])
    leaves = found["num_leaves"].astype(np.int64)  # (trees,)
    if leaves.min(initial=1) < 1 or leaves.sum() != len(found["leaf_value"]):
        raise ValueError(f"{int(leaves.sum()):,} leaves are told of, and {len(found['leaf_value']):,} are there")
    lone = leaves == 1
    if lone.any():
        # A tree that is one leaf has no nodes; it gets one, whose children are both that leaf.
        at = (np.cumsum(leaves - 1) - (leaves - 1))[lone]
        alone = {"threshold": 0, "split_feature": 0, "decision_type": 0, "left_child": -1, "right_child": -1}
        found |= {name: np.insert(found[name], at, value) for name, value in alone.items()}
    nodes = np.maximum(leaves - 1, 1)
    kind = found["decision_type"].astype(np.int64)
    categorical = kind & _CATEGORICAL > 0
    sets = _sets(found, nodes, categorical)
    first_node, first_leaf = _starts(nodes), _starts(leaves)
    left, left_is_leaf = _child(found["left_child"], np.repeat(first_node, nodes), np.repeat(first_leaf, nodes))
    right, right_is_leaf = _child(found["right_child"], np.repeat(first_node, nodes), np.repeat(first_leaf, nodes))
    threshold = np.where(categorical, 0.0, found["threshold"])
    # Where training had no missing values, LightGBM reads NaN as 0; and a set never holds NaN.
    missing_left = np.where(kind >> 2 & 3 != _NONE_MISSING, kind & _DEFAULT_LEFT > 0, threshold >= 0)
    return Forest(
        found["split_feature"].astype(np.int64), threshold,
        np.where(categorical, MEMBER, LESS_OR_EQUAL).astype(np.uint8), missing_left & ~categorical,
        left, right, left_is_leaf, right_is_leaf,
        found["leaf_value"], np.repeat(np.arange(len(leaves)) % outputs, leaves), first_node, *sets, np.zeros(outputs),
    )  # fmt: skip


def zeros_are_missing(text: str) -> list[int]:
    """The columns whose zeros count as missing: LightGBM decides it for a column, and says it at every node."""
    found = _fields(text[: text.index("\nend of trees")])
    kind = found["decision_type"].astype(np.int64)
    zero = (kind >> 2 & 3 == _MISSING_IS_ZERO) & (kind & _CATEGORICAL == 0)
    columns: list[int] = np.unique(found["split_feature"][zero]).astype(np.int64).tolist()
    return columns


_FIELDS: Final = (
    "num_leaves", "num_cat", "split_feature", "threshold", "decision_type", "left_child", "right_child", "leaf_value",
    "cat_boundaries", "cat_threshold",
)  # fmt: skip

_CATEGORICAL, _DEFAULT_LEFT = 1, 2
"""Bits of `decision_type`; the two above them are the kind of missing values (LightGBM, include/LightGBM/tree.h)."""
_NONE_MISSING, _MISSING_IS_ZERO = 0, 1


def _fields(trees: str) -> dict[str, Floats]:
    """The numbers of all trees, one after another. Float64 holds every one exactly: whole ones are below 2^32."""
    lines: dict[str, list[str]] = {name: [] for name in _FIELDS}
    for line in trees.split("\n"):
        name, _, values = line.partition("=")
        if values and name in lines:
            lines[name].append(values)
    return {name: np.fromstring(" ".join(values), sep=" ") for name, values in lines.items()}


def _starts(sizes: Ints) -> Ints:
    return np.cumsum(sizes) - sizes


def _child(child: Floats, first_node: Ints, first_leaf: Ints) -> tuple[Ints, Any]:
    """LightGBM's leaf i is child -1 - i."""
    index = child.astype(np.int64)
    return np.where(index < 0, first_leaf - 1 - index, first_node + index), index < 0


def _sets(found: Mapping[str, Floats], nodes: Ints, categorical: Any) -> tuple[Ints, Floats]:
    """The ends of the nodes' sets, and their members, from bitsets of 32-bit words.

    A categorical node's threshold is the number of its bitset within the tree.
    """
    counts = found["num_cat"].astype(np.int64)  # (trees,) bitsets
    if not counts.any():
        return np.zeros(len(categorical), np.int64), np.zeros(0)
    have = counts[counts > 0] + 1  # boundaries are written by trees that have sets
    bounds = found["cat_boundaries"].astype(np.int64)
    words = np.delete(np.diff(bounds, append=0), np.cumsum(have) - 1)  # (bitsets,)
    bits = np.unpackbits(found["cat_threshold"].astype("<u4").view(np.uint8), bitorder="little")
    word, bit = np.nonzero(bits.reshape(-1, 32))
    bitset_of_word = np.repeat(np.arange(len(words)), words)
    member = (word - _starts(words)[bitset_of_word[word]]) * 32 + bit
    # Bitsets stand in the order in which the tree was grown, sets in the order of nodes.
    tree_of_node = np.repeat(np.arange(len(nodes)), nodes)
    bitset = (_starts(counts)[tree_of_node] + np.where(categorical, found["threshold"], 0).astype(np.int64))[
        categorical
    ]
    node_of_bitset = np.empty(len(words), np.int64)
    node_of_bitset[bitset] = np.flatnonzero(categorical)
    node = node_of_bitset[bitset_of_word[word]]
    sizes = np.bincount(node, minlength=len(categorical))
    return np.cumsum(sizes), member[np.argsort(node, kind="stable")].astype(np.float64)
