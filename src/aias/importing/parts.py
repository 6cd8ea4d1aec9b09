"""A part of a foreign graph by itself: what it makes of a tensor within."""

from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import helper

from aias.core.arrays import Floats
from aias.importing.bounds import reads


def made_of(model: onnx.ModelProto, source: str, wanted: str, shown: Floats, *, element: int) -> Any:
    """What one tensor is where another, of these `element`s, is `shown`, (rows, width); None where it is made of
    something else besides, or cannot be told."""
    needed, nodes = {wanted}, list[onnx.NodeProto]()
    for node in reversed(model.graph.node):
        if needed & set(node.output) and source not in node.output:
            needed |= reads(node)
            nodes.insert(0, node)
    if source not in needed or needed & {each.name for each in model.graph.input}:
        return None
    graph = helper.make_graph(
        nodes, "part", [helper.make_tensor_value_info(source, element, [None, shown.shape[1]])],
        [onnx.ValueInfoProto(name=wanted)], [each for each in model.graph.initializer if each.name in needed],
    )  # fmt: skip
    part = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(part.SerializeToString(), options, providers=["CPUExecutionProvider"])
        (found,) = session.run(None, {source: shown.astype(helper.tensor_dtype_to_np_dtype(element))})
    except Exception:  # noqa: BLE001  ONNX Runtime has no public base for its errors
        return None
    return np.asarray(found)


def element_of(model: onnx.ModelProto, output: str) -> int:
    """Of an output of the graph; 0 where there is none."""
    return next((each.type.tensor_type.elem_type for each in model.graph.output if each.name == output), 0)
