"""How much the rows of a class count: what can be asked for, and how labels are spelled."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from aias.core.errors import AiasError, UserError
from aias.core.task import Task
from aias.training.class_weights import from_text, row_weights
from aias.training.train import Recipe, check
from trainings import LINEAR

BINARY = Task("y", "binary", "roc_auc", ("0", "1"))


@pytest.mark.parametrize(
    "wrong",
    [
        {"yes": float("nan")},
        {"yes": float("inf")},
        {"yes": 1e300, "no": 1e-300},
        {"yes": "5"},
        {"yes": None},
        {"yes": True},
        {"yes": -1},
        {"yes": 0},
        {1: 2, "1": 3},
        {("a", "b"): 2},
        {},
        [1, 2],
        3.0,
        "balance",
    ],
    ids=str,
)
def test_weights_that_cannot_be_are_refused_before_any_data_is_read(wrong: Any) -> None:
    with pytest.raises(UserError, match="cannot be class weights") as caught:
        check(replace(LINEAR, class_weights=wrong))
    assert "`balanced`" in (caught.value.hint or "")


@pytest.mark.parametrize("label", [1, 1.0, "1", np.int64(1)])
def test_a_number_is_the_label_that_it_is_spelled_as(label: Any) -> None:
    weights = row_weights(np.array([0, 1]), BINARY, {label: 3})
    assert weights is not None and weights.tolist() == [0.5, 1.5]


def test_true_is_the_label_of_a_column_of_truths() -> None:
    weights = row_weights(np.array([0, 1]), Task("y", "binary", "roc_auc", ("false", "true")), {True: 3})
    assert weights is not None and weights.tolist() == [0.5, 1.5]


def test_a_label_that_is_none_of_the_classes_is_named() -> None:
    with pytest.raises(UserError, match="`maybe` is no class of `y`") as caught:
        row_weights(np.array([0, 1]), BINARY, {"maybe": 2})
    assert "0, 1" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("balanced", "balanced"),
        ("yes=5,no=1", {"yes": 5.0, "no": 1.0}),
        ("<=50K=2, >50K = .5", {"<=50K": 2.0, ">50K": 0.5}),
    ],
)
def test_weights_are_written_in_a_shell_as_label_and_number(text: str, means: Any) -> None:
    assert from_text(text) == means


@pytest.mark.parametrize("text", ["yes", "yes=", "yes=many", "yes=5,", "=5", "yes=nan"])
def test_what_is_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(UserError, match="cannot be class weights"):
        from_text(text)


@pytest.mark.parametrize("folds", ["5", 2.5, True, 0, 21])
def test_folds_are_a_whole_number(folds: Any) -> None:
    with pytest.raises(UserError, match="folds cannot be had") as caught:
        check(replace(LINEAR, folds=folds))
    assert caught.value.hint


@pytest.mark.parametrize("learners", [(None,), (3,), None])
def test_learners_are_names(learners: Any) -> None:
    with pytest.raises(AiasError, match="learner") as caught:
        check(Recipe(target="y", name="m", learners=learners))
    assert "boosted_trees" in (caught.value.hint or "")
