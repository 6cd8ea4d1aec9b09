"""`graph/folding.py`: what a graph need not compute for each row is gone, and it answers as before."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from aias.encoders.rows import Layout
from aias.graph.compile import compile_graph
from aias.graph.folding import STANDARD, folded
from aias.graph.rewritten import NothingToRewrite, rewritten
from tiny_networks import CLASSES, WIDTH, X, dense, drawn, graph_of, said

LAYOUT = Layout(WIDTH, tuple(range(WIDTH)), (), (), 0, 0)
AROUND = {"Cast", "Softmax"}
"""What `graph_of` puts around the nodes."""


def norm(x: str, y: str) -> Any:
    return helper.make_node("BatchNormalization", [x, "gain", "shift", "mean", "spread"], [y], epsilon=1e-3)


def norms(width: int) -> dict[str, Any]:
    found = {name: drawn(width) for name in ("gain", "shift", "mean")}
    return found | {"spread": np.abs(drawn(width)) + 0.5}


def constants() -> bytes:
    """A weight that is computed of two constants, and one that stands in a node."""
    nodes = [
        helper.make_node("Transpose", ["w"], ["turned"], perm=[1, 0]),
        helper.make_node("Mul", ["turned", "two"], ["w2"]),
        helper.make_node("Constant", [], ["bias"], value=onnx.numpy_helper.from_array(drawn(3))),
        helper.make_node("MatMul", ["x", "w2"], ["h"]), helper.make_node("Add", ["h", "bias"], ["z"]),
    ]  # fmt: skip
    return graph_of(nodes, {"w": drawn(3, WIDTH), "two": np.array(2, np.float32)})


def idle() -> bytes:
    """Nodes of which none changes anything."""
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]), helper.make_node("Identity", ["a"], ["b"]),
        helper.make_node("Dropout", ["b"], ["c"]), helper.make_node("Cast", ["c"], ["d"], to=TensorProto.FLOAT),
        helper.make_node("Reshape", ["d", "cube"], ["e"]), helper.make_node("Reshape", ["e", "flat"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["z"]),
    ]  # fmt: skip
    return graph_of(nodes, {"cube": np.array([-1, 8, 8]), "flat": np.array([-1, WIDTH]), "w": drawn(WIDTH, 3)})


def convolution() -> bytes:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["image"]), helper.make_node("Conv", ["image", "k", "b"], ["c"]),
        norm("c", "n"), helper.make_node("Relu", ["n"], ["r"]), helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["z"]),
    ]  # fmt: skip
    tensors = {"shape": np.array([-1, 1, 8, 8]), "k": drawn(8, 1, 3, 3), "b": drawn(8), "w": drawn(288, 3) / 8}
    return graph_of(nodes, tensors | norms(8))


def layers(*, turned: int = 0, bias: bool = True) -> bytes:
    nodes = [
        helper.make_node("Gemm", ["x", "w1", *["b1"] * bias], ["h"], transB=turned), norm("h", "n"),
        helper.make_node("Relu", ["n"], ["r"]), helper.make_node("MatMul", ["r", "w2"], ["z"]),
    ]  # fmt: skip
    w1 = drawn(16, WIDTH) if turned else drawn(WIDTH, 16)
    return graph_of(nodes, {"w1": w1, "b1": drawn(1, 16), "w2": drawn(16, 3)} | norms(16))


@pytest.mark.parametrize(
    ("model", "left"),
    [
        (constants(), {"Gemm"}), (idle(), {"MatMul"}),
        (convolution(), {"Reshape", "Conv", "Relu", "Flatten", "MatMul"}),
        (layers(), {"Gemm", "Relu", "MatMul"}), (layers(turned=1), {"Gemm", "Relu", "MatMul"}),
        (layers(bias=False), {"Gemm", "Relu", "MatMul"}),
    ],
    ids=["constants", "idle nodes", "a norm behind a convolution", "a norm behind a layer", "turned", "without bias"],
)  # fmt: skip
def test_what_is_folded_is_gone_and_answers_are_as_before(model: bytes, left: set[str]) -> None:
    found = rewritten(model, folded, LAYOUT, classes=CLASSES)
    graph = onnx.load_from_string(compile_graph(found, LAYOUT, classes=CLASSES)).graph

    assert {node.op_type for node in graph.node} - AROUND - {"ArgMax", "Gather"} == left
    assert {node.domain for node in graph.node} <= set(STANDARD)
    expected = said(model, X)
    assert expected.std(axis=0).max() > 0.02  # the rows are told apart
    np.testing.assert_allclose(said(compile_graph(found, LAYOUT, classes=CLASSES), X), expected, atol=1e-6)


def test_a_norm_stays_where_others_read_what_it_reads() -> None:
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]), helper.make_node("Gemm", ["a", "w1"], ["h"]), norm("h", "n"),
        helper.make_node("Add", ["n", "h"], ["both"]), helper.make_node("MatMul", ["both", "w2"], ["z"]),
    ]  # fmt: skip
    _check_stays(graph_of(nodes, {"w1": drawn(WIDTH, 16), "w2": drawn(16, 3)} | norms(16)))


def test_a_norm_stays_behind_a_layer_whose_weights_change() -> None:
    nodes = [
        helper.make_node("Identity", ["x"], ["a"]), helper.make_node("Transpose", ["a"], ["turned"], perm=[1, 0]),
        helper.make_node("MatMul", ["turned", "a"], ["own"]), helper.make_node("Gemm", ["a", "own"], ["h"]),
        norm("h", "n"), helper.make_node("MatMul", ["n", "w"], ["z"]),
    ]  # fmt: skip
    _check_stays(graph_of(nodes, {"w": drawn(WIDTH, 3) / 8} | norms(WIDTH)))


def _check_stays(model: bytes) -> None:
    found = folded(onnx.load_from_string(model))

    kinds = {node.op_type for node in found.graph.node}
    assert "BatchNormalization" in kinds and "Identity" not in kinds
    np.testing.assert_allclose(said(found.SerializeToString(), X), said(model, X), atol=1e-6)


def test_a_graph_of_which_every_node_is_needed_says_so() -> None:
    with pytest.raises(NothingToRewrite, match="every node is needed"):
        rewritten(dense(), folded, LAYOUT, classes=CLASSES)


def test_constants_that_stand_in_nodes_are_nothing_to_fold() -> None:
    """As PyTorch writes shapes: engines read them as they read others."""
    nodes = [
        helper.make_node("Constant", [], ["shape"], value=onnx.numpy_helper.from_array(np.array([-1, 1, 8, 8]), "")),
        helper.make_node("Reshape", ["x", "shape"], ["image"]), helper.make_node("Conv", ["image", "k"], ["c"]),
        helper.make_node("Flatten", ["c"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["z"]),
    ]  # fmt: skip
    model = graph_of(nodes, {"k": drawn(8, 1, 3, 3), "w": drawn(288, 3)})

    with pytest.raises(NothingToRewrite, match="every node is needed"):
        rewritten(model, folded, LAYOUT, classes=CLASSES)


def test_what_takes_more_room_when_it_is_folded_says_so() -> None:
    nodes = [
        helper.make_node("Expand", ["row", "shape"], ["w"]), helper.make_node("Identity", ["x"], ["a"]),
        helper.make_node("MatMul", ["a", "w"], ["z"]),
    ]  # fmt: skip
    model = graph_of(nodes, {"row": drawn(1, 3), "shape": np.array([WIDTH, 3])})

    with pytest.raises(NothingToRewrite, match="is larger"):
        rewritten(model, folded, LAYOUT, classes=CLASSES)


def test_what_a_part_within_a_node_reads_stays() -> None:
    """A branch reads a tensor from around it; whoever goes by the inputs of nodes alone would leave it out."""
    out = helper.make_tensor_value_info("t", TensorProto.FLOAT, None)
    branches = {
        name: helper.make_graph([helper.make_node(kind, ["idle"], ["t"])], name, [], [out])
        for name, kind in (("then_branch", "Neg"), ("else_branch", "Abs"))
    }
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Identity", ["h"], ["idle"]),
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0), helper.make_node("Greater", ["sum", "none"], ["up"]),
        helper.make_node("If", ["up"], ["z"], **branches),
    ]  # fmt: skip
    model = graph_of(nodes, {"w": drawn(WIDTH, 3), "none": np.array(0, np.float32)})

    found = folded(onnx.load_from_string(model))

    assert len(found.graph.node) < len(onnx.load_from_string(model).graph.node)
    np.testing.assert_allclose(said(found.SerializeToString(), X), said(model, X), atol=1e-6)
