import numpy as np
import pytest

from aias.training.scoring.drift import Drift, drift

FIELDS = {"age": (0,), "job": (1,), "when": (2, 3)}


def rows(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(count, 4))
    found[:, 1] = rng.integers(1, 8, count)
    found[rng.random(count) < 0.1, 0] = np.nan
    return found


def compared(second: np.ndarray, **more) -> Drift:
    return drift(rows(2_000, 0), second, FIELDS, categories={1}, seed=0, **more)


def test_rows_of_one_origin_look_alike() -> None:
    found = compared(rows(1_000, 1))
    assert found.auc.low is not None and found.auc.low < 0.5 + 0.01
    assert not any(each.is_real for each in found.fields)
    assert found.event().level == "info"
    assert "alike" in found.event().message


def test_equal_sets_are_told_apart_about_as_rarely_as_promised() -> None:
    found = [drift(rows(300, 2 * i), rows(300, 2 * i + 1), FIELDS, categories={1}, seed=i) for i in range(40)]
    real = [any(each.is_real for each in one.fields) for one in found]
    assert sum(real) <= 6


@pytest.mark.parametrize(
    ("column", "change", "name"),
    [
        (0, lambda x: x + 1, "age"),
        (0, lambda x: np.where(np.arange(len(x)) % 2, np.nan, x), "age"),
        (1, lambda x: np.where(x > 4, 9, x), "job"),
        (3, lambda x: x * 3, "when"),
    ],
)
def test_a_field_that_changed_is_named_first(column, change, name) -> None:
    second = rows(1_500, 1)
    second[:, column] = change(second[:, column])

    found = compared(second)

    assert found.fields[0].field == name
    assert [each.field for each in found.fields if each.is_real] == [name]
    assert found.auc.low is not None and found.auc.low > 0.55
    event = found.event()
    assert event.name == "train.drift"
    assert f"most by `{name}`" in event.message
    assert event.facts["fields"] == {name: round(found.fields[0].distance, 4)}


def test_a_set_of_other_rows_altogether_is_a_warning() -> None:
    found = compared(rows(1_500, 1) + 3)
    assert found.auc.value > 0.99
    assert found.event().level == "warning"


def test_many_columns_of_noise_are_no_drift() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(400, 200)), rng.normal(size=(400, 200))
    found = drift(first, second, {str(i): (i,) for i in range(200)}, categories=(), seed=0)
    assert found.auc.value == pytest.approx(0.5, abs=0.07)


def test_columns_of_nothing_but_missing_values_are_equal() -> None:
    found = drift(np.full((50, 1), np.nan), np.full((40, 1), np.nan), {"a": (0,)}, categories=(), seed=0)
    assert found.fields[0].distance == 0
    assert found.auc.value == 0.5


def test_copies_within_a_test_do_not_give_it_away() -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        first, second = rng.normal(size=(3_000, 10)), rng.normal(size=(120, 10)).repeat(10, axis=0)
        fields = {f"x{place}": [place] for place in range(10)}
        clusters = (None, np.arange(120).repeat(10))
        found = drift(first, second, fields, categories=(), seed=seed, clusters=clusters).event()
        assert "look alike" in found.message
        assert (
            "told apart"
            in drift(first, second + 1, fields, categories=(), seed=seed, clusters=clusters).event().message
        )


def test_too_few_groups_are_not_said_to_look_alike() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(size=(2_000, 3)), rng.normal(size=(200, 3)) + 1
    fields, clusters = {f"x{place}": [place] for place in range(3)}, (np.arange(2_000) // 50, np.arange(200) // 100)
    found = drift(first, second, fields, categories=(), seed=0, clusters=clusters)
    assert found.auc.value > 0.8 and "so few cannot tell" in found.event().message
