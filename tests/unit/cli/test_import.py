"""`aias import` of a folder."""

from pathlib import Path

import pytest

from shell import Run

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

from tiny_encoder import classifier_into, encoder_into


def test_options_that_a_folder_has_no_use_for_are_refused(run: Run, empty_home: Path, tmp_path: Path) -> None:
    encoder_into(tmp_path, "bert")
    asked = ["--like", "/none.csv", "--classes", "x,y", "--metric", "rmse", "--scores", "logits"]

    fault = run("import", tmp_path, *asked, "--columns", "q", "--encoding", "klingon", "--json").error

    assert fault["code"] == "aias.bad-input"
    for name in ("like", "columns", "classes", "scores", "metric", "encoding"):
        assert f"`{name}`" in fault["message"]
    assert run("ls").out == ""


def test_a_classifiers_folder_is_told_what_its_answer_is_called(run: Run, empty_home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "moods"
    folder.mkdir()
    classifier_into(folder, "bert")

    assert run("import", folder, "--target", "mood").out.startswith("moods@1  3 classes of texts")
    assert run("import", folder, "--json").json["classes"] == ["angry", "calm", "glad"]
    assert "`classes`" in run("import", folder, "--classes", "a,b,c", "--json").error["message"]
