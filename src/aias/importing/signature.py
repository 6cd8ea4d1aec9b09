"""What an ONNX graph reads and gives: its inputs as columns; which tensors are scores, labels and classes."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from aias.encoders.category import text_of
from aias.importing.bounds import reads
from aias.importing.formats.contract import Input, UnfitModel
from aias.importing.machines import machine_of
from aias.importing.outliers import finds_outliers
from aias.importing.safety import DOMAINS

KINDS: Final = {
    TensorProto.FLOAT: "number", TensorProto.DOUBLE: "number", TensorProto.FLOAT16: "number",
    TensorProto.INT64: "whole", TensorProto.INT32: "whole", TensorProto.INT16: "whole", TensorProto.INT8: "whole",
    TensorProto.UINT64: "whole", TensorProto.UINT32: "whole", TensorProto.UINT16: "whole", TensorProto.UINT8: "whole",
    TensorProto.BOOL: "flag", TensorProto.STRING: "category",
}  # fmt: skip

SCORES: Final = {TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16}
LABELS: Final = {TensorProto.STRING, TensorProto.INT64, TensorProto.INT32}

MOVED: Final = {
    "Identity", "Reshape", "Squeeze", "Unsqueeze", "Concat", "Gather", "ArrayFeatureExtractor", "Split", "Slice",
    "Transpose", "Flatten", "Where", "Cast", "Shape", "Size",
}  # fmt: skip
"""Operators that leave texts as they are."""

CLASS_LISTS: Final = {"classlabels_strings", "classlabels_int64s", "classlabels_ints"}

TOLD_APART: Final = {"LabelEncoder", "OneHotEncoder", "CategoryMapper", "Equal"}
"""Operators that look whether a text is one of those that they know."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One input of the graph. `batch`: the rows that it takes at once, 0 for any; `flat`: one dimension only; `dims`:
    of one row, where it is an image or the like, whose numbers are columns in their order."""

    name: str
    element: int
    inputs: tuple[Input, ...]
    batch: int
    flat: bool
    dims: tuple[int, ...] = ()

    @property
    def dtype(self) -> Any:
        return helper.tensor_dtype_to_np_dtype(self.element)


@dataclass(frozen=True, slots=True)
class Outputs:
    """`scores`: the tensor of them; `keys`: the classes that a `ZipMap` gives them; `label_weights`: times which the
    largest of the scores is the label, where not as they are; `turned`: whether the smaller of two is; `votes`: between
    how many classes they vote, where they are not of classes (`importing.machines`); `outliers`: whether its labels
    were 1 and -1 for scores above and below 0, and left out."""

    scores: str
    label: str | None
    keys: tuple[Any, ...] = ()
    label_weights: tuple[float, ...] = ()
    turned: bool = False
    votes: int = 0
    outliers: bool = False


def slots_of(model: onnx.ModelProto) -> list[Slot]:
    """Raises `UnfitModel`."""
    kept = {each.name for each in model.graph.initializer}
    found = [_slot(model.graph, each) for each in model.graph.input if each.name not in kept]
    if not found:
        raise UnfitModel("it reads nothing", hint="export it with one matrix of numbers")
    return found


def _slot(graph: onnx.GraphProto, value: onnx.ValueInfoProto) -> Slot:
    tensor = value.type.tensor_type
    sizes = [size.dim_value if size.HasField("dim_value") else 0 for size in tensor.shape.dim]
    if tensor.elem_type not in KINDS:
        raise UnfitModel(f"its input `{value.name}` holds no numbers or texts", hint="export it with float32")
    if not sizes:
        raise UnfitModel(
            f"its input `{value.name}` is one value for all rows", hint="export the model with it as a constant"
        )
    flat = len(sizes) == 1
    dims = tuple(sizes[1:]) if len(sizes) > 2 else ()
    width = math.prod(dims) if dims else 1 if flat else sizes[1] or _width(graph, value.name)
    if width < 1:
        raise UnfitModel(
            f"its input `{value.name}` does not say how many columns it reads", hint="export it with a fixed width"
        )
    if flat and sizes[0] > 1:
        raise UnfitModel(f"its input `{value.name}` is one row of {sizes[0]} values", hint="export it with a batch")
    kind = KINDS[tensor.elem_type]
    known = _known(graph, value.name) if kind == "category" else ()
    names = [value.name] if width == 1 else [f"{value.name}[{j}]" for j in range(width)]
    inputs = tuple(Input(name, kind, known) for name in names)  # type: ignore[arg-type]
    return Slot(value.name, tensor.elem_type, inputs, max(0, sizes[0]), flat, dims)


def _width(graph: onnx.GraphProto, name: str) -> int:
    """What a first layer wants, where the input does not say it."""
    sizes = {each.name: list(each.dims) for each in graph.initializer}
    for node in graph.node:
        if node.input and node.input[0] == name and len(node.input) > 1 and node.input[1] in sizes:
            held = sizes[node.input[1]]
            if node.op_type == "MatMul" and len(held) == 2:
                return int(held[0])
            if node.op_type == "Gemm":
                turned = any(each.name == "transB" and each.i for each in node.attribute)
                return int(held[1 if turned else 0])
    return 0


def _known(graph: onnx.GraphProto, name: str) -> tuple[str, ...]:
    """Every text that an input of texts is compared with. Raises `UnfitModel` where more is done with it."""
    texts, known = {name}, dict[str, None]()
    held = {each.name: each for each in graph.initializer if each.data_type == TensorProto.STRING}
    for node in graph.node:
        if not texts & set(node.input):
            continue
        if node.op_type not in MOVED | TOLD_APART or (node.op_type == "Cast" and not _to_text(node)):
            raise UnfitModel(
                f"its `{node.op_type}` does more with the texts of `{name}` than to tell equal ones apart",
                hint="export it with categories as LabelEncoder or OneHotEncoder read them",
            )
        if node.op_type in TOLD_APART:
            known |= dict.fromkeys(_told_apart(node, held))
        gives_texts = node.op_type in MOVED - {"Shape", "Size"} or any(
            each.name == "values_strings" and each.strings for each in node.attribute
        )
        if gives_texts:
            texts.update(node.output)
    return tuple(text for text in known if text_of(text))  # "" is what a missing value is


def _told_apart(node: onnx.NodeProto, held: Mapping[str, TensorProto]) -> Iterator[str]:
    """The texts that a node names, and those of the tensors that it reads."""
    for attribute in node.attribute:
        if attribute.name in {"keys_strings", "cats_strings"}:
            yield from (each.decode("utf-8", "replace") for each in attribute.strings)
        elif attribute.name == "keys_tensor":
            yield from _texts_of(attribute.t)
    for name in node.input:  # in their order, which that of a set is not
        if name in held:
            yield from _texts_of(held[name])


def _to_text(node: onnx.NodeProto) -> bool:
    return any(each.name == "to" and each.i == TensorProto.STRING for each in node.attribute)


def _texts_of(tensor: TensorProto) -> list[str]:
    return [each.decode("utf-8", "replace") for each in tensor.string_data]


def outputs_of(model: onnx.ModelProto) -> Outputs:
    """Raises `UnfitModel` where it is not clear which output is the answer."""
    graph = model.graph
    zipped = {node.output[0]: node for node in graph.node if node.op_type == "ZipMap"}
    scores, labels, others = [], [], []
    for each in graph.output:
        if each.name in zipped or each.type.tensor_type.elem_type in SCORES:
            scores.append(each.name)
        elif each.type.tensor_type.elem_type in LABELS:
            labels.append(each.name)
        else:
            others.append(each.name)
    if len(scores) != 1 or len(labels) > 1 or others:
        names = ", ".join(f"`{each.name}`" for each in graph.output)
        if labels and not scores:
            raise UnfitModel(f"it gives labels without probabilities ({names})", hint="export it with probabilities")
        said = "it gives no answers"
        if len(graph.output) == 1:
            said = f"its answer, {names}, is neither a tensor of numbers nor labels"
        elif graph.output:
            said = f"it gives {len(graph.output)} answers: {names}"
        raise UnfitModel(
            said,
            hint="export it with one: a number, probabilities, or a label with probabilities",
        )
    (told,), label = scores, labels[0] if labels else None
    node = zipped.get(told)
    own = node.input[0] if node else told
    keys = _listed(node) if node else ()
    if (machine := machine_of(model, own, label)) is None:
        outliers = finds_outliers(model, own, label)
        return Outputs(own, None if outliers else label, keys, outliers=outliers)
    return Outputs(machine.scores, label, keys, machine.label_weights, machine.turned, machine.votes)


def without_names(model: onnx.ModelProto, outputs: Outputs) -> onnx.ModelProto:
    """The tensor of the scores where others were, or a dict of them: ONNX Runtime makes none of float64."""
    found = onnx.ModelProto()
    found.CopyFrom(model)
    del found.graph.node[:], found.graph.output[:]
    found.graph.node.extend(each for each in model.graph.node if each.op_type != "ZipMap")
    kept = [each for each in model.graph.output if each.name in {outputs.scores, outputs.label}]
    named = any(each.name == outputs.scores for each in kept)
    found.graph.output.extend(kept if named else [*kept, onnx.ValueInfoProto(name=outputs.scores)])
    return found


def classes_of(model: onnx.ModelProto, outputs: Outputs, count: int) -> tuple[str, ...]:
    """The labels in the order of the scores, where the graph names them in one way; else empty."""
    if outputs.keys:
        return tuple(text_of(each) for each in outputs.keys)
    if outputs.label is not None:
        labels = _nearest(model.graph, outputs.label, count)
    else:
        found = {labels for node in model.graph.node if (labels := _listed(node))}
        labels = found.pop() if len(found) == 1 else ()
    return tuple(text_of(each) for each in labels) if len(labels) == count else ()


def _listed(node: onnx.NodeProto) -> tuple[Any, ...]:
    for attribute in node.attribute:
        if attribute.name in CLASS_LISTS and (attribute.strings or attribute.ints):
            return tuple(each.decode("utf-8", "replace") for each in attribute.strings) or tuple(attribute.ints)
    return ()


def _nearest(graph: onnx.GraphProto, label: str, count: int) -> tuple[Any, ...]:
    """The list of so many that is met first on the way back from the label: models within have lists of their own."""
    made = {name: node for node in graph.node for name in node.output}
    held = {each.name: each for each in graph.initializer if len(each.dims) in (1, 2)}
    way = [label]
    for name in way:
        if (node := made.get(name)) is None:
            continue
        for labels in (_listed(node), _picked(node, held)):
            if len(labels) == count:
                return labels
        way += [each for each in node.input if each not in way]
    return ()


def _picked(node: onnx.NodeProto, held: Mapping[str, onnx.TensorProto]) -> tuple[Any, ...]:
    """A constant list from which a place is picked, as labels are."""
    if node.op_type not in {"ArrayFeatureExtractor", "Gather"} or node.input[0] not in held:
        return ()
    tensor = held[node.input[0]]
    if tensor.data_type == TensorProto.STRING:
        return tuple(_texts_of(tensor))
    if tensor.data_type in {TensorProto.INT64, TensorProto.INT32}:
        return tuple(np.asarray(numpy_helper.to_array(tensor)).ravel().tolist())
    return ()


def pruned(model: onnx.ModelProto, wanted: str) -> tuple[onnx.GraphProto, Mapping[str, int]]:
    """What one tensor needs, and the operator sets of it."""
    needed, nodes = {wanted}, list[onnx.NodeProto]()
    for node in reversed(model.graph.node):
        if needed & set(node.output):
            needed |= reads(node)
            nodes.append(node)
    graph = onnx.GraphProto()
    for node in reversed(nodes):
        added = graph.node.add()
        added.CopyFrom(node)
        added.domain = "" if DOMAINS[node.domain] == "ai.onnx" else node.domain
    for tensor in model.graph.initializer:
        if tensor.name in needed:
            graph.initializer.add().CopyFrom(tensor)
    versions = {each.domain: each.version for each in model.opset_import}
    opsets = {"": versions.get("", versions.get("ai.onnx", 0))}
    if "ai.onnx.ml" in versions:
        opsets["ai.onnx.ml"] = versions["ai.onnx.ml"]
    return graph, opsets
