"""`teaching/teachers/{version,endpoint}.py`: what a version of this registry says, and where it says nothing."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from aias.core.task import Task
from aias.runtimes.contract import Answers
from aias.teaching.teachers.endpoint import _said
from aias.teaching.teachers.version import Version


@dataclass
class Network:
    """Trained elsewhere; knows no missing values."""

    task: Task
    found: Answers

    @property
    def manifest(self) -> Any:
        return SimpleNamespace(task=self.task, inputs=())

    def predict(self, rows: list[Any]) -> Answers:
        return self.found.part(0, len(rows))


def said(task: Task, found: Answers) -> list[str]:
    teacher = Version(Network(task, found), ref="net@1", digest="d")  # type: ignore[arg-type]
    return [each.answer for each in teacher.ask([{}] * found.rows)]


def test_a_label_without_scores_is_no_answer() -> None:
    shares = np.array([[np.nan, np.nan], [0.2, 0.8]], np.float32)

    assert said(Task("y", "binary", "roc_auc", ("a", "b")), Answers(["a", "b"], shares)) == ["", "b"]


def test_an_amount_that_is_none_is_no_answer() -> None:
    assert said(Task("y", "regression", "rmse"), Answers([1.5, np.nan, np.inf], None)) == ["1.5", "", ""]


@pytest.mark.parametrize(
    ("each", "answer"),
    [
        ({"prediction": "a", "probabilities": {"a": 0.9, "b": 0.1}}, "a"),
        ({"prediction": "a", "probabilities": {"a": None, "b": None}}, ""),
        ({"prediction": 1.5, "interval": [1.0, 2.0]}, "1.5"), ({"prediction": None}, ""),
    ],
)  # fmt: skip
def test_an_endpoint_says_it_alike(each: dict[str, Any], answer: str) -> None:
    assert _said(each).answer == answer
