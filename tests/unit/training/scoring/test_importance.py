import numpy as np
import pytest

from aias.core.task import Task
from aias.training.scoring.importance import explain, importance

AMOUNT = Task("y", "regression", "rmse")
FIELDS = {"size": (0,), "place": (1, 2), "noise": (3,)}


def rows(count: int = 500) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 4))


def linear(x: np.ndarray) -> np.ndarray:
    return (3 * x[:, 0] + x[:, 1] - x[:, 2])[:, None]


def twisted(x: np.ndarray) -> np.ndarray:
    second = 1 / (1 + np.exp(-x[:, 0] * x[:, 1] - x[:, 2]))
    return np.column_stack([1 - second, second])


def test_what_matters_most_comes_first_and_what_does_not_gives_nothing() -> None:
    x = rows()
    found = importance(linear, x, linear(x)[:, 0], FIELDS, task=AMOUNT, seed=0)
    assert [one.field for one in found] == ["size", "place", "noise"]
    assert found[0].drop == pytest.approx(3 * np.sqrt(2), rel=0.1)
    assert found[0].low < found[0].drop < found[0].high
    assert (found[2].low, found[2].drop, found[2].high) == (0, 0, 0)


def test_columns_of_one_field_move_together() -> None:
    x = rows()
    x[:, 2] = x[:, 1]
    found = importance(linear, x, linear(x)[:, 0], {"place": (1, 2)}, task=AMOUNT, seed=0)
    assert found[0].drop == pytest.approx(0, abs=1e-12)


def test_no_more_rows_are_asked_about_than_allowed() -> None:
    asked: list[int] = []

    def answer(x: np.ndarray) -> np.ndarray:
        asked.append(len(x))
        return linear(x)

    importance(answer, rows(), rows()[:, 0], FIELDS, task=AMOUNT, seed=0, rows_max=50, repeats=2)
    assert set(asked) == {50}


@pytest.mark.parametrize("permutations", [1, 7])
def test_contributions_sum_to_the_answer_less_the_references(permutations) -> None:
    x = rows()
    found = explain(twisted, x[0], x[1], FIELDS, permutations=permutations, seed=0)
    assert found.base == pytest.approx(twisted(x[1:2])[0])
    assert found.answer == pytest.approx(twisted(x[:1])[0])
    total = np.sum(list(found.contributions.values()), axis=0)
    assert total == pytest.approx(np.subtract(found.answer, found.base), abs=1e-12)


def test_of_a_sum_each_term_is_its_own_contribution() -> None:
    x = rows()
    found = explain(linear, x[0], x[1], FIELDS, permutations=1, seed=0)
    assert found.contributions["size"][0] == pytest.approx(3 * (x[0, 0] - x[1, 0]))
    assert found.contributions["noise"][0] == pytest.approx(0, abs=1e-12)


def test_two_fields_that_only_work_together_share_alike() -> None:
    row, reference = np.array([2.0, 3.0]), np.zeros(2)
    found = explain(lambda x: x[:, :1] * x[:, 1:], row, reference, {"a": (0,), "b": (1,)}, permutations=1, seed=0)
    assert found.contributions == {"a": (3.0,), "b": (3.0,)}


def test_the_base_of_several_references_is_their_mean() -> None:
    x = rows()
    found = explain(twisted, x[0], x[1:5], FIELDS, permutations=8, seed=0)
    assert found.base == pytest.approx(twisted(x[1:5]).mean(axis=0))
    total = np.sum(list(found.contributions.values()), axis=0)
    assert total == pytest.approx(np.subtract(found.answer, found.base), abs=1e-12)


def test_all_is_asked_in_one_call_and_missing_values_are_equal() -> None:
    calls: list[int] = []

    def answer(x: np.ndarray) -> np.ndarray:
        calls.append(len(x))
        return np.nan_to_num(x).sum(axis=1, keepdims=True)

    row, reference = np.array([np.nan, 1.0, np.nan]), np.array([np.nan, 0.0, 2.0])
    found = explain(answer, row, reference, {"a": (0,), "b": (1,), "c": (2,)}, permutations=3, seed=0)
    assert found.contributions == {"a": (0.0,), "b": (1.0,), "c": (-2.0,)}
    assert calls == [6 * 3]


def test_a_row_that_is_the_reference_has_nothing_to_explain() -> None:
    x = rows()
    found = explain(twisted, x[0], x[0], FIELDS, permutations=2, seed=0)
    assert found.answer == found.base
    assert set(found.contributions.values()) == {(0.0, 0.0)}
