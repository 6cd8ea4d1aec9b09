"""CatBoost's trees that are not symmetric (`grow_policy`), from its JSON: each node asks by itself."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from aias.core.arrays import Ints
from aias.core.forest import LESS_OR_EQUAL, Forest, side_by_side
from aias.forests.catboost import widest

Node = Mapping[str, Any]


def uneven_of(found: Mapping[str, Any], numbers: Ints) -> Forest:
    """`numbers`: the column of x of each of CatBoost's own numbers. Splits that read categories are refused before."""
    scale, base = found["scale_and_bias"]
    nodes: list[tuple[int, float, int, int]] = []  # its column and border, and its children; leaves are below zero
    leaves: list[Any] = []
    roots = [_walk(tree, numbers, nodes, leaves) for tree in found["trees"]]
    feature, border, left, right = (np.array(each) for each in zip(*nodes, strict=True))
    values = np.array(leaves, np.float64).reshape(len(leaves), len(base)) * scale
    each = [
        Forest(
            feature.astype(np.int64), border.astype(np.float64), np.full(len(nodes), LESS_OR_EQUAL, np.uint8),
            np.ones(len(nodes), np.bool_), np.where(left < 0, -1 - left, left), np.where(right < 0, -1 - right, right),
            left < 0, right < 0, values[:, output].copy(), np.zeros(len(leaves), np.int64), np.array(roots, np.int64),
            np.zeros(len(nodes), np.int64), np.zeros(0), np.array([base[output]], np.float64),
        )
        for output in range(len(base))
    ]  # fmt: skip
    return each[0] if len(each) == 1 else side_by_side(each)


def reads_categories(found: Mapping[str, Any]) -> bool:
    waiting = list(found["trees"])
    while waiting:
        node = waiting.pop()
        if "split" in node:
            if node["split"]["split_type"] != "FloatFeature":
                return True
            waiting += [node["left"], node["right"]]
    return False


def _walk(tree: Node, numbers: Ints, nodes: list[tuple[int, float, int, int]], leaves: list[Any]) -> int:
    """Its root. Without recursion: trees of `Lossguide` may be as deep as they have leaves."""
    if "split" not in tree:  # a tree of one leaf gets a node above it
        leaves.append(tree["value"])
        nodes.append((0, 0.0, -len(leaves), -len(leaves)))
        return len(nodes) - 1
    root = len(nodes)
    nodes.append((0, 0.0, 0, 0))
    waiting: list[tuple[int, Node]] = [(root, tree)]
    while waiting:
        at, node = waiting.pop()
        ends = []
        for child in (node["left"], node["right"]):
            if "split" in child:
                ends.append(len(nodes))
                nodes.append((0, 0.0, 0, 0))
                waiting.append((ends[-1], child))
            else:
                leaves.append(child["value"])
                ends.append(-len(leaves))
        split = node["split"]
        nodes[at] = (int(numbers[split["float_feature_index"]]), widest(split["border"]), ends[0], ends[1])
    return root
