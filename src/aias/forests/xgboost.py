"""XGBoost's own JSON of a model → one forest.

XGBoost tells by `float32(x) < threshold`. The forest compares x in float64 with the largest value that float32 rounds
to below the threshold: equal for every x, infinite ones too, since what is beyond float32 counts as its end.
"""

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.forest import FLOAT32_MAX, LESS, LESS_OR_EQUAL, MEMBER, Forest


def _logit(given: Floats) -> Floats:
    return np.asarray(np.log(given / (1 - given)))


_MARGINS: Final[dict[str, Callable[[Floats], Floats]]] = {
    "binary:logistic": _logit, "reg:logistic": _logit, "count:poisson": np.log,
    "reg:gamma": np.log, "reg:tweedie": np.log, "survival:cox": np.log, "survival:aft": np.log,
}  # fmt: skip
"""From the base score as it is written, an answer, to what is added to the sums (src/objective, `ProbToMargin`)."""


class Nodes:
    """The nodes of all trees one after another, leaves among them, from XGBoost's JSON of a model."""

    def __init__(self, learner: dict[str, Any]) -> None:
        model = learner["gradient_booster"]["model"]
        self.trees = [_kept(tree) if int(tree["tree_param"]["num_deleted"]) else tree for tree in model["trees"]]
        self.counts = np.array([len(tree["left_children"]) for tree in self.trees])
        self.starts = np.cumsum(self.counts) - self.counts
        self.output = np.array(model["tree_info"], np.int64)  # (trees,)
        self.left, self.right = self.joined("left_children"), self.joined("right_children")
        self.value = self.joined("split_conditions", np.float32).astype(np.float64)  # of leaves; thresholds of others
        self.base = base_of(learner)

    def joined(self, name: str, kind: Any = np.int64) -> Any:
        return np.concatenate([np.array(tree[name], kind) for tree in self.trees])

    def sets(self, inner: Any) -> tuple[Ints, Floats]:
        """The sizes of the sets of the inner nodes, and their members in the order of the nodes."""
        sizes = np.zeros(int(self.counts.sum()), np.int64)
        at = np.repeat(self.starts, [len(tree["categories_nodes"]) for tree in self.trees])
        sizes[at + self.joined("categories_nodes")] = self.joined("categories_sizes")
        return sizes[inner], self.joined("categories", np.float64)


def base_of(learner: dict[str, Any]) -> Floats:
    """What is added to the sums, (outputs,)."""
    base = np.array(json.loads(learner["learner_model_param"]["base_score"]), np.float32).astype(np.float64).ravel()
    with np.errstate(divide="ignore"):
        return np.asarray(_MARGINS.get(learner["objective"]["name"], np.asarray)(base))


def _kept(tree: dict[str, Any]) -> dict[str, Any]:
    """Without the nodes that pruning took away (`gamma` with `tree_method="exact"`): leaves that nothing leads to."""
    left, right = (np.array(tree[name], np.int64) for name in ("left_children", "right_children"))
    kept = np.zeros(len(left), np.bool_)
    kept[[0, *left[left >= 0], *right[left >= 0]]] = True
    assert not tree["categories_nodes"], "no tree that is pruned reads sets"
    assert (~kept).sum() == int(tree["tree_param"]["num_deleted"]), "every other node has its place"
    place = np.cumsum(kept) - 1
    found: dict[str, Any] = {
        name: np.array(tree[name])[kept] for name in ("split_conditions", "split_indices", "split_type", "default_left")
    }
    children = {name: np.where(side < 0, side, place[side])[kept]
                for name, side in (("left_children", left), ("right_children", right))}  # fmt: skip
    return tree | found | children


def texts_of(raw: bytes, ends: Sequence[int], rows: Sequence[str]) -> list[str] | None:
    """A column's categories, which stand one after another. `rows`: those that occur in it.

    XGBoost counts characters of a pandas column where it means bytes, so that beyond ASCII the end is cut off
    (3.2, python-package/xgboost/_data_utils.py, `npstr_to_arrow_strarr`): what is missing is looked up in the rows.
    None where they do not tell.
    """
    if raw.isascii():
        return [raw[at:end].decode() for at, end in pairwise(ends)]
    whole = raw.decode("utf-8", "ignore")
    pieces = [(whole[at:end], end - at) for at, end in pairwise(ends)]
    by_bytes = _decoded(raw, ends)
    by_characters = _completed(pieces, rows)
    found = [each for each in (by_bytes, by_characters) if each is not None]
    return max(found, key=lambda texts: len(set(texts) & set(rows)), default=None)


