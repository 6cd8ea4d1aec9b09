"""The trees of a graph that we wrote, read out of it again: what `Forest.write` made of them, and what came after."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import onnx
from onnx import helper, numpy_helper

from aias.core.arrays import Floats
from aias.core.forest import Forest

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
    forest = Forest.of({each.name: _value(each) for each in ensembles[0].attribute})
    if between[:1] == ("Add",):
        held = {each.name: each for each in graph.initializer}
        base = np.asarray(numpy_helper.to_array(held[graph.node[1].input[1]]), np.float64)
        forest, between = _based(forest, base), between[1:]
    link = LINKS.get(between)
    return None if link is None else (forest, link)


def _based(forest: Forest, base: Floats) -> Forest:
    return replace(forest, base=np.broadcast_to(base.ravel(), (forest.outputs,)).copy())


def _value(attribute: onnx.AttributeProto) -> Any:
    held = helper.get_attribute_value(attribute)
    return numpy_helper.to_array(held) if isinstance(held, onnx.TensorProto) else held
