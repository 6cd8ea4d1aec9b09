"""Convolutions with fewer channels, healed without gradients: what reads the others is fitted to what it gave before.

    A → elementwise, pools → B        A: a convolution that only B reads; B: a convolution or a dense layer

A channel counts as much as its values, times the weights that read it, say what those of others do not (columns of a QR
decomposition with pivots, Businger and Golub 1965). The others go, and with them their rows of B's weights W₀. What is
left moves so that B gives what it gave in the whole graph, z, from what it reads now, φ:

    minimise over W    ‖φ W - z‖² + λ ‖W - W₀‖²

(He, Zhang and Sun 2017, who choose channels by the lasso.) Rows need no answers for it.
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from aias.core.arrays import Floats
from aias.encoders.rows import Encoded
from aias.graph.layers import DAMP, POSITIONS_MAX, is_dense, is_simple, patches, settings, some, values_of
from aias.graph.rewritten import NothingToRewrite, drop_unread

CHANNELS_MIN: Final = 8
"""Of fewer each is needed, and engines compute eight at once."""

CHANNELS_STEP: Final = 4
"""What is left is a multiple of it: of 24 channels a row took 28 µs, of 18 36, of 16 23 (ONNX Runtime 1.32, AVX2)."""

BY_CHANNEL: Final = (
    "Relu", "LeakyRelu", "Clip", "Elu", "Sigmoid", "Tanh", "HardSwish", "HardSigmoid", "Identity", "Dropout",
    "MaxPool", "AveragePool", "GlobalAveragePool", "BatchNormalization",
)  # fmt: skip
"""They read one channel for each that they give."""


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """`between`: what stands between the two, in its order."""

    conv: onnx.NodeProto
    between: tuple[onnx.NodeProto, ...]
    reader: onnx.NodeProto


def fewer_channels(model: onnx.ModelProto, encoded: Encoded, share: float) -> onnx.ModelProto:
    """About this share of the channels of every convolution that one other layer reads; `encoded`: rows to heal by.

    Raises `NothingToRewrite`.
    """
    found = onnx.ModelProto()
    found.CopyFrom(model)
    del found.graph.value_info[:]
    sizes = {each.name: int(each.dims[0]) for each in model.graph.initializer if each.dims}
    pairs = [each for each in pairs_of(found) if _count(sizes[each.conv.input[1]], share) < sizes[each.conv.input[1]]]
    if not pairs:
        raise NothingToRewrite(
            f"it has no convolution of more than {CHANNELS_MIN} channels that one other layer reads alone"
        )
    for pair in pairs:
        _Pruning(model, found, pair, encoded).run(share)
        drop_unread(found.graph)
    return found


def can_have_fewer(graph: bytes) -> bool:
    return bool(pairs_of(onnx.load_from_string(graph)))


def pairs_of(model: onnx.ModelProto) -> list[Pair]:
    """In the order of the graph."""
    graph = model.graph
    held = {each.name: each for each in graph.initializer}
    given = {each.name for each in graph.output}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)

    def own(node: onnx.NodeProto, *, dims: int) -> bool:
        """Whether its weights are its own, and never change."""
        tensor = held.get(node.input[1])
        known = tensor is not None and tensor.data_type == TensorProto.FLOAT and len(tensor.dims) == dims
        return known and len(readers[node.input[1]]) == 1

    def plain(node: onnx.NodeProto) -> bool:
        known = settings(node)
        return node.op_type == "Conv" and own(node, dims=4) and known.get("group", 1) == 1

    found = []
    for node in graph.node:
        if not plain(node):
            continue
        between: list[onnx.NodeProto] = []
        at, flat = node.output[0], False
        while len(each := readers.get(at, [])) == 1 and at not in given and each[0].input[0] == at:
            reader = each[0]
            flattens = not flat and _flattens(reader, held)
            if not flattens and (flat or reader.op_type not in BY_CHANNEL):
                fits = is_dense(reader) and own(reader, dims=2) if flat else plain(reader) and is_simple(reader)
                found += [Pair(node, tuple(between), reader)] * fits
                break
            between.append(reader)
            at, flat = reader.output[0], flat or flattens
    return found


def _count(channels: int, share: float) -> int:
    return max(CHANNELS_MIN, CHANNELS_STEP * round(share * channels / CHANNELS_STEP))


def _flattens(node: onnx.NodeProto, held: dict[str, onnx.TensorProto]) -> bool:
    """To a line for each row."""
    if node.op_type == "Flatten":
        return bool(settings(node).get("axis", 1) == 1)
    if node.op_type != "Reshape" or node.input[1] not in held:
        return False
    shape = numpy_helper.to_array(held[node.input[1]]).tolist()
    return len(shape) == 2 and shape[0] in (0, -1)


class _Pruning:
    """Of one pair, in the graph `model`, which those before it have changed; `whole`: as it was."""

    def __init__(self, whole: onnx.ModelProto, model: onnx.ModelProto, pair: Pair, encoded: Encoded) -> None:
        self.whole, self.model, self.pair, self.encoded = whole, model, pair, encoded
        self.held = {each.name: each for each in model.graph.initializer}
        self.is_conv = pair.reader.op_type == "Conv"
        self.turned = bool(settings(pair.reader).get("transB"))

    def run(self, share: float) -> None:
        conv, reader = self.pair.conv, self.pair.reader
        channels = int(self.held[conv.input[1]].dims[0])
        read = values_of(self.model, reader.input[0], self.encoded)
        wanted = values_of(self.whole, reader.output[0], self.encoded)
        weights = self._weights()  # (channels, numbers of a channel, outputs)
        values = read.reshape(len(read), channels, -1)  # (rows, channels, positions)
        kept = _chosen(values, weights, _count(channels, share), by_position=not self.is_conv)
        self._cut(kept, channels)
        less = read[:, kept] if self.is_conv else values[:, kept].reshape(len(read), -1)
        self._heal(less, wanted, weights[kept])

    def _weights(self) -> Floats:
        held = numpy_helper.to_array(self.held[self.pair.reader.input[1]]).astype(np.float64)
        if self.is_conv:
            return np.asarray(held.transpose(1, 2, 3, 0).reshape(held.shape[1], -1, held.shape[0]))
        held = held.T if self.turned else held
        channels = self.held[self.pair.conv.input[1]].dims[0]
        return np.asarray(held.reshape(channels, -1, held.shape[1]))

    def _cut(self, kept: Any, channels: int) -> None:
        """Of A and of what stands between, all that is kept for a channel that goes."""
        normed = [each for each in self.pair.between if each.op_type == "BatchNormalization"]
        for node, names in ((self.pair.conv, self.pair.conv.input[1:]), *((each, each.input[1:]) for each in normed)):
            for place, name in enumerate(names, start=1):
                if name:
                    self._set(node, place, numpy_helper.to_array(self.held[name])[kept])
        for node in self.pair.between:
            if node.op_type == "Reshape":
                shape = numpy_helper.to_array(self.held[node.input[1]]).copy()
                if shape[1] > 0:
                    shape[1] = shape[1] // channels * len(kept)
                    self._set(node, 1, shape)

    def _set(self, node: onnx.NodeProto, place: int, value: Any) -> None:
        """A tensor of its own: others may read the one that was there."""
        name = f"{node.output[0]}/{place}/fewer"
        tensor = numpy_helper.from_array(np.ascontiguousarray(value), name)
        node.input[place] = name
        for each in self.model.graph.initializer:
            if each.name == name:
                each.CopyFrom(tensor)
                return
        self.model.graph.initializer.append(tensor)

    def _heal(self, read: Floats, wanted: Floats, weights: Floats) -> None:
        reader = self.pair.reader
        outputs = weights.shape[2]
        start = weights.reshape(-1, outputs)
        if self.is_conv:
            x, z = patches(read, wanted, self.held[reader.input[1]].dims, settings(reader))
        else:
            x, z = read[:POSITIONS_MAX], wanted[:POSITIONS_MAX]
        bias = numpy_helper.to_array(self.held[reader.input[2]]) if len(reader.input) > 2 else None
        if bias is not None:
            x, start = np.hstack([x, np.ones((len(x), 1))]), np.vstack([start, bias[None].astype(np.float64)])
        found = start + _ridge(x, z - x @ start)
        if bias is not None:
            self._set(reader, 2, found[-1].reshape(bias.shape).astype(np.float32))
            found = found[:-1]
        self._set(reader, 1, self._as_held(found.astype(np.float32), len(weights)))

    def _as_held(self, weights: Any, channels: int) -> Any:
        if not self.is_conv:
            return weights.T if self.turned else weights
        sides = list(self.held[self.pair.reader.input[1]].dims)[2:]
        return weights.reshape(channels, *sides, -1).transpose(3, 0, 1, 2)


def _chosen(values: Floats, weights: Floats, count: int, *, by_position: bool) -> Any:
    """The channels that say most of what the others do not, each by how far it moves the reader: the first pivots of a
    QR decomposition. `values`: (rows, channels, positions); `weights`: (channels, numbers, outputs)."""
    from scipy.linalg import qr

    heavy = (weights**2).sum(axis=2)  # of a convolution for all positions alike
    scale = np.sqrt(heavy if by_position else heavy.sum(axis=1, keepdims=True))
    moved = (values * scale).transpose(0, 2, 1).reshape(-1, values.shape[1])
    return np.sort(qr(some(moved), mode="r", pivoting=True)[1][:count])


def _ridge(x: Floats, z: Floats) -> Floats:
    """By which weights move, (width, outputs): of the two ways to write it the one with the smaller system."""
    damp = DAMP * float((x**2).mean()) * len(x) + 1e-12
    if len(x) < x.shape[1]:
        return np.asarray(x.T @ np.linalg.solve(x @ x.T + damp * np.eye(len(x)), z))
    return np.asarray(np.linalg.solve(x.T @ x + damp * np.eye(x.shape[1]), x.T @ z))
