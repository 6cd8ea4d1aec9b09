"""`graph/channels.py`: channels that say little go, and what reads the others gives nearly what it gave."""

import numpy as np
import onnx
import pytest
from onnx import helper

from aias.graph import channels
from aias.graph.channels import fewer_channels, pairs_of
from aias.graph.rewritten import NothingToRewrite
from tiny_networks import X, convolutions, dense, drawn, graph_of, rows, said


def chain(*, turned: bool = False) -> bytes:
    """Two convolutions and a layer; half of the channels say what the others say."""
    kernels, more, bias, more_bias = drawn(16, 1, 3, 3), drawn(16, 16, 3, 3) / 2, drawn(16), drawn(16)
    for each in (kernels, more, bias, more_bias):
        each[8:] = each[:8]
    w = drawn(256, 3)
    return convolutions({
        "k1": kernels, "b1": bias, "k2": more, "b2": more_bias, "w": w.T.copy() if turned else w, "b": drawn(3),
    }, turned=turned)  # fmt: skip


@pytest.mark.parametrize("turned", [False, True])
def test_channels_that_repeat_others_go_and_hardly_an_answer_moves(turned: bool) -> None:
    model = onnx.load_from_string(chain(turned=turned))

    found = fewer_channels(model, rows(X), 0.5)

    kernels = {each.name: list(each.dims) for each in found.graph.initializer}
    used = {name for node in found.graph.node for name in node.input}
    shapes = sorted(dims for name, dims in kernels.items() if name in used and len(dims) > 1)
    assert shapes == sorted([[8, 1, 3, 3], [8, 8, 3, 3], [3, 128] if turned else [128, 3]])
    before, after = said(model.SerializeToString(), X), said(found.SerializeToString(), X)
    assert np.mean(before.argmax(axis=1) == after.argmax(axis=1)) >= 0.95


def test_healing_brings_answers_nearer_than_cutting_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    model = onnx.load_from_string(chain())
    whole = said(model.SerializeToString(), X)

    healed = said(fewer_channels(model, rows(X), 0.5).SerializeToString(), X)
    monkeypatch.setattr(channels, "_ridge", lambda x, z: np.zeros((x.shape[1], z.shape[1])))
    cut = said(fewer_channels(model, rows(X), 0.5).SerializeToString(), X)

    assert ((healed - whole) ** 2).sum() < 0.1 * ((cut - whole) ** 2).sum()


def test_a_network_without_convolutions_has_no_channels() -> None:
    model = onnx.load_from_string(dense())
    assert pairs_of(model) == []
    with pytest.raises(NothingToRewrite, match="no convolution"):
        fewer_channels(model, rows(X), 0.5)


def test_what_two_layers_read_keeps_its_channels() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["image"]), helper.make_node("Conv", ["image", "k1"], ["c1"]),
        helper.make_node("Flatten", ["c1"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["z1"]),
        helper.make_node("MatMul", ["f", "v"], ["z2"]), helper.make_node("Add", ["z1", "z2"], ["z"]),
    ]  # fmt: skip
    tensors = {"shape": np.array([-1, 1, 8, 8]), "k1": drawn(16, 1, 3, 3), "w": drawn(576, 3), "v": drawn(576, 3)}
    assert pairs_of(onnx.load_from_string(graph_of(nodes, tensors))) == []


def test_as_many_are_left_as_engines_compute_at_once() -> None:
    counts = [channels._count(24, share) for share in (0.5, 0.625, 0.75, 0.875, 0.99)]

    assert counts == [12, 16, 16, 20, 24]
    assert channels._count(12, 0.5) == 8
