"""Large layers of a network as two thin ones, W ≈ U V: of all of this rank those nearest to what the layer gives.

    minimise ‖x (W - U V)‖² + λ ‖W - U V‖²      C = xᵀx + λ = L Lᵀ      Lᵀ W = P S Q      U = L⁻ᵀ P S½, V = S½ Q

of the first r directions (Eckart and Young 1936, in the coordinates of what is read). Rows need no answers for it. It
pays where r (m + n) is half of m n or less.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from aias.core.arrays import Floats
from aias.encoders.rows import Encoded
from aias.graph.layers import DAMP, is_dense, settings, some, values_of
from aias.graph.rewritten import NothingToRewrite, drop_unread

NUMBERS_MIN: Final = 65_536
"""Of 128 × 128 numbers two thin products took longer than one, of 256 × 256 nine tenths of its time, of 1,024 × 1,024
.58 (half of the numbers, ONNX Runtime 1.32)."""

KEPT_MIN: Final = 0.9
"""Of the variance of what a layer gives. What loses more would take time only to be refused."""


def large_layers(graph: bytes) -> list[str]:
    """The outputs of the layers that are worth two. Raises `NothingToRewrite` where there is none."""
    model = onnx.load_from_string(graph)
    if any(each.name == "tokens" for each in model.graph.input):
        raise NothingToRewrite("the matrices of a transformer are of nearly full rank; take layers, or neurons, of it")
    held = {each.name: each for each in model.graph.initializer}
    found = [node.output[0] for node in model.graph.node if _is_large(node, held)]
    if not found:
        raise NothingToRewrite(f"it has no layer of {NUMBERS_MIN:,} numbers or more")
    return found


def keeping(graph: bytes, encoded: Encoded, share: float, places: list[str]) -> list[str]:
    """Those of the layers that keep enough of what they give to these rows. Raises `NothingToRewrite`."""
    model = onnx.load_from_string(graph)
    found = {name: _kept(model, encoded, share, name) for name in places}
    enough = [name for name, kept in found.items() if kept >= KEPT_MIN]
    if not enough:
        most = f"{100 * max(found.values()):.0f} % of what it gives at most, and {100 * KEPT_MIN:.0f} are asked for"
        raise NothingToRewrite(f"with {100 * share:g} % of its numbers a layer keeps {most}")
    return enough


def thinner(model: onnx.ModelProto, encoded: Encoded, share: float, places: list[str]) -> onnx.ModelProto:
    """The layers of these outputs with this share of their numbers, each as two; `encoded`: rows to fit them by."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    del found.graph.value_info[:], found.graph.node[:]
    held = {each.name: each for each in found.graph.initializer}
    for node in model.graph.node:
        last = found.graph.node.add()
        last.CopyFrom(node)
        if node.output[0] not in places:
            continue
        weights, turned = _weights(node, held)
        down, up = _factors(_read(model, encoded, node), weights, share)
        names = [f"{node.output[0]}/{part}" for part in ("down", "up", "thin")]
        last.input[:] = [names[2], names[1], *node.input[2:]]
        first = helper.make_node("MatMul", [node.input[0], names[0]], [names[2]])
        found.graph.node.insert(len(found.graph.node) - 1, first)
        for name, value in zip(names, (down, up.T if turned else up), strict=False):
            held_so = np.ascontiguousarray(value, np.float32)
            found.graph.initializer.append(numpy_helper.from_array(held_so, name))
    drop_unread(found.graph)
    return found


def _is_large(node: onnx.NodeProto, held: Mapping[str, onnx.TensorProto]) -> bool:
    if node.op_type not in ("MatMul", "Gemm") or not is_dense(node):
        return False
    tensor = held.get(node.input[1])
    known = tensor is not None and tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == 2
    return bool(known and node.input[0] not in held and np.prod(held[node.input[1]].dims) >= NUMBERS_MIN)


def _kept(model: onnx.ModelProto, encoded: Encoded, share: float, name: str) -> float:
    node = next(each for each in model.graph.node if name in each.output)
    weights, _ = _weights(node, {each.name: each for each in model.graph.initializer})
    x = _read(model, encoded, node)
    down, up = _factors(x, weights, share)
    whole = x @ weights
    return float(1 - (whole - x @ down @ up).var(axis=0).sum() / max(whole.var(axis=0).sum(), 1e-300))


def _weights(node: onnx.NodeProto, held: Mapping[str, onnx.TensorProto]) -> tuple[Floats, bool]:
    """(inputs, outputs), and whether they are kept the other way round."""
    turned = bool(settings(node).get("transB"))
    weights = numpy_helper.to_array(held[node.input[1]]).astype(np.float64)
    return np.asarray(weights.T if turned else weights), turned


def _read(model: onnx.ModelProto, encoded: Encoded, node: onnx.NodeProto) -> Floats:
    """What the layer reads, where it is known: (positions, inputs)."""
    values = values_of(model, node.input[0], encoded)
    x = some(values.reshape(-1, values.shape[-1]))
    return np.asarray(x[np.isfinite(x).all(axis=1)])


def _factors(x: Floats, weights: Floats, share: float) -> tuple[Any, Any]:
    from scipy.linalg import solve_triangular, svd

    inputs, outputs = weights.shape
    rank = max(1, round(share * inputs * outputs / (inputs + outputs)))
    square = x.T @ x + (DAMP * float((x**2).sum()) / inputs + 1e-12) * np.eye(inputs)
    root = np.linalg.cholesky(square)
    left, size, right = svd(root.T @ weights, full_matrices=False)
    down = solve_triangular(root.T, left[:, :rank] * np.sqrt(size[:rank]), lower=False)
    return down, np.sqrt(size[:rank])[:, None] * right[:rank]
