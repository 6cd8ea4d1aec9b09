"""A network that was trained elsewhere becomes a version, and a smaller one of fewer bits behind the same gate."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from onnx import helper

import aias
from aias.compress.techniques.int8 import int8
from compression_contexts import soon, taught
from foreign import LABELS, saved, tensor, value


@pytest.fixture(scope="module", autouse=True)
def _soon() -> Iterator[None]:
    with soon():
        yield


def two_layers(folder: Path, rng: np.random.Generator) -> tuple[Path, Any, Any]:
    """A network in a file, and its matrices."""
    first, second = rng.normal(size=(48, 128)).astype(np.float32) / 7, rng.normal(size=(128, 3)).astype(np.float32) / 4
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "w2"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=1),
    ]  # fmt: skip
    path = saved(
        folder / "net.onnx", nodes, [value("x", ["N", 48])], [value("p", ["N", 3])],
        [tensor("w1", first), tensor("w2", second)],
    )  # fmt: skip
    return path, first, second


def test_an_imported_network_is_made_smaller_by_fewer_bits(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    path, first, second = two_layers(tmp_path, rng)
    x = rng.normal(size=(400, 48)).round(3)
    y = (np.maximum(x @ first, 0) @ second + rng.normal(size=(400, 3)) / 9).argmax(axis=1)
    held = {f"n{j:02}": x[:, j].tolist() for j in range(48)} | {"y": [LABELS[at] for at in y]}
    model = aias.import_model(
        path, like=held, target="y", classes=LABELS, columns=list(held)[:48], metric="accuracy", home=tmp_path
    )

    found = model.compress(
        data=held, max_loss="20%", time="600s", techniques=("int8", "half_weights", "prune_weights"), inline=True
    )

    points = {point.name: point for point in found.frontier.points}
    for name in ("products in int8, a scale a row", "weights in float16"):
        assert points[name].searched is not None and abs(points[name].searched.value) < 0.1
        assert points[name].smaller > 1.5
    # Whether zeros gain anything is measured: usually they do not, and then nothing is pruned.
    pruned = points.get("prune weights")
    assert "a product is" in pruned.reason if pruned else any("zero" in name for name in points)
    if found.better:
        assert found.model.manifest.form == "compressed"
        same = found.model.predict(held) == model.predict(held)
        assert same.mean() > 0.9
    assert found.frontier.verdict


def test_only_what_int8_has_written_goes_back_to_float32_and_never_all_of_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    x = rng.normal(size=(60, 48)).round(3)
    held = {f"n{j:02}": x[:, j].tolist() for j in range(48)} | {"y": rng.choice(LABELS, 60).tolist()}
    small, _, _ = two_layers(tmp_path, rng)
    wide = [
        helper.make_node("Reshape", ["x", "shape"], ["image"]),
        helper.make_node("Conv", ["image", "k"], ["c"], pads=[1, 1, 1, 1]), helper.make_node("Flatten", ["c"], ["f"]),
        helper.make_node("MatMul", ["f", "w1"], ["h"]), helper.make_node("MatMul", ["h", "w2"], ["z"]),
        helper.make_node("Softmax", ["z"], ["p"], axis=1),
    ]  # fmt: skip
    tensors = {"shape": (-1, 1, 6, 8), "k": (8, 1, 3, 3), "w1": (384, 2_048), "w2": (2_048, 3)}
    deep = saved(
        tmp_path / "deep.onnx", wide, [value("x", ["N", 48])], [value("p", ["N", 3])],
        [tensor(name, np.array(shape) if name == "shape" else rng.normal(size=shape).astype(np.float32) / 50)
         for name, shape in tensors.items()],
    )  # fmt: skip
    named = {}
    for path in (small, deep):
        home = tmp_path / path.stem
        model = aias.import_model(
            path, like=held, name="m", target="y", classes=LABELS, columns=list(held)[:48], metric="accuracy", home=home
        )
        candidate = next(iter(int8(taught(model, pl.DataFrame(held), home))))
        assert candidate.milder is not None
        named[path.stem] = [candidate.name, *(each.name for each in candidate.milder())]

    name = "products in int8, a scale a row"
    assert named == {"net": [name], "deep": [name, f"{name}, 1 of 2 in float32"]}


def test_where_zeros_pay_half_of_the_weights_go_and_the_others_are_healed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aias.compress.techniques.prune_weights.gain", lambda: 2.0)
    rng = np.random.default_rng(7)
    path, _, _ = two_layers(tmp_path, rng)
    x = (rng.normal(size=(600, 8)) @ rng.normal(size=(8, 48))).round(3)
    bare = {f"n{j:02}": x[:, j].tolist() for j in range(48)}
    model = aias.import_model(
        path, like=bare | {"y": rng.choice(LABELS, 600).tolist()}, target="y", classes=LABELS, columns=list(bare),
        metric="accuracy", home=tmp_path,
    )  # fmt: skip

    found = model.compress(data=bare, max_loss="20%", time="600s", techniques=("prune_weights",), inline=True)

    (point,) = [each for each in found.frontier.points if each.technique == "prune_weights"]
    assert point.name == "half of the weights at zero"
    assert point.searched is not None and point.searched.value < 0.05


def test_channels_that_repeat_others_go_and_rows_without_labels_show_that_it_agrees(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    kernels, more = rng.normal(size=(24, 1, 3, 3)).astype(np.float32), rng.normal(size=(24, 24, 3, 3)) / 9
    kernels[8:16], kernels[16:], more[8:16], more[16:] = kernels[:8], kernels[:8], more[:8], more[:8]
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["image"]),
        helper.make_node("Conv", ["image", "k1"], ["c1"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c1"], ["r1"]),
        helper.make_node("Conv", ["r1", "k2"], ["c2"], pads=[1, 1, 1, 1]), helper.make_node("Relu", ["c2"], ["r2"]),
        helper.make_node("Flatten", ["r2"], ["f"]), helper.make_node("MatMul", ["f", "w"], ["z"]),
        helper.make_node("Softmax", ["z"], ["p"], axis=1),
    ]  # fmt: skip
    path = saved(
        tmp_path / "conv.onnx", nodes, [value("x", ["N", 64])], [value("p", ["N", 3])],
        [
            tensor("shape", np.array([-1, 1, 8, 8])), tensor("k1", kernels), tensor("k2", more.astype(np.float32)),
            tensor("w", rng.normal(size=(24 * 64, 3)).astype(np.float32) / 30),
        ],
    )  # fmt: skip
    x = rng.normal(size=(400, 64)).round(3)
    bare = {f"n{j:02}": x[:, j].tolist() for j in range(64)}
    model = aias.import_model(
        path,
        like=bare | {"y": rng.choice(LABELS, 400).tolist()},
        target="y",
        classes=LABELS,
        columns=list(bare),
        metric="accuracy",
        home=tmp_path,
    )

    found = model.compress(data=bare, max_loss="20%", time="600s", techniques=("prune_channels",), inline=True)

    points = {point.name: point for point in found.frontier.points}
    half = points["50 % of the channels"]
    assert half.searched is not None and half.searched.value < 0.2
    assert half.smaller > 1.5
    assert found.frontier.metric == f"agreement with {model.ref}"
    assert found.better, found.frontier.verdict
    published = next(point for point in found.frontier.points if point.state == "published")
    same = found.model.predict(bare) == model.predict(bare)
    assert published.certified is not None and same.mean() > 0.8


def test_norms_of_an_imported_network_are_folded_into_its_layers(tmp_path: Path) -> None:
    rng, parts = np.random.default_rng(6), ("gain", "shift", "mean")
    nodes, tensors, at = [], [tensor("spread", np.abs(rng.normal(size=24)).astype(np.float32) + 0.5)], "x"
    for layer in range(8):
        nodes += [
            helper.make_node("Gemm", [at, f"w{layer}"], [f"h{layer}"]),
            helper.make_node(
                "BatchNormalization", [f"h{layer}", *(f"{each}{layer}" for each in parts), "spread"], [f"n{layer}"]
            ),
            helper.make_node("Tanh", [f"n{layer}"], [at := f"r{layer}"]),
        ]  # fmt: skip
        tensors.append(tensor(f"w{layer}", rng.normal(size=(24, 24)).astype(np.float32) * 0.3))
        drawn = {each: rng.normal(size=24).astype(np.float32) / 9 for each in parts}
        tensors += [tensor(f"{each}{layer}", drawn[each] + (each == "gain")) for each in parts]
    nodes += [helper.make_node("MatMul", [at, "w"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=1)]
    tensors.append(tensor("w", rng.normal(size=(24, 3)).astype(np.float32)))
    path = saved(tmp_path / "norms.onnx", nodes, [value("x", ["N", 24])], [value("p", ["N", 3])], tensors)
    x = rng.normal(size=(300, 24)).round(3)
    bare = {f"n{j:02}": x[:, j].tolist() for j in range(24)}
    model = aias.import_model(
        path, like=bare | {"y": rng.choice(LABELS, 300).tolist()}, target="y", classes=LABELS, columns=list(bare),
        metric="accuracy", home=tmp_path,
    )  # fmt: skip

    found = model.compress(data=bare, max_loss="20%", time="600s", techniques=("fold_graph",), inline=True)

    point = {point.name: point for point in found.frontier.points}["the graph folded"]
    assert point.searched is not None and abs(point.searched.value) < 0.01
    assert point.smaller > 1 and point.speed is not None


def test_a_large_layer_of_an_imported_network_becomes_two_thin_ones(tmp_path: Path) -> None:
    rng = np.random.default_rng(8)
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "w2"], ["z"]), helper.make_node("Softmax", ["z"], ["p"], axis=1),
    ]  # fmt: skip
    path = saved(
        tmp_path / "wide.onnx", nodes, [value("x", ["N", 64])], [value("p", ["N", 3])],
        [
            tensor("w1", rng.normal(size=(64, 1_024)).astype(np.float32) / 8),
            tensor("w2", rng.normal(size=(1_024, 3)).astype(np.float32) / 16),
        ],
    )  # fmt: skip
    x = (rng.normal(size=(600, 8)) @ rng.normal(size=(8, 64)) / 3 + rng.normal(size=(600, 64)) / 30).round(3)
    bare = {f"n{j:02}": x[:, j].tolist() for j in range(64)}
    model = aias.import_model(
        path, like=bare | {"y": rng.choice(LABELS, 600).tolist()}, target="y", classes=LABELS, columns=list(bare),
        metric="accuracy", home=tmp_path,
    )  # fmt: skip

    found = model.compress(data=bare, max_loss="20%", time="600s", techniques=("low_rank",), inline=True)

    points = {point.name: point for point in found.frontier.points}
    for share, smaller in ((50, 1.7), (25, 2.5)):
        point = points[f"1 of 1 large layer with {share} % of the numbers"]
        assert point.searched is not None and point.searched.value < 0.1
        assert point.smaller > smaller
