"""A graph without what it need not compute for each row: constants folded, what does nothing left out, norms folded.

ONNX Runtime does most of it by its rewritings of the basic level, which give standard operators and so hold for every
engine and processor. What it leaves is done here:

    y = γ (x W + b - μ) / √(σ² + ε) + β  =  x (W s) + (b - μ) s + β        s = γ / √(σ² + ε)

a norm over batches behind a dense layer (Ioffe and Szegedy 2015, 3.1), a `Reshape` of a `Reshape`, and one that changes
nothing.
"""

import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from aias.graph.rewritten import NothingToRewrite, drop_unread, read_by, up_to

STANDARD: Final = ("", "ai.onnx", "ai.onnx.ml")
"""Operator sets that every engine reads."""

QUIET: Final = 3
"""Of ONNX Runtime: only errors are told."""


def folded(model: onnx.ModelProto) -> onnx.ModelProto:
    """With fewer nodes, and no larger. Raises `NothingToRewrite` where there is nothing to fold."""
    output = next(each.name for each in model.graph.output if each.name in ("probabilities", "prediction"))
    nodes, scores = up_to(model.graph, output)
    found = onnx.ModelProto()
    found.CopyFrom(model)
    del found.graph.node[:], found.graph.initializer[:], found.graph.output[:], found.graph.value_info[:]
    found.graph.node.extend(nodes.node)
    found.graph.initializer.extend(nodes.initializer)
    found.graph.output.append(helper.make_tensor_value_info(scores, TensorProto.DOUBLE, None))
    before, held = _steps(found.graph), _held(found.graph)
    _by_engine(found)
    _Rest(found).run()
    if _steps(found.graph) >= before:
        raise NothingToRewrite("nothing of its graph can be folded: every node is needed for every row")
    if _held(found.graph) > held:
        raise NothingToRewrite("folded, its graph is larger: what is computed once takes more room than what makes it")
    return _ended(found, model, output)


def _by_engine(model: onnx.ModelProto) -> None:
    """What ONNX Runtime writes of it, with all that stands around it as it was."""
    import onnxruntime

    with tempfile.TemporaryDirectory(prefix="aias-") as folder:
        path = Path(folder) / "folded.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(path)
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = QUIET
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        made = onnx.load(str(path)).graph
    foreign = sorted({node.domain for node in made.node} - {node.domain for node in model.graph.node} - {*STANDARD})
    if foreign:
        raise NothingToRewrite(f"folded, it would have operators that are not standard: {', '.join(foreign)}")
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(made.node)
    model.graph.initializer.extend(made.initializer)


