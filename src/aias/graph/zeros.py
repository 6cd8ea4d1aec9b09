"""Half of a network's weights at zero, healed without gradients: what is left is fitted to what layers gave before.

The smaller half of every large matrix and kernel goes. Layer after layer then moves the weights W that it keeps, so
that it gives what it gave in the whole graph, z, from what it reads now, φ:

    minimise over W    ‖φ W - z‖² + λ ‖W - W₀‖²        W = 0 where W₀ = 0

by conjugate gradients (Hestenes and Stiefel 1952), all outputs together. Rows need no answers for it.
"""

from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from aias.core.arrays import Floats
from aias.encoders.rows import Encoded
from aias.graph.layers import DAMP, is_dense, is_simple, patches, settings, some, values_of
from aias.graph.rewriting import NUMBERS_MIN
from aias.graph.rewritten import NothingToRewrite

STEPS: Final = 40
"""Of conjugate gradients; with ten times as many the answers of two small networks came no nearer than by 3 %."""


def with_zeros(model: onnx.ModelProto, encoded: Encoded) -> onnx.ModelProto:
    """`encoded`: rows to heal by. Raises `NothingToRewrite`."""
    found, gone = onnx.ModelProto(), set[str]()
    found.CopyFrom(model)
    del found.graph.value_info[:]
    for tensor in filter(_is_large, found.graph.initializer):
        held = numpy_helper.to_array(tensor)
        _put(tensor, np.where(np.abs(held) < np.median(np.abs(held)), np.float32(0), held))
        gone.add(tensor.name)
    if not gone:
        raise NothingToRewrite(f"it has no matrix of {NUMBERS_MIN:,} numbers or more")
    held = {each.name: each for each in found.graph.initializer}
    readers = [name for node in found.graph.node for name in node.input]
    changed = False
    for node in found.graph.node:
        changed = changed or any(name in gone for name in node.input)
        if changed and _can_move(node, held, readers):
            _heal(model, found, node, encoded)
    return found


def can_have_zeros(graph: bytes) -> bool:
    return any(map(_is_large, onnx.load_from_string(graph).graph.initializer))


def _is_large(tensor: onnx.TensorProto) -> bool:
    wide = len(tensor.dims) > 1 and np.prod(tensor.dims) >= NUMBERS_MIN
    return bool(wide and tensor.data_type == TensorProto.FLOAT)


def _can_move(node: onnx.NodeProto, held: dict[str, onnx.TensorProto], readers: list[str]) -> bool:
    """A dense layer or convolution whose numbers are its own."""
    conv = node.op_type == "Conv" and settings(node).get("group", 1) == 1 and is_simple(node)
    if not conv and not (node.op_type in ("MatMul", "Gemm") and is_dense(node)):
        return False
    own = [name for name in node.input[1:] if name]
    known = all(name in held and readers.count(name) == 1 for name in own) and node.input[0] not in held
    if not known or any(held[name].data_type != TensorProto.FLOAT for name in own):
        return False
    outputs = held[own[0]].dims[0 if conv or settings(node).get("transB") else -1]
    fits = len(own) == 1 or np.prod(held[own[1]].dims) == outputs
    return fits and len(held[own[0]].dims) == (4 if conv else 2)


def _heal(whole: onnx.ModelProto, found: onnx.ModelProto, node: onnx.NodeProto, encoded: Encoded) -> None:
    held = {each.name: each for each in found.graph.initializer}
    read, wanted = values_of(found, node.input[0], encoded), values_of(whole, node.output[0], encoded)
    weights = numpy_helper.to_array(held[node.input[1]]).astype(np.float64)
    conv, turned = node.op_type == "Conv", bool(settings(node).get("transB"))
    if conv:
        x, z = patches(read, wanted, weights.shape, settings(node))
        start = weights.reshape(len(weights), -1).T
    else:
        x, z = some(read.reshape(-1, read.shape[-1])), some(wanted.reshape(-1, wanted.shape[-1]))
        start = weights.T if turned else weights
    sound = np.isfinite(x).all(axis=1) & np.isfinite(z).all(axis=1)  # rows with gaps may have no answer
    x, z = x[sound], z[sound]
    stay = start != 0 if np.mean(start == 0) > 0.25 else np.ones(start.shape, bool)
    bias = held[node.input[2]] if len(node.input) > 2 and node.input[2] else None
    if bias is not None:
        x = np.hstack([x, np.ones((len(x), 1))])
        start = np.vstack([start, numpy_helper.to_array(bias).reshape(1, -1).astype(np.float64)])
        stay = np.vstack([stay, np.ones((1, stay.shape[1]), bool)])
    moved = start + _moved(x, z - x @ start, stay)
    if bias is not None:
        _put(bias, moved[-1].reshape(tuple(bias.dims)))
        moved = moved[:-1]
    _put(held[node.input[1]], moved.T.reshape(weights.shape) if conv else moved.T if turned else moved)


def _moved(x: Floats, z: Floats, stay: Any) -> Floats:
    """By which the weights that stay move, (width, outputs)."""
    damp = DAMP * float((x**2).sum()) / x.shape[1] + 1e-12
    square = x.T @ x if len(x) >= x.shape[1] else None
    found = np.zeros(stay.shape)
    left = np.where(stay, x.T @ z, 0.0)
    step, size = left.copy(), (left**2).sum(axis=0)
    for _ in range(STEPS):
        pull = np.where(stay, (square @ step if square is not None else x.T @ (x @ step)) + damp * step, 0.0)
        far = size / np.maximum((step * pull).sum(axis=0), 1e-300)
        found, left = found + far * step, left - far * pull
        size, before = (left**2).sum(axis=0), size
        step = left + step * (size / np.maximum(before, 1e-300))
    return found


def _put(tensor: onnx.TensorProto, value: Any) -> None:
    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(value, np.float32), tensor.name))
