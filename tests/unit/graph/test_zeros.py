"""`graph/zeros.py`: half of the weights are zero, and what is left gives nearly what the whole gave."""

from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from aias.graph import zeros
from aias.graph.rewritten import NothingToRewrite
from aias.graph.zeros import can_have_zeros, with_zeros
from tiny_networks import RNG, WIDTH, convolutions, dense, drawn, graph_of, rows, said

MIXED = drawn(12, WIDTH) * np.sqrt(WIDTH)


def some(count: int) -> Any:
    """Rows of columns that say much alike, as those of real tables do."""
    return RNG.normal(size=(count, 12)) @ MIXED / 3 + RNG.normal(size=(count, WIDTH)) / 9


HEAL, TEST = some(400), some(200)


def layers(*, turned: int = 0) -> bytes:
    nodes = [
        helper.make_node("Gemm", ["x", "w1", "b1"], ["h"], transB=turned), helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "w2"], ["h2"]), helper.make_node("Relu", ["h2"], ["r2"]),
        helper.make_node("Gemm", ["r2", "w3", "b3"], ["z"]),
    ]  # fmt: skip
    w1 = drawn(96, WIDTH) if turned else drawn(WIDTH, 96)
    return graph_of(nodes, {"w1": w1, "b1": drawn(96), "w2": drawn(96, 64), "w3": drawn(64, 3) * 2, "b3": drawn(3)})


def convolution() -> bytes:
    return convolutions({
        "k1": drawn(24, 1, 3, 3), "b1": drawn(24), "k2": drawn(24, 24, 3, 3) / 2, "b2": drawn(24),
        "w": drawn(384, 3) / 4, "b": drawn(3),
    })  # fmt: skip


@pytest.mark.parametrize(
    ("model", "pruned"),
    [(layers(), {"w1", "w2"}), (layers(turned=1), {"w1", "w2"}), (convolution(), {"k2"})],
    ids=["layers", "turned", "convolutions"],
)
def test_healing_brings_answers_nearer_than_zeros_alone(
    model: bytes, pruned: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = said(model, TEST)

    found = with_zeros(onnx.load_from_string(model), rows(HEAL))
    monkeypatch.setattr(zeros, "_heal", lambda *_: None)
    cut = with_zeros(onnx.load_from_string(model), rows(HEAL))

    for each in found.graph.initializer:
        none = np.mean(numpy_helper.to_array(each) == 0)
        assert none == pytest.approx(0.5, abs=0.01) if each.name in pruned else none < 0.1
    healed, alone = (((said(each.SerializeToString(), TEST) - whole) ** 2).sum() for each in (found, cut))
    assert alone > 0
    assert healed < 0.3 * alone


def test_rows_without_an_answer_heal_nothing_and_harm_nothing() -> None:
    gaps = HEAL.copy()
    gaps[::2, 3] = np.nan

    found = with_zeros(onnx.load_from_string(layers()), rows(gaps))

    assert np.isfinite(said(found.SerializeToString(), TEST)).all()


def test_what_has_no_large_matrix_says_so() -> None:
    assert can_have_zeros(dense())
    assert not can_have_zeros(dense(hidden=8))
    with pytest.raises(NothingToRewrite, match="no matrix"):
        with_zeros(onnx.load_from_string(dense(hidden=8)), rows(HEAL))


def test_weights_that_two_layers_read_are_not_fitted_to_one_of_them() -> None:
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "w"], ["h2"]), helper.make_node("MatMul", ["h2", "v"], ["z"]),
    ]  # fmt: skip
    model = onnx.load_from_string(graph_of(nodes, {"w": drawn(WIDTH, WIDTH), "v": drawn(WIDTH, 3)}))

    held = {each.name: numpy_helper.to_array(each) for each in with_zeros(model, rows(HEAL)).graph.initializer}

    whole = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    assert np.array_equal(held["w"][held["w"] != 0], whole["w"][held["w"] != 0])
    assert not np.array_equal(held["v"], whole["v"])
