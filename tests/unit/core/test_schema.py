"""A schema keeps its own rules."""

import pytest

from aias.core.schema import Field, Schema, SchemaMismatch
from aias.core.task import METRICS, Task


def schema() -> Schema:
    return Schema((Field("id", "category", "ignored"), Field("age", "number"), Field("left", "category", "target")))


def test_names_are_unique() -> None:
    with pytest.raises(SchemaMismatch, match="two fields are called `age`"):
        Schema((Field("age", "number"), Field("age", "text")))


@pytest.mark.parametrize("wrong", [{"kind": "colour"}, {"role": "villain"}])
def test_a_field_has_a_known_kind_and_role(wrong: dict[str, str]) -> None:
    with pytest.raises(SchemaMismatch, match="unknown"):
        Field("age", **({"kind": "number"} | wrong))  # type: ignore[arg-type]


def test_inputs_are_neither_target_nor_ignored() -> None:
    assert [field.name for field in schema().inputs] == ["age"]


def test_a_new_target_sets_the_old_one_aside() -> None:
    changed = schema().with_target("age")

    assert {field.name: field.role for field in changed} == {"id": "ignored", "age": "target", "left": "ignored"}
    assert changed["left"].reason == "another target, by the schema"


def test_an_unknown_column_is_answered_with_the_known_ones() -> None:
    with pytest.raises(SchemaMismatch) as missing:
        schema()["colour"]

    assert missing.value.hint == "the columns are: id, age, left"
    with pytest.raises(SchemaMismatch) as mistyped:
        schema()["Agee"]

    assert mistyped.value.hint == "did you mean `age`?"


def test_every_metric_has_a_direction_and_a_task_that_it_judges() -> None:
    assert all(direction in ("higher", "lower") and tasks for direction, tasks in METRICS.values())


def test_a_task_answers_a_number_for_each_class_or_one() -> None:
    assert Task("y", "multiclass", "log_loss", ("a", "b", "c")).outputs == 3
    assert Task("y", "regression", "rmse").outputs == 1
