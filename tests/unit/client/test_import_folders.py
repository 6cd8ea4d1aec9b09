"""`aias.import_model` of a folder: what it is decides what it becomes, and nothing that is asked is ignored."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

import aias
from aias.core.errors import UserError
from aias.importing.formats.contract import UnreadableModel
from foreign import softmax_model
from tiny_encoder import classifier_into, encoder_into

EVERYTHING: dict[str, Any] = {
    "like": {"a": [1.0]}, "target": "mood", "columns": ["a"], "classes": ["x", "y"], "scores": "logits",
    "metric": "rmse", "encoding": "klingon",
}  # fmt: skip


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    return encoder_into(tmp_path / "tiny", "bert")


@pytest.fixture
def classifier(tmp_path: Path) -> Path:
    return classifier_into(tmp_path / "moods", "bert")


def test_an_encoders_folder_is_imported_from_python(encoder: Path, tmp_path: Path) -> None:
    model = aias.import_model(encoder, home=tmp_path / "home", name="e5")

    assert (model.ref, model.manifest.task.type) == ("e5@1", "embedding")
    assert model.embed(["a b"]).shape == (1, 8)


def test_a_text_classifiers_folder_is_imported_from_python(classifier: Path, tmp_path: Path) -> None:
    model = aias.import_model(str(classifier), home=tmp_path / "home", target="mood")

    assert (model.ref, model.manifest.task.target) == ("moods@1", "mood")
    assert aias.import_model(classifier, home=tmp_path / "home").manifest.task.target == "label"


@pytest.mark.parametrize("option", EVERYTHING)
def test_what_an_encoders_folder_has_no_use_for_is_refused(option: str, encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"sentence encoder, .* not `{option}`") as fault:
        aias.import_model(encoder, home=tmp_path / "home", **{option: EVERYTHING[option]})
    assert "leave" in fault.value.hint and not aias.models(home=tmp_path / "home")


def test_what_a_classifiers_folder_has_no_use_for_is_refused_all_at_once(classifier: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not `like`, `columns`, `classes`, `scores`, `metric`, `encoding`"):
        aias.import_model(classifier, home=tmp_path / "home", **EVERYTHING)
    assert not aias.models(home=tmp_path / "home")


def test_a_file_needs_rows(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="needs sample rows") as fault:
        aias.import_model(softmax_model(tmp_path / "m.onnx"), home=tmp_path)
    assert "like=" in fault.value.hint and "--like" in fault.value.hint


@pytest.mark.parametrize(("held", "told"), [("saved_model.pb", "TensorFlow"), ("m.onnx", "is a folder")])
def test_a_folder_of_something_else_is_told_what_it_is(held: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / held).touch()

    with pytest.raises(UnreadableModel, match=told):
        aias.import_model(tmp_path / "some", home=tmp_path / "home")
