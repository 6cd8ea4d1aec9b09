"""`serving/refusals.py`: what is said of why."""

import pytest

from aias.serving.refusals import without_folders


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "model.onnx is not what was sealed: /secret/place/model.onnx",
            "model.onnx is not what was sealed: model.onnx",
        ),
        ("`/home/Jane Doe/.aias/a b/model.onnx` is gone", "`model.onnx` is gone"),
        ("no such file: '~/models/words.json', which is needed", "no such file: 'words.json', which is needed"),
        ("3/4 of it, image/png, https://example.org/a/b, 10 s", "3/4 of it, image/png, https://example.org/a/b, 10 s"),
    ],
)
def test_files_are_named_and_folders_are_not(said: str, told: str) -> None:
    assert without_folders(said) == told
