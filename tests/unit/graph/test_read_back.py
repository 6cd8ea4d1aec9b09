"""`graph/read_back.py`: a published classifier's graph tells the transformer and the head that it was written of."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

from aias.graph.activation_ranges import ActivationRange
from aias.graph.builder import Builder
from aias.graph.classifier_files import read_classifier
from aias.graph.classifying import classifier_of
from aias.graph.embedding import embedding_of
from aias.graph.int8 import Int8
from aias.graph.read_back import OtherGraph, read_back
from foreign import softmax_model
from tiny_encoder import classifier_into, encoder_into


@pytest.mark.parametrize(("model_type", "outputs"), [("bert", 3), ("roberta", 2), ("distilbert", 1)])
def test_what_was_written_is_read_back(model_type: str, outputs: int, tmp_path: Path) -> None:
    classifier_into(tmp_path, model_type, outputs=outputs)
    _, files, _ = classifier_of(tmp_path, name="tiny", target="mood")
    written = read_classifier(tmp_path)

    found = read_back(files["model.onnx"], classes=written.classes)

    first, second = written.transformer, found.transformer
    for name in ("words", "positions"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))
    for name in ("heads", "activation", "pooling", "normalised", "beside"):
        assert getattr(first, name) == getattr(second, name)
    assert second.epsilon == pytest.approx(first.epsilon, rel=1e-6)
    pairs = [(first.norm, second.norm), (written.hidden, found.hidden), (written.last, found.last)]
    for before, after in zip(first.layers, second.layers, strict=True):
        pairs += [(getattr(before, name), getattr(after, name)) for name in before.__slots__]
    for before, after in pairs:
        for name in before.__slots__:
            np.testing.assert_allclose(getattr(before, name), getattr(after, name), rtol=3e-7)
    assert (found.activation, found.classes) == (written.activation, written.classes)


@pytest.mark.parametrize("kind", ["vectors", "linear", "in int8"])
def test_a_graph_of_another_kind_is_none_of_a_classifier(kind: str, tmp_path: Path) -> None:
    classifier_into(tmp_path / "c", "bert")
    if kind == "vectors":
        graph = embedding_of(encoder_into(tmp_path / "e", "bert"), name="tiny")[1]["model.onnx"]
    elif kind == "linear":
        graph = softmax_model(tmp_path / "m.onnx").read_bytes()
    else:
        whole = read_classifier(tmp_path / "c")
        reach = [ActivationRange(-np.ones(12, np.float32), np.ones(12, np.float32)) for _ in range(8)]
        reach = [replace(each, low=each.low[:8], high=each.high[:8]) if at % 4 < 3 else each
                 for at, each in enumerate(reach)]  # fmt: skip
        builder = Builder(width=0, texts=1)
        vectors = Int8(whole.transformer, reach).write(builder, texts=1)
        graph = builder.finish(whole.write_head(builder, vectors), classes=whole.classes)

    with pytest.raises(OtherGraph):
        read_back(graph, classes=("angry", "calm", "glad"))
