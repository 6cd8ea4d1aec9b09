"""`graph/thinner.py`: a large layer becomes two thin ones where these give nearly what it gave."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from aias.graph.rewritten import NothingToRewrite
from aias.graph.thinner import keeping, large_layers, thinner
from tiny_networks import RNG, WIDTH, dense, drawn, graph_of, rows, said

MIXED = drawn(8, WIDTH) * np.sqrt(WIDTH)
HIDDEN = 1_024


def some(count: int) -> Any:
    """Rows whose columns say much alike."""
    return RNG.normal(size=(count, 8)) @ MIXED / 3 + RNG.normal(size=(count, WIDTH)) / 30


SHOWN, TEST = some(300), some(100)


def wide(kind: str) -> bytes:
    """A layer of 65,536 numbers, and one of 3,072."""
    turned = int(kind == "turned")
    first = helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], transB=turned)
    if kind == "a product":
        first = helper.make_node("MatMul", ["x", "w1"], ["h"])
    nodes = [first, helper.make_node("Relu", ["h"], ["r"]), helper.make_node("MatMul", ["r", "w2"], ["z"])]
    w1 = drawn(WIDTH, HIDDEN) * 3
    return graph_of(nodes, {"w1": w1.T.copy() if turned else w1, "b1": drawn(HIDDEN), "w2": drawn(HIDDEN, 3) / 4})


@pytest.mark.parametrize("kind", ["a layer", "turned", "a product"])
@pytest.mark.parametrize("share", [0.5, 0.25])
def test_a_layer_as_two_thin_ones_answers_nearly_alike(kind: str, share: float) -> None:
    model = wide(kind)
    places = large_layers(model)
    assert places == ["h"]

    assert keeping(model, rows(SHOWN), share, places) == ["h"]
    found = thinner(onnx.load_from_string(model), rows(SHOWN), share, places).SerializeToString()

    whole = said(model, TEST)
    assert whole.std(axis=0).max() > 0.02  # the rows are told apart
    assert ((said(found, TEST) - whole) ** 2).sum() < 0.02 * ((whole - whole.mean(axis=0)) ** 2).sum()
    numbers = sum(int(np.prod(each.dims)) for each in onnx.load_from_string(found).graph.initializer)
    assert numbers == pytest.approx(share * WIDTH * HIDDEN + HIDDEN * (3 + (kind != "a product")), rel=0.05)


def test_what_is_read_decides_and_not_the_matrix_alone() -> None:
    """The best of this rank by the matrix alone leaves far more of what the layer gives to such rows undone."""
    model = onnx.load_from_string(wide("a product"))
    w1 = onnx.numpy_helper.to_array(next(each for each in model.graph.initializer if each.name == "w1"))
    found = {each.name: each for each in thinner(model, rows(SHOWN), 0.25, ["h"]).graph.initializer}
    down, up = (onnx.numpy_helper.to_array(found[f"h/{each}"]) for each in ("down", "up"))

    left, size, right = np.linalg.svd(w1, full_matrices=False)
    rank = down.shape[1]
    alone = (left[:, :rank] * size[:rank]) @ right[:rank]

    assert ((TEST @ (w1 - down @ up)) ** 2).sum() < 0.1 * ((TEST @ (w1 - alone)) ** 2).sum()


def test_a_layer_that_needs_its_whole_rank_says_so() -> None:
    with pytest.raises(NothingToRewrite, match=r"keeps \d+ % of what it gives at most, and 90 are asked for"):
        keeping(wide("a layer"), rows(RNG.normal(size=(300, WIDTH))), 0.5, ["h"])


def test_what_has_no_large_layer_says_so() -> None:
    with pytest.raises(NothingToRewrite, match="no layer of 65,536 numbers"):
        large_layers(dense())


def test_a_transformer_is_not_tried() -> None:
    model = onnx.load_from_string(wide("a layer"))
    model.graph.input.append(helper.make_tensor_value_info("tokens", onnx.TensorProto.INT64, ["rows", "length"]))

    with pytest.raises(NothingToRewrite, match="nearly full rank"):
        large_layers(model.SerializeToString())
