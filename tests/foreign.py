"""Foreign models made by hand: ONNX as exporters write it, and files that nobody should."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RNG = np.random.default_rng(7)
WEIGHTS = RNG.normal(size=(3, 3)).astype(np.float32)
LABELS = ("red", "green", "blue")


def rows(count: int = 40) -> dict[str, list[Any]]:
    rng = np.random.default_rng(1)
    return {name: rng.normal(size=count).round(3).tolist() for name in "abc"}


def table(path: Path, columns: dict[str, list[Any]]) -> Path:
    held = zip(*columns.values(), strict=True)
    lines = [",".join(columns), *(",".join("" if each is None else str(each) for each in row) for row in held)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def saved(
    path: Path, nodes: Sequence[onnx.NodeProto], inputs: Sequence[Any], outputs: Sequence[Any],
    tensors: Sequence[onnx.TensorProto] = (), *, opset: int = 17, ml: int = 3, **more: Any,
) -> Path:  # fmt: skip
    graph = helper.make_graph(list(nodes), "foreign", list(inputs), list(outputs), list(tensors))
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("ai.onnx.ml", ml)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8, **more)
    path.write_bytes(model.SerializeToString())
    return path


def value(name: str, shape: Sequence[int | str | None], element: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, element, list(shape))


def tensor(name: str, array: Any) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(array), name)


def softmax_model(path: Path, *, batch: int | str | None = "N", logits: bool = False, **more: Any) -> Path:
    """As PyTorch exports: one matrix in, one of probabilities out."""
    nodes = [helper.make_node("MatMul", ["input", "w"], ["z"])]
    nodes += [] if logits else [helper.make_node("Softmax", ["z"], ["p"], axis=1)]
    return saved(
        path, nodes, [value("input", [batch, 3])], [value("z" if logits else "p", [batch, 3])], [tensor("w", WEIGHTS)],
        **more,
    )  # fmt: skip


def classifier_model(path: Path, *, zipped: bool = True, names: Sequence[str] = LABELS) -> Path:
    """As skl2onnx exports a logistic regression: labels, and a dict of probabilities for each row."""
    attributes = {"classlabels_strings": list(names)}
    nodes = [
        helper.make_node(
            "LinearClassifier", ["X"], ["label", "scores"], domain="ai.onnx.ml", post_transform="SOFTMAX",
            coefficients=WEIGHTS.ravel().tolist(), intercepts=[0.1, 0.0, -0.1], multi_class=1, **attributes,
        )
    ]  # fmt: skip
    outputs = [value("label", ["N"], TensorProto.STRING)]
    if zipped:
        nodes.append(helper.make_node("ZipMap", ["scores"], ["maps"], domain="ai.onnx.ml", **attributes))
        maps = helper.make_sequence_type_proto(
            helper.make_map_type_proto(TensorProto.STRING, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
        )
        outputs.append(helper.make_value_info("maps", maps))
    else:
        outputs.append(value("scores", ["N", 3]))
    return saved(path, nodes, [value("X", ["N", 3])], outputs)


def columns_model(path: Path, *, cities: Sequence[str] = ("Paris", " Rome", "Oslo"), zeros: int = 1) -> Path:
    """An input a column, as skl2onnx exports a pipeline: numbers, a whole number, and a city in one-hot form."""
    nodes = [
        helper.make_node(
            "OneHotEncoder", ["city"], ["hot"], domain="ai.onnx.ml", cats_strings=list(cities), zeros=zeros
        ),
        helper.make_node("Reshape", ["hot", "flat"], ["hot2"]),
        helper.make_node("Cast", ["floors"], ["floors_f"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["area", "floors_f", "hot2"], ["x"], axis=1),
        helper.make_node("MatMul", ["x", "w"], ["z"]),
    ]
    tensors = [
        tensor("flat", np.array([-1, len(cities)])),
        tensor("w", RNG.normal(size=(2 + len(cities), 1)).astype("f")),
    ]
    numbers = [value("area", [None, 1]), value("floors", [None, 1], TensorProto.INT64)]
    inputs = [*numbers, value("city", [None, 1], TensorProto.STRING)]
    return saved(path, nodes, inputs, [value("z", [None, 1])], tensors)


def houses(count: int = 30) -> dict[str, list[Any]]:
    rng = np.random.default_rng(2)
    return {
        "id": list(range(count)), "city": rng.choice(["Paris", "Rome", "Kyiv"], count).tolist(),
        "area": rng.normal(100, 20, count).round(1).tolist(), "floors": rng.integers(1, 5, count).tolist(),
    }  # fmt: skip
