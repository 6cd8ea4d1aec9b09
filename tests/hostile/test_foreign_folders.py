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
     {"hidden_act": 5}, {"pad_token_id": 2**70}, {"num_attention_heads": 3}],
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


@pytest.mark.parametrize("name", ["embeddings.word_embeddings.weight", "encoder.layer.1.output.dense.bias"])
@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(name: str, odd: float, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    encoder_into(tmp_path, "bert")
    held = load_file(tmp_path / "model.safetensors")
    held[f"bert.{name}"].flat[0] = odd
    save_file(held, tmp_path / "model.safetensors")

    refused(tmp_path, "weights that are no numbers")


def test_a_token_that_has_no_weights_is_refused(tmp_path: Path) -> None:
    encoder_into(tmp_path, "bert")
    path = tmp_path / "tokenizer.json"
    table = json.loads(path.read_text())
    table["model"]["vocab"]["a"] = 999_999
    path.write_text(json.dumps(table))

    refused(tmp_path, "knows the token 999,999")


@pytest.mark.parametrize(
    ("name", "said"),
    [("model.safetensors", r"no model\.safetensors"), ("config.json", "not a regular file"),
     ("tokenizer.json", "not a regular file")],
)  # fmt: skip
def test_a_pipe_is_not_waited_for(name: str, said: str, tmp_path: Path) -> None:
    encoder_into(tmp_path, "bert")
    (tmp_path / name).unlink()
    os.mkfifo(tmp_path / name)

    refused(tmp_path, said)


@pytest.mark.parametrize("name", ["sentence_bert_config.json", "tokenizer_config.json"])
def test_a_pipe_in_place_of_what_need_not_be_there_is_not_read(name: str, tmp_path: Path) -> None:
    encoder_into(tmp_path, "bert")
    os.mkfifo(tmp_path / name)

    if name == "sentence_bert_config.json":
        refused(tmp_path, "not a regular file")
    else:
        assert aias.publish_encoder(tmp_path, home=tmp_path / "home")


@pytest.mark.parametrize(
    "name", ["config.json", "tokenizer.json", "modules.json", "sentence_bert_config.json", "tokenizer_config.json"]
)
@pytest.mark.parametrize(
    "raw", ['{"a": "ä"}'.encode("utf-16"), b"{" * 9, b"[" * 100_000], ids=["utf-16", "cut", "deep"]
)
def test_settings_that_are_no_json_are_refused(name: str, raw: bytes, tmp_path: Path) -> None:
    encoder_into(tmp_path, "bert")
    (tmp_path / name).write_bytes(raw)

    refused(tmp_path, "cannot be read")


@pytest.mark.parametrize("key", ["num_hidden_layers", "num_attention_heads"])
@pytest.mark.parametrize("change", [{}, {"n_layers": None, "n_heads": None}], ids=["left out", "null"])
def test_counts_that_are_not_said_are_asked_for(key: str, change: dict[str, Any], tmp_path: Path) -> None:
    encoder_into(tmp_path, "bert")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({name: config[name] for name in config if name != key} | change))

    refused(tmp_path, f"has no '{key}'")


def test_a_tokenizer_that_fails_on_words_it_does_not_know_is_refused(tmp_path: Path) -> None:
    encoder_into(tmp_path, "bert")
    path = tmp_path / "tokenizer.json"
    path.write_text(path.read_text().replace('"unk_token":"[UNK]"', '"unk_token":"gone"').replace(
        '"unk_token": "[UNK]"', '"unk_token": "gone"'))  # fmt: skip

    refused(tmp_path, "tokenizer in .* cannot be read")


def test_labels_that_are_a_list_are_refused(tmp_path: Path) -> None:
    classifier_into(tmp_path, "bert", id2label=["a", "b", "c"])

    with pytest.raises(UserError, match="id2label"):
        aias.publish_classifier(tmp_path, home=tmp_path / "home")


def test_links_are_followed_as_the_hub_lays_its_folders(tmp_path: Path) -> None:
    """`how-to/import.md` says so: `hf download` gives a folder of links to files beside it."""
    blobs, snapshot = tmp_path / "blobs", tmp_path / "snapshots" / "abc"
    blobs.mkdir()
    snapshot.mkdir(parents=True)
    encoder_into(blobs, "bert")
    for each in blobs.iterdir():
        (snapshot / each.name).symlink_to(Path("..", "..", "blobs", each.name))

    assert aias.publish_encoder(snapshot, home=tmp_path / "home").ref == "abc@1"
