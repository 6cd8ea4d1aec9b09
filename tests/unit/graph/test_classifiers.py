"""`graph/classifying.py`: folders of `...ForSequenceClassification` answer as Transformers does, or are refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

from aias.core.errors import UserError
from aias.graph.classifier_files import is_classifier
from aias.graph.classifying import classifier_of
from tiny_encoder import classifier_into, encoder_into

TEXTS = ["a b c", "d", "", "l k j i h g f e d c b a", "unknown words"]


@pytest.mark.parametrize("model_type", ["bert", "roberta", "distilbert"])
def test_a_classifier_is_read_with_its_labels_and_answers_as_transformers_does(model_type: str, tmp_path: Path) -> None:
    classifier_into(tmp_path, model_type)

    manifest, files, runtime = classifier_of(tmp_path, name="tiny", target="mood")

    assert is_classifier(tmp_path)
    assert manifest.task.classes == ("angry", "calm", "glad") and manifest.task.type == "multiclass"
    assert manifest.parity.label_differences == 0 and manifest.parity.score_difference_max < 1e-5
    found = runtime.predict([{"text": text} for text in TEXTS]).probabilities
    assert found is not None
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-6)
    assert len({tuple(row) for row in found.round(4).tolist()}) > 2  # texts are told apart
    assert b"fine-tuned transformer of the type " + model_type.encode() in files["card.md"]
    np.testing.assert_allclose(found, _by_transformers(tmp_path, runtime), atol=1e-5)


def test_a_tokenizer_that_marks_no_beginning_is_refused(tmp_path: Path) -> None:
    """Transformers puts a mark there by itself, and the head reads it."""
    classifier_into(tmp_path, "bert")
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"post_processor": None}))

    with pytest.raises(UserError, match="marks no beginning of a text") as refused:
        classifier_of(tmp_path, name="tiny", target="mood")
    assert "post_processor" in refused.value.hint


def test_weights_in_bfloat16_are_read(tmp_path: Path) -> None:
    import ml_dtypes
    from safetensors.numpy import load_file, save_file

    classifier_into(tmp_path, "bert")
    held = load_file(tmp_path / "model.safetensors")
    save_file({name: each.astype(ml_dtypes.bfloat16) for name, each in held.items()}, tmp_path / "model.safetensors")
    *_, short = classifier_of(tmp_path, name="tiny", target="mood")
    rounded = {name: each.astype(ml_dtypes.bfloat16).astype(np.float32) for name, each in held.items()}
    save_file(rounded, tmp_path / "model.safetensors")
    *_, whole = classifier_of(tmp_path, name="tiny", target="mood")

    first, second = (each.predict([{"text": text} for text in TEXTS]).probabilities for each in (short, whole))
    np.testing.assert_array_equal(first, second)


def _by_transformers(folder: Path, runtime: Any) -> Any:
    transformers = pytest.importorskip("transformers", reason="compared with Transformers where it is installed")
    torch = pytest.importorskip("torch")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    encoded = runtime.encoder.rows([{"text": text} for text in TEXTS])
    with torch.no_grad():
        logits = model(
            torch.tensor(encoded.tokens), attention_mask=torch.tensor(encoded.token_mask.astype(np.int64))
        ).logits
    return torch.softmax(logits, 1).numpy()


def test_one_label_is_a_number(tmp_path: Path) -> None:
    classifier_into(tmp_path, "bert", outputs=1)

    manifest, _, runtime = classifier_of(tmp_path, name="tiny", target="stars")

    assert manifest.task.type == "regression"
    assert all(isinstance(each, float) for each in runtime.predict([{"text": "a b"}, {"text": "c"}]).predictions)


def test_an_encoder_is_no_classifier(tmp_path: Path) -> None:
    encoder_into(tmp_path, "bert")

    assert not is_classifier(tmp_path)


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"problem_type": "multi_label_classification"}, "several labels at once"),
        ({"problem_type": "regression"}, "numbers a text, which are no labels"),
        ({"id2label": {"0": "a", "1": "a", "2": "b"}}, "id2label"), ({"id2label": {"0": "a", "1": "b"}}, "id2label"),
        ({"id2label": {"0": "a", "1": "b", "7": "c"}}, "id2label"), ({"model_type": "t5"}, "of the type 't5'"),
        ({"hidden_act": "swish"}, "activation"),
    ],
)  # fmt: skip
def test_what_would_be_answered_otherwise_is_refused(config: dict[str, Any], told: str, tmp_path: Path) -> None:
    classifier_into(tmp_path, "bert", **config)

    with pytest.raises(UserError, match=told):
        classifier_of(tmp_path, name="tiny", target="mood")


@pytest.mark.parametrize("gone", ["classifier.weight", "bert.pooler.dense.bias"])
def test_a_head_that_is_not_there_is_missed(gone: str, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    classifier_into(tmp_path, "bert")
    held = load_file(tmp_path / "model.safetensors")
    del held[gone]
    save_file(held, tmp_path / "model.safetensors")

    with pytest.raises(UserError, match=gone.removeprefix("bert.")):
        classifier_of(tmp_path, name="tiny", target="mood")


@pytest.mark.parametrize("text", ["", "[]", "{", json.dumps({"architectures": "x"}), "null"])
def test_a_config_that_holds_nothing_is_no_crash(text: str, tmp_path: Path) -> None:
    classifier_into(tmp_path, "bert")
    (tmp_path / "config.json").write_text(text)

    with pytest.raises(UserError):
        classifier_of(tmp_path, name="tiny", target="mood")


def test_a_classifier_is_published_from_python(tmp_path: Path) -> None:
    import aias

    folder = tmp_path / "moods"
    folder.mkdir()
    classifier_into(folder, "distilbert")

    model = aias.publish_classifier(folder, target="mood", home=tmp_path / "home")

    assert model.ref == "moods@1"
    assert set(model.predict([{"text": text} for text in TEXTS])) <= {"angry", "calm", "glad"}
    assert "It came without rows" in (model.folder / "card.md").read_text()
