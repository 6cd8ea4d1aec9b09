"""`teaching/teachers/inference.py`: what a tensor of another server means for a row."""

from typing import Any

import pytest

from aias.core.schema import Field
from aias.teaching.teachers.contract import BadTeacher, Question
from aias.teaching.teachers.inference import Inference, Tensor
from aias.teaching.wire import Wire

FIELDS = (Field("a", "number"), Field("b", "number"), Field("town", "category"))
MATRIX = {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 2]}]}


def teacher(described: Any = MATRIX, **more: Any) -> Inference:
    return Inference(Wire.to("http://127.0.0.1:9/v2/models/m"), described, Question("y", FIELDS, **more))


def said(outputs: list[Tensor], rows: int, **more: Any) -> list[str]:
    return [each.answer for each in teacher(**more)._said(outputs, rows)]


@pytest.mark.parametrize(
    ("output", "more", "answers"),
    [
        (Tensor("p", "FP32", [2, 3], [0.1, 0.7, 0.2, 0.5, 0.2, 0.3]), {"classes": ("x", "y", "z"), "ordered": True},
         ["y", "x"]),
        (Tensor("p", "FP32", [2], [0.7, 0.2]), {"classes": ("no", "yes"), "ordered": True}, ["yes", "no"]),
        (Tensor("l", "INT64", [2], [1, 0]), {"classes": ("no", "yes"), "ordered": True}, ["yes", "no"]),
        (Tensor("l", "INT64", [2], [3, 1]), {"classes": ("no", "yes"), "ordered": True}, ["", "yes"]),
        (Tensor("l", "INT64", [2], [1, 0]), {"classes": ("0", "1")}, ["1", "0"]),
        (Tensor("l", "BYTES", [2], ["yes", "no"]), {"classes": ("no", "yes")}, ["yes", "no"]),
        (Tensor("n", "FP64", [2, 1], [1.5, 2.0]), {"classes": ()}, ["1.5", "2.0"]),
        (Tensor("n", "FP64", [2, 1], [None, 2.0]), {"classes": ()}, ["", "2.0"]),
        (Tensor("p", "FP32", [2, 2], [None, None, 0.2, 0.8]), {"classes": ("no", "yes"), "ordered": True}, ["", "yes"]),
        (Tensor("p", "FP32", [2], [None, 0.2]), {"classes": ("no", "yes"), "ordered": True}, ["", "no"]),
    ],
)  # fmt: skip
def test_labels_scores_and_numbers_are_told_apart(output: Tensor, more: dict[str, Any], answers: list[str]) -> None:
    assert said([output], 2, **more) == answers


def test_scores_mean_nothing_while_nobody_named_the_classes_in_their_order() -> None:
    with pytest.raises(ValueError, match="no output"):
        said([Tensor("p", "FP32", [1, 3], [0.1, 0.7, 0.2])], 1, classes=("x", "y", "z"))


def test_one_matrix_is_all_numbers_of_a_row() -> None:
    assert teacher().reads == ("a", "b")


@pytest.mark.parametrize(
    "described",
    [
        {"inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 3]}]}, {}, [], {"inputs": [{"name": 1}]},
        {"inputs": [{"name": name, "datatype": "FP32", "shape": [-1]} for name in ("a", "nowhere")]},
    ],
)  # fmt: skip
def test_a_model_that_reads_something_else_is_not_asked(described: Any) -> None:
    with pytest.raises(BadTeacher):
        teacher(described)
