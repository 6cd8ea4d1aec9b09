"""Parts of a graph in fewer bits: products by rows in int8, weights kept in float16, convolutions with fixed scales.

products       x W ≈ s (q - 128) V t      q uint8, s = max|x| / 127 of one row of x: its own scale, so that no answer
                                          hangs on who shares the batch (Dettmers et al. 2022); V t as in `int8.py`
convolutions   scales of each tensor, measured once on real rows; weights by channel (Jacob et al. 2018)
halves         float16 in the file, float32 where it is computed
"""

import contextlib
import logging
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from aias.graph.int8 import STEPS, multiplied_steps, rounded
from aias.graph.rewritten import NothingToRewrite, drop_unread

ZERO: Final = 128
"""Of activations as uint8, which processors multiply with int8 faster than int8 with int8. Where all of a row is 0 its
scale is 0 too; whatever whole number 0 / 0 then becomes is multiplied by it."""

NUMBERS_MIN: Final = 4_096
"""Of a matrix; smaller ones are a kilobyte or two, and computed before they are rounded."""

HALVED_MIN: Final = 256

AXES_AS_INPUT: Final = 18
"""The operator set from which a reduction's axes are an input."""

PRODUCTS: Final = ("MatMul", "Gemm")

QUANTISED: Final = (
    "Conv", "MatMul", "Gemm", "MaxPool", "AveragePool", "GlobalAveragePool", "Relu", "Clip", "Add", "Concat", "Reshape",
    "Flatten", "Squeeze", "Unsqueeze", "Transpose",
)  # fmt: skip


def products_in_int8(model: onnx.ModelProto, spared: Collection[str] = ()) -> onnx.ModelProto:
    """Every product with a matrix that never changes, but for those whose outputs are named. Raises
    `NothingToRewrite`."""
    return _Products(model, spared=frozenset(spared)).run()


def weighed(graph: bytes, most: int, kinds: Collection[str]) -> list[str]:
    """The outputs of the nodes of these kinds with most weights, the heaviest first."""
    model = onnx.load_from_string(graph)
    held = {each.name: int(np.prod(each.dims)) for each in model.graph.initializer if len(each.dims) > 1}
    found = [
        (held[node.input[1]], node.output[0]) for node in model.graph.node
        if node.op_type in kinds and node.input[1] in held
    ]  # fmt: skip
    return [name for _, name in sorted(found, reverse=True)[:most]]


