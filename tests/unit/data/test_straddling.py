"""`data/straddling.py`: rows that judge have no copies, and none of their group, among those that were learned from."""

import numpy as np
import polars as pl
import pytest

from aias.core.task import Task
from aias.data.copies import copies_across
from aias.data.errors import BadSplit
from aias.data.read import read
from aias.data.split import folds
from aias.data.straddling import LEFT_OUT, apart, beside, without_straddling

BINARY = Task("y", "binary", "roc_auc", ("n", "y"))


def short(*judges: int) -> np.ndarray:
    return np.array(judges, np.int16)


def test_copies_in_several_folds_judge_nowhere_and_are_learned_from_elsewhere() -> None:
    copies = np.array([0, 1, 2, 3, 4, 0])
    found, gone = without_straddling(short(0, 0, 0, 1, 1, 1), copies, None, seed=0)
    assert found.tolist() == [beside(0), 0, 0, 1, 1, beside(1)]
    assert gone == 2


def test_where_too_few_would_be_left_one_copy_stands_for_all() -> None:
    copies = np.array([0, 1, 2, 0, 1, 3])
    found, gone = without_straddling(short(0, 0, 0, 1, 1, 1), copies, None, seed=0)
    assert (found[2], found[5], gone) == (0, 1, 2)
    for first, second in ((0, 3), (1, 4)):
        assert (found[first], found[second]) in {(0, LEFT_OUT), (LEFT_OUT, 1)}
    copies, labels = np.array([0, 1, 2, 3, 4, 5, 0, 1]), np.array([1, 1, 0, 0, 0, 0, 1, 1])
    found, gone = without_straddling(short(0, 0, 0, 0, 1, 1, 1, 1), copies, labels, seed=0)
    assert found[2:6].tolist() == [0, 0, 1, 1] and gone == 2  # or one label alone would judge
    assert sorted(found[[0, 1]]) == [LEFT_OUT, 0] and sorted(found[[6, 7]]) == [LEFT_OUT, 1]  # or be learned


@pytest.mark.parametrize("judges", [np.arange(1_000) // 200, np.arange(1_000) // 200 - 4])
def test_of_rows_that_stand_in_each_group_folds_have_some_to_learn_and_some_to_judge_by(judges: np.ndarray) -> None:
    judges, copies = np.maximum(judges, -1).astype(np.int16), np.arange(1_000) % 100
    found, gone = without_straddling(judges, copies, copies % 2, seed=0)
    assert gone == 900 and sorted(copies[found != LEFT_OUT]) == list(range(100))
    for fold in np.unique(judges[judges >= 0]):
        assert 10 <= (found == fold).sum() <= 30


def test_a_label_of_which_one_copy_is_left_judges_nowhere() -> None:
    copies = np.arange(40) % 20
    judges, labels = (np.arange(40) // 20).astype(np.int16), np.where(copies == 0, 2, copies % 2)
    found, _ = without_straddling(judges, copies, labels, seed=0)
    assert sorted(found[labels == 2].tolist()) in ([LEFT_OUT, beside(0)], [LEFT_OUT, beside(1)])
    assert (found >= 0).sum() == 19


def test_a_single_row_that_stands_in_all_groups_is_no_data() -> None:
    with pytest.raises(BadSplit, match="copies of too few"):
        without_straddling(short(0, 0, 1, 1), np.zeros(4, np.int64), np.array([0, 1, 0, 1]), seed=0)


def test_folds_in_which_nothing_judges_any_more_are_none() -> None:
    copies = np.array([0, 1, 2, 3, 0, 4, 5, 6])
    found, _ = without_straddling(short(0, 0, 0, 0, 1, 2, 2, 2), copies, None, seed=0)
    assert found.tolist() == [beside(0), 0, 0, 0, -1, 1, 1, 1]
    copies = np.array([0, 0, 1, 2, 1, 2, 3])
    found, _ = without_straddling(short(0, 1, 0, 0, 2, 2, 3), copies, None, seed=0)
    kept = found[found != LEFT_OUT]
    assert set(kept) == set(range(len(set(kept)))) and len(kept) == 4


def test_folds_without_copies_are_as_they_were() -> None:
    judges = short(0, 1, -1, 0)
    found, gone = without_straddling(judges, np.array([0, 1, 2, 0]), None, seed=0)
    assert found is judges and gone == 0


def test_a_row_is_told_nothing_by_its_copies() -> None:
    parts, copies = np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 2, 3, 3])
    assert apart(parts, 0, copies).tolist() == [False, False, False, True, True, True]
    assert apart(parts, 1, copies).tolist() == [False, True, False, False, True, True]
    assert apart(parts, 1, None).tolist() == (parts != 1).tolist()
    everywhere = np.arange(6) % 2  # nothing would be left
    assert apart(parts, 1, everywhere).tolist() == (parts != 1).tolist()


def test_copies_are_numbered_where_they_stand_in_several_groups() -> None:
    dataset = read(pl.DataFrame({"x": [1.5, 2.5, 1.5, 3.5], "y": [1.0, 2.0, 3.0, 4.0]}), target="y")
    assert copies_across(dataset, np.array([0, 1, 2, 2])).tolist() == [0, 1, 0, 2]
    assert copies_across(dataset, np.array([0, 1, 0, 2])) is None
    assert copies_across(dataset, None) is None


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize("share", [0.02, 0.3, 1.0])
def test_neither_groups_nor_copies_of_what_judges_are_learned_from(count: int, share: float) -> None:
    rng = np.random.default_rng(0)
    x, again = rng.normal(size=400), int(400 * share)
    rows = pl.DataFrame({
        "x": [*x, *x[:again]], "g": [f"g{g}" for g in rng.integers(0, 40, 400 + again)],
        "y": rng.choice(["n", "y"], 400 + again),
    })  # fmt: skip
    dataset = read(rows, target="y")
    fields = [type(f)(f.name, f.kind, "ignored" if f.name == "g" else f.role) for f in dataset.schema]
    dataset = dataset.with_schema(type(dataset.schema)(tuple(fields)))
    y = (rows["y"] == "y").cast(int).to_numpy()

    found = folds(dataset, y, task=BINARY, seed=0, count=count, how="group:g", holdout=0.2)

    judged = int((found.judges >= 0).sum())
    assert judged >= (0.08 if count == 1 else 0.4) * len(y)
    assert found.copied > 0 and found.judges.max() + 1 == count
    for fold in range(count):
        inside = (found.judges != fold) & (found.judges != beside(fold)) & (found.judges != LEFT_OUT)
        for column in ("x", "g"):
            values = rows[column].to_numpy()
            assert not set(values[inside]) & set(values[found.judges == fold])


def test_a_holdout_of_groups_needs_groups() -> None:
    dataset = read(pl.DataFrame({"x": [1.5, 2.5, 3.5], "g": ["a", "a", "b"], "y": ["n", "y", "n"]}), target="y")
    with pytest.raises(BadSplit, match="2 groups"):
        folds(dataset, np.array([0, 1, 0]), task=BINARY, seed=0, count=1, how="group:g")
