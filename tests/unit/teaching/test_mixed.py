"""`teaching/mixed.py`, `data/more_rows.py`: what is learned of each row, and which rows there are."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from aias.core.errors import BadValue, UserError
from aias.core.schema import SchemaMismatch
from aias.data.more_rows import FROM_OTHERS, below, synthetic
from aias.data.read import read
from aias.data.teacher_labels import AMOUNT
from aias.teaching.mixed import mixed, softened
from aias.teaching.teacher import Teacher
from aias.teaching.teachers.contract import BadTeacher, Said, likely

SURE = Said("a", chances={"a": 0.9, "b": 0.1})


def test_a_row_with_both_answers_is_learned_half_by_each() -> None:
    found = mixed(["b", None, None, "a"], {0: SURE, 1: SURE, 2: Said("b")}, numbers=False, temperature=1.0)

    assert found.labels == ("a", "b") and found.own.tolist() == [True, False, False, True]
    assert found.chances[0] == pytest.approx([0.45, 0.55]) and found.chances[1] == pytest.approx([0.9, 0.1])
    assert np.isnan(found.chances[2:]).all()


def test_of_amounts_too() -> None:
    found = mixed(["2.0", None, "5.0"], {0: Said("3.0"), 1: Said("7.0")}, numbers=True, temperature=1.0)

    assert found.labels == (AMOUNT,)
    assert found.chances[0] == 2.5 and np.isnan(found.chances[1:]).all()


def test_an_amount_that_is_none_is_an_error() -> None:
    with pytest.raises(BadValue, match="'dear' is no number"):
        mixed(["2.0"], {0: Said("dear")}, numbers=True, temperature=1.0)


def test_who_says_labels_only_leaves_no_chances() -> None:
    assert mixed([None, "a"], {0: Said("a")}, numbers=False, temperature=1.0).of(("a", "b")) is None


def test_a_high_temperature_raises_what_is_unlikely_and_keeps_the_order() -> None:
    hot = softened({"a": 0.9, "b": 0.08, "c": 0.02}, 2.0)

    assert sum(hot.values()) == pytest.approx(1)
    assert hot["a"] > hot["b"] > hot["c"] > 0.02
    assert softened({"a": 0.9, "b": 0.1}, 1.0) == pytest.approx({"a": 0.9, "b": 0.1})


@pytest.mark.parametrize(
    "values", [(0.5, 0.6), (2.0, -1.0), (float("nan"), 0.5), (0.2, 0.3, 0.5), (3.1, -0.4)],
    ids=["too much", "negative", "NaN", "another length", "logits"],
)  # fmt: skip
def test_what_are_no_probabilities_is_not_taken_for_some(values: tuple[float, ...]) -> None:
    assert likely(("a", "b"), values) == {}
    assert likely(("a", "b"), (0.25, 0.75)) == {"a": 0.25, "b": 0.75}


def table() -> pl.DataFrame:
    rng = np.random.default_rng(1)
    return pl.DataFrame({
        "id": [f"A-{i:05d}" for i in range(300)], "a": rng.normal(size=300), "b": rng.normal(size=300),
        "c": [f"c{i % 4}" for i in range(300)], "y": [f"y{i % 2}" for i in range(300)],
    })  # fmt: skip


def test_synthetic_rows_are_real_ones_with_some_columns_of_others() -> None:
    rows = table()

    found = synthetic(rows, read(rows, target="y").schema, count=2_000, target="y", seed=0)

    assert found.columns == ["a", "b", "c"] and found.height == 2_000
    assert set(found["a"]) <= set(rows["a"])
    own = dict(zip(rows["a"], rows["b"], strict=True))
    kept = np.mean([own[a] == b for a, b in found.select("a", "b").iter_rows()])
    assert abs(kept - ((1 - FROM_OTHERS) ** 2 + FROM_OTHERS**2)) < 0.1


def test_texts_are_not_mixed_with_columns_of_others() -> None:
    rows = pl.DataFrame({"text": [f"the {i}th of many words in a row" for i in range(60)], "y": ["a", "b"] * 30})

    with pytest.raises(UserError, match="none that could be mixed"):
        synthetic(rows, read(rows, target="y").schema, count=10, target="y", seed=0)


def test_more_rows_go_below_whatever_their_target_holds() -> None:
    rows, more = table()[:10], table()[10:15].with_columns(extra=pl.lit(1))

    found = below(rows, more, target="y")

    assert found.height == 15 and found.columns == rows.columns
    assert found["y"][10:].is_null().all() and found["a"][10:].to_list() == more["a"].to_list()


def test_more_rows_without_a_column_are_refused() -> None:
    with pytest.raises(SchemaMismatch, match="have no column `b`"):
        below(table(), table().drop("b"), target="y")


@pytest.mark.parametrize(
    "bad",
    [{"synthetic": -1}, {"synthetic": 1e3}, {"synthetic": float("nan")}, {"temperature": 0.0}, {"temperature": 1e9}],
)
def test_what_cannot_be_wished_for(bad: dict[str, Any]) -> None:
    with pytest.raises(BadTeacher):
        Teacher("big@1", **bad)