def _decoded(raw: bytes, ends: Sequence[int]) -> list[str] | None:
    try:
        return [raw[at:end].decode() for at, end in pairwise(ends)]
    except UnicodeDecodeError:
        return None


def _completed(pieces: Sequence[tuple[str, int]], rows: Sequence[str]) -> list[str] | None:
    """Texts that begin so and are so long, where each cut one can be one of the rows' only."""
    found = [text if len(text) == length else None for text, length in pieces]
    while None in found:
        left = set(rows) - set(found)
        fitting = {
            place: [text for text in left if len(text) == length and text.startswith(piece)]
            for place, (piece, length) in enumerate(pieces) if found[place] is None
        }  # fmt: skip
        place = next((place for place, texts in fitting.items() if len(texts) == 1), None)
        if place is None:
            return None
        (found[place],) = fitting[place]
    return [text for text in found if text is not None]


def forest_of(nodes: Nodes, sizes: Ints) -> Forest:
    """A tree that is one leaf gets a node above it, whose children are both that leaf."""
    is_leaf = nodes.left < 0
    inner = ~is_leaf | np.repeat(nodes.counts == 1, nodes.counts)
    # Children are numbered within their tree; here among all nodes, or among all leaves.
    index = np.where(is_leaf, np.cumsum(is_leaf), np.cumsum(inner)) - 1
    starts = np.repeat(nodes.starts, nodes.counts)
    leaf_places = np.arange(len(is_leaf))
    left, right = (np.where(is_leaf, leaf_places, starts + side)[inner] for side in (nodes.left, nodes.right))
    # XGBoost's sets hold what goes right, and everything that it does not know goes left.
    member = (nodes.joined("split_type") == 1)[inner]
    feature = np.where(is_leaf, 0, nodes.joined("split_indices"))[inner]
    counts, members, swapped = _shortest(*nodes.sets(inner), sizes[feature])
    to_right = member & ~swapped
    left, right = np.where(to_right, right, left), np.where(to_right, left, right)
    missing_left = (nodes.joined("default_left") > 0)[inner] ^ to_right
    threshold, mode = below(nodes.value[inner])
    return Forest(
        feature, np.where(member, 0.0, threshold), np.where(member, MEMBER, mode).astype(np.uint8), missing_left,
        index[left], index[right], is_leaf[left], is_leaf[right],
        nodes.value[is_leaf], np.repeat(nodes.output, nodes.counts)[is_leaf], (np.cumsum(inner) - 1)[nodes.starts],
        np.cumsum(counts), members, nodes.base,
    )  # fmt: skip


def _shortest(counts: Ints, members: Floats, sizes: Ints) -> tuple[Ints, Floats, Any]:
    """Sets of more than half of a column's codes become sets of the others; and which did.

    XGBoost chooses a few categories, `max_cat_threshold`, for the one side or for the other.
    """
    counts, swapped = counts.copy(), np.zeros(len(counts), np.bool_)
    at = np.flatnonzero(counts)
    sets = np.split(members, np.cumsum(counts[at])[:-1])
    for place, node in enumerate(at):
        if sizes[node] < 2 * counts[node] < 2 * sizes[node]:
            sets[place] = np.delete(np.arange(sizes[node], dtype=np.float64), sets[place].astype(np.int64))
            counts[node], swapped[node] = len(sets[place]), True
    return counts, np.concatenate([np.zeros(0), *sets]), swapped


def below(threshold: Floats) -> tuple[Floats, Any]:
    """The largest float64 that float32 rounds to below each threshold, and how to compare with it."""
    exact = threshold.astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        before = np.nextafter(exact, np.float32(-np.inf)).astype(np.float64)
        middle = before + (threshold - before) / 2
        found = np.where(middle.astype(np.float32) < exact, middle, np.nextafter(middle, -np.inf))
    # Nothing is below the least float32, and nothing finite or infinite is not below infinity.
    least = threshold <= -FLOAT32_MAX
    found = np.where(least, -np.inf, np.where(np.isposinf(threshold), np.inf, found))
    return found, np.where(least, LESS, LESS_OR_EQUAL)
