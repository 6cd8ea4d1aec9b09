"""Small networks as published graphs: 64 columns in, probabilities of three classes out."""

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from aias.encoders.rows import Encoded
from aias.runtimes.onnxruntime import Session

CLASSES = ("a", "b", "c")
WIDTH = 64
RNG = np.random.default_rng(3)


def graph_of(nodes: list[Any], tensors: dict[str, Any], *, opset: int = 17) -> bytes:
    """A published classifier: the columns in, probabilities out."""
    nodes = [
        helper.make_node("Cast", ["columns"], ["x"], to=TensorProto.FLOAT), *nodes,
        helper.make_node("Cast", ["z"], ["z64"], to=TensorProto.DOUBLE),
        helper.make_node("Softmax", ["z64"], ["s"], axis=1),
        helper.make_node("Cast", ["s"], ["probabilities"], to=TensorProto.FLOAT),
    ]  # fmt: skip
    columns = helper.make_tensor_value_info("columns", TensorProto.DOUBLE, ["rows", WIDTH])
    out = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["rows", 3])
    held = [numpy_helper.from_array(np.asarray(value), name) for name, value in tensors.items()]
    graph = helper.make_graph(nodes, "net", [columns], [out], held)
    return bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8).SerializeToString()
    )


def drawn(*shape: int) -> Any:
    return (RNG.normal(size=shape) / np.sqrt(shape[-1])).astype(np.float32)


def dense(*, opset: int = 17, hidden: int = 96) -> bytes:
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], transB=1), helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "w2"], ["z"]),
    ]  # fmt: skip
    return graph_of(nodes, {"w1": drawn(hidden, WIDTH), "b1": drawn(hidden), "w2": drawn(hidden, 3) / 4}, opset=opset)


def convolutions(tensors: dict[str, Any], *, turned: bool = False) -> bytes:
    """Two convolutions, of which the second takes every other pixel, and a layer: `k1`, `b1`, `k2`, `b2`, `w`, `b`."""
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["image"]),
        helper.make_node("Conv", ["image", "k1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "k2", "b2"], ["c2"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["c2"], ["r2"]), helper.make_node("Flatten", ["r2"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "b"], ["z"], transB=int(turned)),
    ]  # fmt: skip
    return graph_of(nodes, {"shape": np.array([-1, 1, 8, 8]), **tensors})


def rows(x: Any) -> Encoded:
    nothing = np.zeros(0, np.int64)
    return Encoded(np.asarray(x, np.float64), nothing, nothing[:, None], 0)


X = RNG.normal(size=(50, WIDTH))


def said(model: bytes, x: Any) -> Any:
    return np.asarray(Session(model, output="probabilities").run(rows(x)), np.float64)