def halves(model: onnx.ModelProto) -> onnx.ModelProto:
    """Raises `NothingToRewrite` where hardly anything is float32, or some of it is beyond float16."""
    found, casts = onnx.ModelProto(), list[onnx.NodeProto]()
    found.CopyFrom(model)
    for tensor in found.graph.initializer:
        if tensor.data_type != TensorProto.FLOAT or np.prod(tensor.dims) < HALVED_MIN:
            continue
        held = numpy_helper.to_array(tensor)
        if not np.abs(held).max() < np.finfo(np.float16).max:
            raise NothingToRewrite("some of its weights are beyond what float16 holds")
        name, half = tensor.name, f"{tensor.name}/half"
        tensor.CopyFrom(numpy_helper.from_array(held.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
    if not casts:
        raise NothingToRewrite(f"it has no float32 tensor of {HALVED_MIN} numbers or more")
    nodes = list(found.graph.node)
    del found.graph.node[:]
    found.graph.node.extend([*casts, *nodes])
    return found


def halves_too(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same where there is any, else the graph as it is."""
    try:
        return halves(model)
    except NothingToRewrite:
        return model


def with_fixed_scales(
    model: onnx.ModelProto, feeds: list[Mapping[str, Any]], spared: Collection[str] = ()
) -> onnx.ModelProto:
    """Convolutions and what stands around them, by scales that these rows show, but for those whose outputs are named.
    Raises `NothingToRewrite`."""
    if not any(node.op_type == "Conv" for node in model.graph.node):
        raise NothingToRewrite("it has no convolution; products are better off with a scale for each row")
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    present = {node.op_type for node in model.graph.node}
    with tempfile.TemporaryDirectory(prefix="aias-") as folder, _quietly():
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        whole = onnx.shape_inference.infer_shapes(model)
        for node in whole.graph.node:
            node.name = node.output[0]
        before.write_bytes(whole.SerializeToString())
        quantize_static(
            str(before), str(after), _Feeds(list(feeds)), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8, reduce_range=multiplied_steps() < STEPS,
            op_types_to_quantize=[each for each in QUANTISED if each in present], nodes_to_exclude=list(spared),
        )  # fmt: skip
        return onnx.load(str(after))


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """ONNX Runtime's quantiser gives advice through the root logger, and a handler to that; neither stays."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    root.setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)


@dataclass
class _Feeds:
    """As ONNX Runtime asks for rows."""

    feeds: list[Mapping[str, Any]]

    def get_next(self) -> Mapping[str, Any] | None:
        return self.feeds.pop(0) if self.feeds else None


@dataclass(eq=False)
class _Products:
    model: onnx.ModelProto
    spared: frozenset[str] = frozenset()
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    tensors: list[onnx.TensorProto] = field(default_factory=list)
    rows: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """By what is multiplied: its shape, its rows in whole numbers, their scales."""
    count: int = 0

    def __post_init__(self) -> None:
        graph = self.model.graph
        self.held = {each.name: each for each in graph.initializer}
        version = next(each.version for each in self.model.opset_import if each.domain in ("", "ai.onnx"))
        self.axes_as_input = version >= AXES_AS_INPUT

    def run(self) -> onnx.ModelProto:
        found = onnx.ModelProto()
        found.CopyFrom(self.model)
        for node in self.model.graph.node:
            weights = self._weights(node)
            if weights is None:
                self.nodes.append(node)
            else:
                self._write(node, weights)
        if not self.count:
            raise NothingToRewrite(f"it has no product with a matrix of {NUMBERS_MIN:,} numbers or more")
        del found.graph.node[:]
        found.graph.node.extend(self.nodes)
        found.graph.initializer.extend(self.tensors)
        drop_unread(found.graph)
        return found

    def _weights(self, node: onnx.NodeProto) -> Any:
        """(inputs, outputs) in float32, of a product that can be written otherwise."""
        if node.op_type not in PRODUCTS or node.input[0] in self.held or node.input[1] not in self.held:
            return None
        if node.output[0] in self.spared:
            return None
        tensor = self.held[node.input[1]]
        if tensor.data_type != TensorProto.FLOAT or len(tensor.dims) != 2 or np.prod(tensor.dims) < NUMBERS_MIN:
            return None
        settings = {each.name: helper.get_attribute_value(each) for each in node.attribute}
        if settings.get("transA") or settings.get("alpha", 1.0) != 1 or settings.get("beta", 1.0) != 1:
            return None
        held = numpy_helper.to_array(tensor)
        return held.T if settings.get("transB") else held

    def _write(self, node: onnx.NodeProto, weights: Any) -> None:
        self.count += 1
        shape, whole, scales = self._rows(node.input[0], len(weights))
        held, scale = rounded(np.ascontiguousarray(weights), axis=0, steps=multiplied_steps())
        sums = self._op("MatMulInteger", whole, self._constant(held), self._constant(np.array(ZERO, np.uint8)))
        found = self._op("Mul", self._op("DequantizeLinear", sums, scales, axis=0), self._constant(scale[0]))
        outer = self._op("Slice", shape, *(self._constant(np.array([each])) for each in (0, -1)))
        whole_shape = self._op("Concat", outer, self._constant(np.array([weights.shape[1]])), axis=0)
        bias = node.input[2] if len(node.input) > 2 else ""
        if not bias:
            self.nodes.append(helper.make_node("Reshape", [found, whole_shape], [node.output[0]]))
            return
        found = self._op("Reshape", found, whole_shape)
        self.nodes.append(helper.make_node("Add", [found, bias], [node.output[0]]))

    def _rows(self, x: str, width: int) -> tuple[str, str, str]:
        if x not in self.rows:
            flat = self._op("Reshape", x, self._constant(np.array([-1, width])))
            size = self._op("Abs", flat)
            if self.axes_as_input:
                largest = self._op("ReduceMax", size, self._constant(np.array([1])), keepdims=0)
            else:
                largest = self._op("ReduceMax", size, axes=[1], keepdims=0)
            scales = self._op("Mul", largest, self._constant(np.array(1 / STEPS, np.float32)))
            zeros = self._op("Expand", self._constant(np.array([ZERO], np.uint8)), self._op("Shape", largest))
            self.rows[x] = self._op("Shape", x), self._op("QuantizeLinear", flat, scales, zeros, axis=0), scales
        return self.rows[x]

    def _op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"int8/{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def _constant(self, values: Any) -> str:
        name = f"int8/c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name