@dataclass(eq=False)
class _Rest:
    """What the engine leaves. The graph is changed in its place."""

    model: onnx.ModelProto
    held: dict[str, onnx.TensorProto] = field(init=False)
    shapes: dict[str, list[int | None]] = field(init=False)

    def run(self) -> None:
        graph = self.model.graph
        self.held = {each.name: each for each in graph.initializer}
        self.shapes = _shapes(self.model)
        while any(self._folds(node) for node in graph.node):
            pass
        drop_unread(graph)

    def _folds(self, node: onnx.NodeProto) -> bool:
        if node.op_type == "BatchNormalization":
            return self._norm(node)
        return node.op_type == "Reshape" and self._reshape(node)

    def _norm(self, norm: onnx.NodeProto) -> bool:
        dense = self._made_by(norm.input[0], "Gemm")
        known = _settings(norm)
        if dense is None or not self._has(*norm.input[1:], *dense.input[1:]) or known.get("training_mode"):
            return False
        own = _settings(dense)
        if own.get("alpha", 1.0) != 1 or own.get("beta", 1.0) != 1 or len(norm.output) > 1:
            return False
        gain, shift, mean, spread = (self._value(name) for name in norm.input[1:])
        gain = gain / np.sqrt(spread + known.get("epsilon", 1e-5))
        weights = self._value(dense.input[1])
        bias = self._value(dense.input[2]) if len(dense.input) > 2 and dense.input[2] else 0.0
        if np.ndim(bias) > 1 and np.shape(bias)[0] != 1:
            return False
        dtype = numpy_helper.to_array(self.held[dense.input[1]]).dtype
        weights = weights * (gain[:, None] if own.get("transB") else gain)
        bias = np.broadcast_to((np.ravel(bias) - mean) * gain + shift, gain.shape)
        names = [self._new(f"{norm.output[0]}/{at}/folded", value.astype(dtype)) for at, value in
                 enumerate((weights, bias))]  # fmt: skip
        dense.input[:] = [dense.input[0], *names]
        self._leave_out(norm, dense.input[0], made_by=dense)
        return True

    def _reshape(self, node: onnx.NodeProto) -> bool:
        if not self._has(node.input[1]):
            return False
        shape = numpy_helper.to_array(self.held[node.input[1]]).tolist()
        plain = 0 not in shape and not _settings(node).get("allowzero")
        before = self._made_by(node.input[0], "Reshape", shared=True)
        if before is not None and plain:
            node.input[0] = before.input[0]
            self._drop_unread()
            return True
        dims = self.shapes.get(node.input[0])
        same = dims is not None and len(dims) == len(shape) and None not in dims[1:] and dims[1:] == shape[1:]
        if same and shape[0] in (0, -1) and not _settings(node).get("allowzero"):
            self._leave_out(node, node.input[0])
            return True
        return False

    def _made_by(self, name: str, kind: str, *, shared: bool = False) -> onnx.NodeProto | None:
        """The node of this kind that gives a tensor, and gives it to one reader alone."""
        graph = self.model.graph
        found = next((node for node in graph.node if name in node.output), None)
        if found is None or found.op_type != kind:
            return None
        readers = sum(read_by(node).count(name) for node in graph.node)
        given = any(each.name == name for each in graph.output)
        return found if shared or (readers == 1 and not given) else None

    def _leave_out(self, node: onnx.NodeProto, source: str, *, made_by: onnx.NodeProto | None = None) -> None:
        """`made_by` gives its output from now on; without it, whoever reads it reads the source."""
        graph, name = self.model.graph, node.output[0]
        if made_by is not None:
            made_by.output[0] = name
            graph.node.remove(node)
        elif any(each.name == name for each in graph.output) or _within_parts(graph, name):
            node.CopyFrom(helper.make_node("Identity", [source], [name]))
        else:
            graph.node.remove(node)
            for each in graph.node:
                each.input[:] = [source if given == name else given for given in each.input]

    def _drop_unread(self) -> None:
        graph = self.model.graph
        read = {name for node in graph.node for name in read_by(node)} | {each.name for each in graph.output}
        for node in [each for each in graph.node if not read & set(each.output)]:
            graph.node.remove(node)

    def _has(self, *names: str) -> bool:
        return all(name in self.held for name in names if name)

    def _value(self, name: str) -> Any:
        return numpy_helper.to_array(self.held[name]).astype(np.float64)

    def _new(self, name: str, value: Any) -> str:
        self.held[name] = numpy_helper.from_array(np.ascontiguousarray(value), name)
        self.model.graph.initializer.append(self.held[name])
        return name


def _ended(found: onnx.ModelProto, model: onnx.ModelProto, output: str) -> onnx.ModelProto:
    """With what makes the output of the scores."""
    last = next(node for node in model.graph.node if output in node.output)
    own = {f"{name}/last": each for each in model.graph.initializer for name in last.input[1:] if each.name == name}
    del found.graph.output[:]
    found.graph.output.extend(each for each in model.graph.output if each.name == output)
    found.graph.node.append(last)
    for name, tensor in own.items():
        found.graph.initializer.append(tensor)
        found.graph.initializer[-1].name = name
    added = found.graph.node[-1]
    added.input[1:] = [f"{name}/last" if f"{name}/last" in own else name for name in added.input[1:]]
    return found


def _steps(graph: onnx.GraphProto) -> int:
    """Nodes that compute anything."""
    return sum(node.op_type != "Constant" for node in graph.node)


def _held(graph: onnx.GraphProto) -> int:
    """The bytes of its numbers; of nodes there are fewer."""
    own = [attribute.t for node in graph.node for attribute in node.attribute if attribute.HasField("t")]
    parts = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
    return int(sum(each.ByteSize() - len(each.name) for each in (*graph.initializer, *own))) + sum(map(_held, parts))


def _within_parts(graph: onnx.GraphProto, name: str) -> bool:
    return any(name in read_by(node) and name not in node.input for node in graph.node)


def _shapes(model: onnx.ModelProto) -> dict[str, list[int | None]]:
    """Of the tensors whose shape is known; `None` for a side that is free."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    return {
        each.name: [side.dim_value if side.HasField("dim_value") else None for side in
                    each.type.tensor_type.shape.dim]
        for each in (*graph.value_info, *graph.input) if each.type.tensor_type.HasField("shape")
    }  # fmt: skip


def _settings(node: onnx.NodeProto) -> dict[str, Any]:
    return {each.name: helper.get_attribute_value(each) for each in node.attribute}
