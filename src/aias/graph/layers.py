"""What a layer of a graph reads and gives, for those who fit its weights anew without gradients."""

from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper

from aias.core.arrays import Floats, Ints
from aias.encoders.rows import Encoded
from aias.runtimes.onnxruntime import Session

POSITIONS_MAX: Final = 4_096
"""Where a layer is looked at, and so the size of the largest system that is solved: a second."""

DAMP: Final = 0.01
"""λ, in mean squares of what is read."""


def settings(node: onnx.NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def is_simple(node: onnx.NodeProto) -> bool:
    """A convolution whose patches are cut out here."""
    known = settings(node)
    return known.get("auto_pad", b"NOTSET") == b"NOTSET" and set(known.get("dilations", [1])) == {1}


def is_dense(node: onnx.NodeProto) -> bool:
    """A product with a matrix, and at most a bias."""
    known = settings(node)
    usual = known.get("alpha", 1.0) == 1 and known.get("beta", 1.0) == 1 and not known.get("transA")
    return node.op_type == "MatMul" or (node.op_type == "Gemm" and usual)


def values_of(model: onnx.ModelProto, name: str, encoded: Encoded) -> Floats:
    """What the rows make of a tensor."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    del shown.graph.output[:]
    shown.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return np.asarray(Session(shown.SerializeToString(), output=name).run(encoded), np.float64)


def patches(x: Floats, z: Floats, dims: Any, known: dict[str, Any]) -> tuple[Floats, Floats]:
    """What a convolution reads for some of its outputs, (positions, channels * sides), and these, (positions,
    outputs)."""
    top, left, bottom, right = known.get("pads", [0, 0, 0, 0])
    down, across = known.get("strides", [1, 1])
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, tuple(dims[2:]), axis=(2, 3))[:, :, ::down, ::across]
    rows, _, high, wide = z.shape
    at = np.unravel_index(_places(rows * high * wide), (rows, high, wide))
    read = windows.transpose(0, 2, 3, 1, 4, 5)[at]
    return read.reshape(len(read), -1), z.transpose(0, 2, 3, 1)[at]


def some(values: Floats) -> Floats:
    """So many positions, the same of all tensors of as many."""
    return np.asarray(values[_places(len(values))])


def _places(count: int) -> Ints:
    return np.sort(np.random.default_rng(0).permutation(count)[:POSITIONS_MAX])
