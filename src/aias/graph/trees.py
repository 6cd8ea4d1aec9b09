"""The trees of a graph that we wrote, read out of it again: what `Forest.write` made of them, and what came after."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from aias.core.arrays import Floats, Ints
from aias.core.forest import MEMBER, Forest

LINKS: Final = {(): "identity", ("Mul", "Sigmoid"): "sigmoid", ("Softmax",): "softmax"}
"""By the operators between the sums and what `Builder.finish` writes."""

ENDS: Final = (("Cast", "ArgMax", "Gather"), ("Squeeze",))


def trees_in(model: bytes) -> tuple[Forest, str] | None:
    """The forest that a graph consists of, over `columns` as they are, and its link; None of any other graph."""
    graph = onnx.load_from_string(model).graph
    ensembles = [node for node in graph.node if node.op_type == "TreeEnsemble"]
    if len(ensembles) != 1 or graph.node[0] != ensembles[0] or ensembles[0].input[0] != "columns":
        return None
    after = tuple(node.op_type for node in graph.node)[1:]
    end = next((end for end in ENDS if after[-len(end) :] == end), None)
    if end is None:
        return None
    between = after[: -len(end)]
    forest = _forest({each.name: helper.get_attribute_value(each) for each in ensembles[0].attribute})
    if between[:1] == ("Add",):
        held = {each.name: each for each in graph.initializer}
        base = np.asarray(numpy_helper.to_array(held[graph.node[1].input[1]]), np.float64)
        forest, between = _based(forest, base), between[1:]
    link = LINKS.get(between)
    return None if link is None else (forest, link)


def _based(forest: Forest, base: Floats) -> Forest:
    return replace(forest, base=np.broadcast_to(base.ravel(), (forest.outputs,)).copy())


def _forest(held: dict[str, Any]) -> Forest:
    def ints(name: str) -> Ints:
        return np.array(held[name], np.int64)

    def flags(name: str) -> Any:
        return ints(name) > 0

    mode = numpy_helper.to_array(held["nodes_modes"]).astype(np.uint8)
    ends, members = _sets(mode, numpy_helper.to_array(held["membership_values"]) if "membership_values" in held else ())
    return Forest(
        ints("nodes_featureids"), np.asarray(numpy_helper.to_array(held["nodes_splits"]), np.float64), mode,
        flags("nodes_missing_value_tracks_true"), ints("nodes_truenodeids"), ints("nodes_falsenodeids"),
        flags("nodes_trueleafs"), flags("nodes_falseleafs"),
        np.asarray(numpy_helper.to_array(held["leaf_weights"]), np.float64), ints("leaf_targetids"), ints("tree_roots"),
        ends, members, np.zeros(int(held["n_targets"])),
    )  # fmt: skip


def _sets(mode: Any, values: Sequence[float] | Any) -> tuple[Ints, Floats]:
    """Each set is closed by NaN; they stand in the order of the nodes that read them."""
    closed = np.asarray(values, np.float64)
    sizes = np.zeros(len(mode), np.int64)
    sizes[mode == MEMBER] = np.diff(np.flatnonzero(np.isnan(closed)), prepend=-1) - 1
    return np.cumsum(sizes), closed[~np.isnan(closed)]
