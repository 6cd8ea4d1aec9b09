"""Versions without training: one number in, a multiple of it out."""

from dataclasses import replace

import numpy as np
from onnx import TensorProto, helper, numpy_helper

import artifacts
from aias.artifact.manifest import EncoderEntry
from aias.core.schema import Field
from aias.core.task import Task
from aias.runtimes.golden import GOLDEN, record
from aias.runtimes.onnxruntime import OnnxRuntime

MANIFEST = replace(
    artifacts.manifest("m"), task=Task("y", "regression", "rmse"), inputs=(Field("n", "number", example=3.0),),
    ignored=(), encoders=(EncoderEntry("n", "number", 1, "encoders/0.json"),),
)  # fmt: skip


def files(times: float, *, golden_of: float) -> dict[str, bytes]:
    """A graph that multiplies one number, and golden rows of such a graph."""
    made = {"encoders/0.json": b"{}", "profile.json": b"{}", "card.md": b"# m", "model.onnx": multiplying(times)}
    recorded = record(OnnxRuntime.from_files(made | {"model.onnx": multiplying(golden_of)}, MANIFEST))
    return made | {GOLDEN: recorded}


def multiplying(times: float) -> bytes:
    nodes = [
        helper.make_node("Mul", ["columns", "times"], ["product"]),
        helper.make_node("Squeeze", ["product", "axis"], ["prediction"]),
    ]
    held = [numpy_helper.from_array(np.array([times]), "times"), numpy_helper.from_array(np.array([1]), "axis")]
    into = helper.make_tensor_value_info("columns", TensorProto.DOUBLE, ["n", 1])
    out = helper.make_tensor_value_info("prediction", TensorProto.DOUBLE, ["n"])
    graph = helper.make_graph(nodes, "times", [into], [out], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())
