"""`graph/rewriting.py`, `graph/rewritten.py`: a graph in fewer bits answers nearly alike, alone as in any batch."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from aias.core.host import Host
from aias.encoders.rows import Layout
from aias.graph import int8
from aias.graph.compile import compile_graph
from aias.graph.rewriting import PRODUCTS, halves, products_in_int8, weighed, with_fixed_scales
from aias.graph.rewritten import NothingToRewrite, Rewriting, Rewritten, rewritten
from tiny_networks import CLASSES, WIDTH, X, dense, drawn, graph_of, rows, said


def convolution() -> bytes:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["image"]),
        helper.make_node("Conv", ["image", "k1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("MaxPool", ["r1"], ["p1"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Flatten", ["p1"], ["f"]), helper.make_node("Gemm", ["f", "w", "b"], ["z"]),
    ]  # fmt: skip
    tensors = {"shape": np.array([-1, 1, 8, 8]), "k1": drawn(16, 1, 3, 3), "b1": drawn(16), "w": drawn(256, 3) / 8,
               "b": drawn(3)}  # fmt: skip
    return graph_of(nodes, tensors)


LAYOUT = Layout(WIDTH, tuple(range(WIDTH)), (), (), 0, 0)


def fixed(model: onnx.ModelProto) -> onnx.ModelProto:
    return with_fixed_scales(model, [{"columns": X[i : i + 1]} for i in range(len(X))])


@pytest.mark.parametrize(
    ("model", "how", "close", "smaller"),
    [(dense(), products_in_int8, 0.03, 2.5), (dense(opset=18), products_in_int8, 0.03, 2.5),
     (dense(), halves, 2e-3, 1.7), (convolution(), fixed, 0.08, 0.5)],
    ids=["products", "products of set 18", "halves", "convolutions"],
)  # fmt: skip
def test_a_graph_in_fewer_bits_answers_nearly_alike_and_as_it_is_compiled(
    model: bytes, how: Callable[..., Any], close: float, smaller: float
) -> None:
    found = rewritten(model, how, LAYOUT, classes=CLASSES)
    graph = compile_graph(found, LAYOUT, classes=CLASSES)

    expected = said(model, X)
    assert np.abs(found.scores(rows(X)) - expected).max() < close
    assert expected.std(axis=0).max() > 0.02  # the rows are told apart
    np.testing.assert_allclose(said(graph, X), found.scores(rows(X)), atol=1e-6)
    alone = np.concatenate([found.scores(rows(X[i : i + 1])) for i in range(10)])
    np.testing.assert_allclose(alone, found.scores(rows(X))[:10], atol=1e-6)
    assert len(model) / len(graph) > smaller


@pytest.mark.parametrize(
    ("flags", "most"), [(("avx2",), 63), (("avx2", "avx512f"), 63), (("avx2", "avx512_vnni"), 127), (("asimd",), 127)]
)
def test_weights_are_such_that_no_sum_of_two_products_is_cut(
    monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...], most: int
) -> None:
    monkeypatch.setattr(int8, "host", lambda: Host("a processor", flags, 1, {}))

    for model, how in ((dense(), products_in_int8), (convolution(), fixed)):
        held = [numpy_helper.to_array(each) for each in how(onnx.load_from_string(model)).graph.initializer]
        whole = [each for each in held if each.dtype == np.int8 and each.size > 100]
        assert whole and max(int(np.abs(each.astype(int)).max()) for each in whole) in (most, most + 1)


@pytest.mark.parametrize(("how", "kept_from"), [(products_in_int8, True), (lambda model: model, False)])
def test_what_has_no_answer_to_a_gap_has_none_afterwards(how: Rewriting, kept_from: bool) -> None:
    """Numbers that are not whole know what is not a number by themselves, which costs nothing."""
    found = rewritten(dense(), how, LAYOUT, classes=CLASSES)
    x = X[:2].copy()
    x[1, 5] = np.nan

    scores = found.scores(rows(x))

    assert np.isfinite(scores[0]).all() and np.isnan(scores[1]).all()
    assert found._gaps == kept_from


def filling() -> bytes:
    """Of the first eight columns a missing value counts as .5."""
    nodes = [
        helper.make_node("IsNaN", ["x"], ["gone"]), helper.make_node("And", ["gone", "first"], ["filled"]),
        helper.make_node("Where", ["filled", "half", "x"], ["whole"]),
        helper.make_node("Gemm", ["whole", "w1", "b1"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "w2"], ["z"]),
    ]  # fmt: skip
    tensors = {"first": np.arange(WIDTH)[None] < 8, "half": np.full((1, 1), 0.5, np.float32), "w1": drawn(WIDTH, 96),
               "b1": drawn(96), "w2": drawn(96, 3) / 4}  # fmt: skip
    return graph_of(nodes, tensors)


def test_a_gap_that_is_filled_has_an_answer_afterwards_too() -> None:
    model, x = filling(), X[:3].copy()
    x[1, 5], x[2, 20] = np.nan, np.nan
    found = rewritten(model, products_in_int8, LAYOUT, classes=CLASSES)
    graph = compile_graph(found, LAYOUT, classes=CLASSES)

    for scores in (found.scores(rows(x)), said(graph, x)):
        assert np.abs(scores[:2] - said(model, x)[:2]).max() < 0.03
        assert np.isnan(scores[2]).all() and np.isnan(said(model, x)[2]).all()


def of_a_category() -> bytes:
    """The last column holds one of five, each of which has a vector of its own."""
    nodes = [
        helper.make_node("Gather", ["x", "last"], ["code"], axis=1),
        helper.make_node("Cast", ["code"], ["place"], to=TensorProto.INT64),
        helper.make_node("Gather", ["vectors", "place"], ["one"], axis=0),
        helper.make_node("Gather", ["x", "others"], ["numbers"], axis=1),
        helper.make_node("Concat", ["numbers", "one"], ["whole"], axis=1),
        helper.make_node("Gemm", ["whole", "w1", "b1"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "w2"], ["z"]),
    ]  # fmt: skip
    tensors = {"last": np.array(WIDTH - 1), "others": np.arange(WIDTH - 1), "vectors": drawn(5, 4),
               "w1": drawn(WIDTH + 3, 96), "b1": drawn(96), "w2": drawn(96, 3) / 4}  # fmt: skip
    return graph_of(nodes, tensors)


@pytest.mark.parametrize("how", [products_in_int8, halves, lambda model: model])
def test_a_category_that_is_looked_up_has_no_gap_to_be_asked_about(how: Rewriting) -> None:
    model, layout = of_a_category(), Layout(WIDTH, tuple(range(WIDTH - 1)), (WIDTH - 1,), (5,), 0, 0)
    x = X[:3].copy()
    x[:, -1], x[2, 5] = (0, 4, 1), np.nan

    found = rewritten(model, how, layout, classes=CLASSES).scores(rows(x))

    assert np.abs(found[:2] - said(model, x)[:2]).max() < 0.03
    assert np.isnan(found[2]).all()


@pytest.mark.parametrize(
    ("model", "how", "why"),
    [
        (dense(hidden=8), products_in_int8, "no product"), (dense(opset=11), products_in_int8, "operator set is 11"),
        (dense(), fixed, "no convolution"), (graph_of([helper.make_node("MatMul", ["x", "w"], ["z"])],
         {"w": np.full((WIDTH, 3), 1e6, np.float32)[:, :3].repeat(1, 0)}), products_in_int8, "no product"),
        (graph_of([helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("MatMul", ["h", "v"], ["z"])],
         {"w": np.full((WIDTH, 64), 1e6, np.float32), "v": drawn(64, 3)}), halves, "beyond what float16"),
    ],
)  # fmt: skip
def test_what_cannot_help_says_why(model: bytes, how: Callable[..., Any], why: str) -> None:
    with pytest.raises(NothingToRewrite, match=why):
        rewritten(model, how, LAYOUT, classes=CLASSES)


def test_the_graph_itself_is_its_own_rewriting() -> None:
    model = dense()
    found = Rewritten(onnx.load_from_string(model), LAYOUT, classes=CLASSES)

    np.testing.assert_allclose(found.scores(rows(X)), said(model, X), atol=1e-7)
    assert found.state() == {}


def test_the_heaviest_products_are_named_and_can_be_spared() -> None:
    model = onnx.load_from_string(convolution())
    assert weighed(convolution(), 2, ("Conv", *PRODUCTS)) == ["z", "c1"]
    assert weighed(convolution(), 2, PRODUCTS) == ["z"]
    assert weighed(dense(), 1, PRODUCTS) == ["h"]

    spared = fixed_but(model, ["c1"])

    assert {each.name for each in model.graph.initializer} >= {"k1"}
    kinds = {node.op_type: node for node in spared.graph.node}
    raw = {each.name for each in spared.graph.initializer if each.data_type == TensorProto.FLOAT}
    assert kinds["Conv"].input[1] in raw
    assert {node.input[1] for node in fixed(model).graph.node if node.op_type == "Conv"}.isdisjoint(raw)


def fixed_but(model: onnx.ModelProto, spared: list[str]) -> onnx.ModelProto:
    return with_fixed_scales(model, [{"columns": X[i : i + 1]} for i in range(len(X))], spared)
