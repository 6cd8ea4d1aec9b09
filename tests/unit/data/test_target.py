import numpy as np
import pytest

from aias.core.errors import BadValue
from aias.core.task import Task
from aias.data.errors import BadTarget
from aias.data.read import read
from aias.data.target import encode_labels, labels_for, task_for


def labels_of(values, metric=None):
    dataset = read({"x": [f"k{i * i % 11}" for i in range(len(values))], "y": values}, target="y")
    return task_for(dataset, "y", metric)


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        (["yes", "no"] * 10, "binary", ("no", "yes")),
        ([0, 1] * 10, "binary", ("0", "1")),
        ([1.0, 2.0] * 10, "binary", ("1", "2")),
        ([True, False] * 10, "binary", ("false", "true")),
        (["a", "b", "c"] * 10, "multiclass", ("a", "b", "c")),
        ([3, 10, 9] * 10, "multiclass", ("3", "9", "10")),
        ([i * 1.5 for i in range(30)], "regression", ()),
        ([f"${i}.39 " for i in range(30)], "regression", ()),
        (list(range(5, 35)), "regression", ()),
    ],
)
def test_the_task_follows_from_the_target(values, kind, classes):
    labels = labels_of(values)
    assert (labels.task.type, labels.task.classes) == (kind, classes)
    assert len(labels.y) == len(values)
    assert labels.y.dtype == (np.float64 if kind == "regression" else np.int64)


def test_a_metric_decides_what_the_values_leave_open():
    assert labels_of([3, 4, 5] * 10).task.type == "multiclass"
    assert labels_of([3, 4, 5] * 10, "rmse").task.type == "regression"


def test_a_guess_that_may_be_wrong_is_told_with_what_overrules_it():
    (told,) = labels_of([0, 0, 0, 1, 2, 5] * 10).notes

    assert told.name == "data.task" and "`y` has only 4 different numbers" in told.message
    assert "--metric rmse" in told.message
    for values, metric in (([0, 1, 2] * 10, "rmse"), ([0, 1, 2] * 10, "accuracy"), ([0, 1] * 10, None)):
        assert labels_of(values, metric).notes == ()


def test_yes_and_y_are_told_of_where_labels_are_spelled_in_several_ways():
    (told,) = labels_of(["Y", "yes", "n", "FALSE"] * 10).notes

    assert told.name == "data.labels-alike" and "'FALSE', 'n'; 'Y', 'yes'" in told.message
    assert labels_of(["y", "n", "t", "f", "a"] * 10).notes == ()
    assert labels_of(["yes", "n"] * 10).notes == ()


def test_numbers_that_are_written_in_several_ways_are_told_as_one_label() -> None:
    labels = labels_of(["1", "01", "1.0", "0", "v1"] * 10)
    (told,) = [note for note in labels.notes if note.name == "data.labels-alike"]
    assert told.message.endswith(": '01', '1'")  # 1.0 is read as 1
    assert labels_of(["9007199254740993", "9007199254740992", "v"] * 10).notes == ()


def test_labels_of_one_look_are_told_of_however_they_are_encoded():
    (told,) = labels_of(["caf\u00e9", "cafe\u0301", "bar"] * 10).notes

    assert told.name == "data.labels-alike" and r"'cafe\u0301', 'caf\xe9'" in told.message  # not 'café', 'café'


@pytest.mark.parametrize("blank", ["NA", "-"])
def test_a_label_that_may_mean_none_is_told_of(blank):
    (told,) = labels_of(["yes", "no", blank] * 10).notes

    assert told.name == "data.label-or-none" and told.facts == {"labels": [blank]}
    for values in (["yes", blank], ["none", "mild", "severe"], ["yes", "no", "?"], ["+", "0", "-"]):
        assert [each.name for each in labels_of(values * 10).notes if each.name == told.name] == []


def test_labels_that_numbers_do_not_tell_apart_are_refused():
    apart, alike = [2**53 - 2, 2**53 - 1] * 10, [2**53, 2**53 + 1, 2**53 + 2] * 10
    assert len(labels_of(apart).task.classes) == 2
    with pytest.raises(BadTarget, match="not all told apart"):
        labels_of(alike)
    assert len(labels_of([f"n{each}" for each in alike]).task.classes) == 3
    assert labels_of(alike, "rmse").task.type == "regression"


@pytest.mark.parametrize("low", [10**15, 1234567890123456, -(2**53) + 1])
def test_labels_are_whole_as_far_as_numbers_tell_them_apart(low):
    labels = labels_of([low, low + 1] * 10)
    assert labels.task.classes == (str(low), str(low + 1))
    spelt = [low, float(low), str(low), f"{low}.0", low + 1]
    assert encode_labels(spelt, labels.task).tolist() == [0, 0, 0, 0, 1]
    before = Task("y", "binary", "roc_auc", (f"{low}.0", f"{low + 1}.0"))
    assert encode_labels([low, low + 1.0], before).tolist() == [0, 1]


def test_currency_becomes_an_amount():
    assert labels_of(["$2.39 ", "$1,200.50", "$3 "] * 5, "rmse").y[:3].tolist() == [2.39, 1200.5, 3.0]


def test_rows_without_a_target_are_left_out_and_told():
    labels = labels_of(["yes", None, "no", "?", "yes", "no"])
    assert labels.kept.tolist() == [0, 2, 4, 5]
    assert any("2 rows have no `y`" in note.message for note in labels.notes)


