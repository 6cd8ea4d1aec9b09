"""Folders in the Hugging Face format that nobody should have sent: each is refused in words, whatever is wrong."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

import aias
from aias.core.errors import UserError
from tiny_encoder import classifier_into, encoder_into


def refused(folder: Path, said: str) -> None:
    with pytest.raises(UserError, match=said) as fault:
        aias.publish_encoder(folder, home=folder / "home")
    assert fault.value.hint and not aias.models(home=folder / "home")


@pytest.mark.parametrize(
    "change",
    [{"num_attention_heads": 0}, {"num_attention_heads": "2"}, {"num_hidden_layers": -1}, {"num_hidden_layers": "2"},
     {"layer_norm_eps": 0}, {"layer_norm_eps": "x"}, {"pad_token_id": "y"}, {"model_type": ["bert"]},
     {"hidden_act": 5}, {"num_attention_heads": 3}],
    ids=str,
)  # fmt: skip
def test_settings_of_no_transformer_are_refused(change: dict[str, Any], tmp_path: Path) -> None:
    encoder_into(tmp_path, "bert")
    config = tmp_path / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | change))

    refused(tmp_path, "do not fit together" if change == {"num_attention_heads": 3} else "not as it should be")


@pytest.mark.parametrize(
    ("modules", "said"),
    [({"a": 1}, "not as it should be"), (["a"], "not as it should be"), ([{"path": ""}], "not as it should be"),
     ([{"type": 3}], "not as it should be"), ([{"type": "x.Transformer", "path": "../secret"}], "outside its folder"),
     ([{"type": "x.Transformer", "path": "/etc"}], "outside its folder")],
    ids=str,
)  # fmt: skip
def test_parts_that_are_none_or_lie_outside_are_refused(modules: Any, said: str, tmp_path: Path) -> None:
    encoder_into(tmp_path, "bert")
    (tmp_path / "modules.json").write_text(json.dumps(modules))

    refused(tmp_path, said)


@pytest.mark.parametrize("name", ["1_Pooling/config.json", "config_sentence_transformers.json"])
def test_settings_beside_it_that_are_none_are_refused(name: str, tmp_path: Path) -> None:
    encoder_into(tmp_path, "bert")
    steps = [{"type": "x.Transformer", "path": ""}, {"type": "x.Pooling", "path": "1_Pooling"}]
    (tmp_path / "modules.json").write_text(json.dumps(steps))
    (tmp_path / "1_Pooling").mkdir()
    (tmp_path / "1_Pooling/config.json").write_text("{}")
    (tmp_path / name).write_text("[]")

    refused(tmp_path, "holds no settings")


@pytest.mark.parametrize(
    ("name", "shape"),
    [("embeddings.word_embeddings.weight", (16,)), ("embeddings.word_embeddings.weight", (16, 10)),
     ("embeddings.position_embeddings.weight", (1, 8)), ("embeddings.position_embeddings.weight", (0, 8)),
     ("embeddings.LayerNorm.bias", (1,)), ("encoder.layer.0.output.dense.weight", (8, 13)),
     ("encoder.layer.1.attention.self.key.weight", (8, 4))],
)  # fmt: skip
def test_weights_that_do_not_fit_together_are_refused(name: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    encoder_into(tmp_path, "bert")
    held = load_file(tmp_path / "model.safetensors")
    assert f"bert.{name}" in held
    save_file(held | {f"bert.{name}": np.zeros(shape, np.float32)}, tmp_path / "model.safetensors")

    refused(tmp_path, "do not fit together")


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    encoder_into(tmp_path, "bert")
    (tmp_path / "model.safetensors").unlink()
    os.mkfifo(tmp_path / "model.safetensors")

    refused(tmp_path, r"no model\.safetensors")


def test_labels_that_are_a_list_are_refused(tmp_path: Path) -> None:
    classifier_into(tmp_path, "bert", id2label=["a", "b", "c"])

    with pytest.raises(UserError, match="id2label"):
        aias.publish_classifier(tmp_path, home=tmp_path / "home")