def test_a_dot_is_taken_off_only_beside_its_twin():
    assert labels_of(["<=50K", ">50K", "<=50K.", ">50K."] * 5).task.classes == ("<=50K", ">50K")
    assert labels_of(["etc.", "other"] * 5).task.classes == ("etc.", "other")


def test_another_file_may_spell_the_labels_with_a_dot():
    task = Task("y", "binary", "roc_auc", ("<=50K", ">50K"))
    assert encode_labels(["<=50K.", ">50K", " >50K. "], task).tolist() == [0, 1, 1]


def test_unknown_labels_are_named():
    task = Task("y", "binary", "roc_auc", ("no", "yes"))
    with pytest.raises(BadTarget, match="'maybe'") as caught:
        encode_labels(["yes", "maybe"], task)
    assert "no, yes" in caught.value.hint


def test_an_amount_that_is_none_is_named_with_its_row():
    with pytest.raises(BadValue, match="row 1"):
        encode_labels(["3", "old"], Task("y", "regression", "rmse"))


def test_numbers_and_texts_are_the_same_labels():
    task = Task("y", "multiclass", "log_loss", ("1", "2", "3"))
    assert encode_labels([1, 2.0, "3"], task).tolist() == [0, 1, 2]


def test_another_file_is_compared_where_it_has_answers():
    labels = labels_of(["yes", "no"] * 5)
    other = read({"x": ["a", "b", "c"], "y": ["no", None, "yes"]}, target="y")
    again = labels_for(other, labels.task)
    assert (again.kept.tolist(), again.y.tolist()) == ([0, 2], [0, 1])


def test_a_metric_of_the_label_that_is_hardly_meant_is_told():
    def told(values, metric):
        return [note.message for note in labels_of(values, metric).notes if note.name == "data.positive"]

    (note,) = told(["ok"] * 18 + ["fraud"] * 2, "f1")
    assert "'ok'" in note and "f1_macro" in note
    assert not told(["ok"] * 18 + ["wrong"] * 2, "f1") and not told(["ok"] * 18 + ["fraud"] * 2, "roc_auc")


def test_a_rare_label_is_told():
    assert any(
        "one row only" in note.message and "'c'" in note.message for note in labels_of(["a", "b"] * 9 + ["c"]).notes
    )


@pytest.mark.parametrize(
    ("values", "metric", "sentence"),
    [
        (["yes"] * 9, None, "'yes' in every row"),
        ([3.5] * 9, None, "in every row"),
        ([None] * 9, None, "no value in any row"),
        ([f"name {i}" for i in range(30)], None, "30 different labels in 30 rows; most must stand in several"),
        (["2024-01-01", "2024-01-02", "2024-01-03"] * 3, None, "holds times"),
        (["a", "b", "c"] * 9, "roc_auc", "does not judge a multiclass"),
        (list(range(40)) * 3, "roc_auc", "judges two labels, and `y` holds 40 different numbers"),
        (["a", "b"] * 9, "rmse", "judges numbers"),
        ([1.5, float("inf"), 3.25] * 9, None, "infinite in 9 rows"),
        ([1.5, 1e200, 3.25] * 9, None, "beyond 1e\\+100"),
        ([1.5e-200, 2.5e-200, -3.5e-200] * 9, None, "spreads over no more than 6e-200"),
        (["a", "b"] * 9, "beauty", "no metric"),
    ],
)
def test_a_target_with_nothing_to_learn_is_refused(values, metric, sentence):
    with pytest.raises(BadTarget, match=sentence) as caught:
        labels_of(values, metric)
    assert caught.value.hint


@pytest.mark.parametrize(("metric", "amounts"), [("mape", [0.0, 1.5, 2.5, 3.5]), ("rmsle", [-0.5, 1.5, 2.5, 3.5])])
def test_a_metric_that_means_nothing_for_an_amount_is_refused(metric: str, amounts: list[float]) -> None:
    data = read({"x": list(range(40)), "y": amounts * 10}, target="y")
    with pytest.raises(BadTarget, match=metric) as caught:
        task_for(data, "y", metric)
    assert caught.value.hint


def test_labels_that_differ_in_case_only_are_told():
    table = {"x": list(range(40)), "y": ["Yes", "yes", "No", "no way"] * 10}
    found = task_for(read(table, target="y"), "y")
    assert len(found.task.classes) == 4
    assert any("blanks or spelling only" in each.message and "'Yes', 'yes'" in each.message for each in found.notes)
    assert not any("no way" in note.message for note in found.notes)


@pytest.mark.parametrize(("metric", "amount"), [("mape", 0.0), ("rmsle", -0.5)])
def test_amounts_to_measure_on_that_the_metric_cannot_judge_are_refused_too(metric, amount):
    task = Task("y", "regression", metric)
    rows = read({"x": [1.0, 5.0, 2.0], "y": [1.5, amount, amount]}, target="y")
    with pytest.raises(BadTarget, match=rf"`{metric}` .* in 2 rows of the file to measure on") as caught:
        labels_for(rows, task)
    assert caught.value.hint.startswith("leave those out, or train for")


@pytest.mark.parametrize(("amount", "said"), [(float("inf"), "infinite in 1 rows"), (1e200, "beyond 1e\\+100")])
def test_amounts_to_measure_on_of_which_no_error_can_be_told_are_refused(amount, said):
    rows = read({"x": [1.5, 2.5, 3.5], "y": [1.5, 2.5, amount]}, target="y")
    with pytest.raises(BadTarget, match=said + " of the file to measure on"):
        labels_for(rows, Task("y", "regression", "rmse"))
