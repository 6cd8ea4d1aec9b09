"""What holds for every split of every dataset."""

import numpy as np
import pytest
from hypothesis import assume, currently_in_test_context, given, settings
from hypothesis import strategies as st

from aias.core.task import Task
from aias.data.copies import alike_by_chance
from aias.data.dataset import Dataset
from aias.data.errors import BadSplit
from aias.data.read import read
from aias.data.split import FORWARD_SHARE, folds, split

BINARY = Task("y", "binary", "roc_auc", ("no", "yes"))
AMOUNT = Task("y", "regression", "rmse")
ALSO = ("x2", "x3", "x4", "x5")
"""Columns that say the same again, so that rows are hardly alike by chance."""


def dataset_of(values: list[int], groups: list[int] | None = None) -> Dataset:
    columns = {"x": [f"v{value}" for value in values], "y": ["no"] * len(values)}
    columns |= dict.fromkeys(ALSO, columns["x"])
    if groups is not None:
        columns["g"] = [f"g{group}" for group in groups]
        columns["at"] = [f"2024-01-{1 + group % 28:02}" for group in groups]
    dataset = read(columns)
    fields = list(dataset.schema)
    roles = dict.fromkeys(("x", *ALSO), "input") | {"y": "target", "g": "ignored", "at": "ignored"}
    kinds = dict.fromkeys(("x", *ALSO, "y", "g"), "category") | {"at": "time"}
    schema = type(dataset.schema)(
        tuple(type(f)(f.name, kinds[f.name], roles[f.name]) for f in fields)  # type: ignore[arg-type]
    )
    dataset = dataset.with_schema(schema)
    if currently_in_test_context():
        assume(not alike_by_chance(dataset))
    return dataset


def parts_of(done) -> list[np.ndarray]:
    return [done.train, done.validation, done.test]


rows = st.lists(st.integers(0, 40), min_size=3, max_size=120)


@settings(max_examples=60)
@given(rows, st.integers(0, 2**32 - 1), st.data())
def test_a_random_split_divides_all_rows_and_no_copies(values, seed, data):
    y = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(values), max_size=len(values))))
    try:
        done = split(dataset_of(values), y, task=BINARY, seed=seed)
    except BadSplit:
        assert len(set(values)) < 3
        return
    assert sorted(np.concatenate(parts_of(done)).tolist()) == list(range(len(values)))
    assert all(len(part) for part in parts_of(done))
    held = [{values[row] for row in part} for part in parts_of(done)]
    assert not (held[0] & held[1] or held[0] & held[2] or held[1] & held[2])


@settings(max_examples=40)
@given(rows, st.integers(0, 2**32 - 1))
def test_the_same_seed_gives_the_same_split(values, seed):
    dataset, y = dataset_of(values), np.zeros(len(values))
    try:
        first = split(dataset, y, task=AMOUNT, seed=seed)
    except BadSplit:
        return
    again = split(dataset, y, task=AMOUNT, seed=seed)
    assert all(np.array_equal(one, other) for one, other in zip(parts_of(first), parts_of(again), strict=True))


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 12)), min_size=3, max_size=120), st.integers(0, 99))
def test_a_group_never_straddles_and_copies_are_left_out(pairs, seed):
    values, groups = [value for value, _ in pairs], [group for _, group in pairs]
    try:
        done = split(dataset_of(values, groups), np.zeros(len(pairs)), task=AMOUNT, seed=seed, how="group:g")
    except BadSplit:
        return
    kept = np.concatenate(parts_of(done)).tolist()
    assert len(kept) == len(set(kept)) and {values[row] for row in kept} == set(values)
    for held in (groups, values):
        seen = [{held[row] for row in part} for part in parts_of(done)]
        assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])


@settings(max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 27)), min_size=3, max_size=120))
def test_a_split_by_time_never_looks_ahead(pairs):
    values, days = [value for value, _ in pairs], np.array([day for _, day in pairs])
    try:
        done = split(dataset_of(values, days.tolist()), np.zeros(len(pairs)), task=AMOUNT, seed=0, how="time:at")
    except BadSplit:
        return
    assert days[done.train].max() < days[done.validation].min()
    assert days[done.validation].max() < days[done.test].min()
    seen = [{values[row] for row in part} for part in parts_of(done)]
    assert not (seen[0] & seen[1] or seen[0] & seen[2] or seen[1] & seen[2])


@settings(max_examples=80)
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 27)), min_size=3, max_size=120), st.integers(1, 8))
def test_folds_under_time_lead_forward(pairs, count):
    values, days = [value for value, _ in pairs], np.array([day for _, day in pairs])
    dataset = dataset_of(values, days.tolist())
    try:
        found = folds(dataset, np.zeros(len(pairs)), task=AMOUNT, seed=0, count=count, how="time:at")
    except BadSplit:
        assert set(values) == {value for value, day in pairs if day == days.min()}
        return
    last = int(found.judges.max())
    assert 0 <= last < count
    for fold in range(last + 1):
        inside, outside = np.flatnonzero(found.blocks <= fold), np.flatnonzero(found.judges == fold)
        assert len(inside) and len(outside)
        assert days[inside].max() < days[outside].min()
        assert not {values[row] for row in inside} & {values[row] for row in outside}


def test_the_latest_half_of_the_rows_judges_in_blocks_of_one_size():
    days = [day for day in range(20) for _ in range(5)]
    made = folds(dataset_of(list(range(100)), days), np.zeros(100), task=AMOUNT, seed=0, count=5, how="time:at")
    assert np.bincount(made.judges + 1).tolist() == [100 * FORWARD_SHARE] + [10] * 5
    alone = folds(
        dataset_of(list(range(100)), days), np.zeros(100), task=AMOUNT, seed=0, count=1, how="time:at", holdout=0.2
    )
    assert np.bincount(alone.judges + 1).tolist() == [80, 20]


def test_a_block_begins_where_there_are_rows_that_equal_no_earlier_one():
    values, days = [*range(8), *range(4), 20, 21], [0] * 8 + [1] * 2 + [2] * 2 + [3, 4]
    made = folds(dataset_of(values, days), np.zeros(14), task=AMOUNT, seed=0, count=4, how="time:at")
    assert made.judges.tolist() == [-1] * 12 + [0, 0]
    with pytest.raises(BadSplit, match="copy of an earlier"):
        folds(dataset_of([1, 1, 1], [0, 1, 2]), np.zeros(3), task=AMOUNT, seed=0, count=2, how="time:at")


def test_labels_are_shared_out_evenly():
    y = np.array([1] * 100 + [0] * 900)
    done = split(dataset_of(list(range(1000))), y, task=BINARY, seed=3)
    assert [len(part) for part in parts_of(done)] == [700, 150, 150]
    assert [int(y[part].sum()) for part in parts_of(done)] == [70, 15, 15]


def test_ten_rows_are_enough():
    y = np.array([0, 1] * 5)
    done = split(dataset_of(list(range(10))), y, task=BINARY, seed=0)
    assert len(done.train) >= 5
    assert len(done.validation) >= 1
    assert len(done.test) >= 1
    assert set(y[done.train]) == {0, 1}


def test_a_label_of_one_row_is_learned_from():
    y = np.array([2] + [0, 1] * 50)
    task = Task("y", "multiclass", "log_loss", ("a", "b", "c"))
    for seed in range(10):
        assert 0 in split(dataset_of(list(range(101))), y, task=task, seed=seed).train


def test_a_part_may_be_empty_when_asked():
    done = split(dataset_of(list(range(100))), np.zeros(100), task=AMOUNT, seed=0, fractions=(0.8, 0.2, 0.0))
    assert [len(part) for part in parts_of(done)] == [80, 20, 0]


def test_rows_without_a_time_are_learned_from():
    dataset = read({"x": [f"a{i}" for i in range(10)], "at": [None, *(f"2024-01-{i:02}" for i in range(1, 10))]})
    done = split(dataset, np.zeros(10), task=AMOUNT, seed=0, how="time:at")
    assert 0 in done.train
    assert "1 rows without a `at` are in train" in done.reason
    assert folds(dataset, np.zeros(10), task=AMOUNT, seed=0, count=3, how="time:at").blocks[0] == 0


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("alphabet", "no split"),
        ("time", "no split"),
        ("random:x", "no split"),
        ("time:x", "holds no times"),
        ("group:y", "only 1"),
    ],
)
def test_a_split_that_cannot_be_is_refused(how, sentence):
    with pytest.raises(BadSplit, match=sentence) as caught:
        split(dataset_of(list(range(10))), np.zeros(10), task=AMOUNT, seed=0, how=how)
    assert caught.value.hint


THREE = Task("y", "multiclass", "log_loss", ("a", "b", "c"))


@settings(max_examples=40)
@given(rows, st.integers(2, 8), st.data())
def test_every_label_that_can_be_learned_elsewhere_judges_and_no_other(values, count, data):
    y = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(values), max_size=len(values))))
    made = folds(dataset_of(values), y, task=THREE, seed=0, count=count)
    of = {label: {value for value, each in zip(values, y, strict=True) if each == label} for label in set(y.tolist())}
    for label, held in of.items():
        alone = len(held) == 1 and not any(held & others for other, others in of.items() if other != label)
        judges = made.judges[y == label]
        if not alone:
            assert (judges >= 0).all()
        elif label in made.straddling:
            assert (judges >= 0).all() and len(judges) > 1
        else:
            assert (judges == -1).all() or len(judges) == 1
    copies = [set(made.judges[np.array(values) == value].tolist()) for value in set(values)]
    assert all(len(each) == 1 for each in copies) or len(made.straddling)


def test_a_label_of_copies_alone_is_learned_in_every_fold_or_dealt_among_them() -> None:
    values, y = [*range(12), *[20] * 6], np.array([0, 1] * 6 + [2] * 6)
    made = folds(dataset_of(values), y, task=THREE, seed=0, count=3)
    assert (made.judges[12:] == -1).all() and not len(made.straddling)
    binary = folds(dataset_of(values), np.array([0] * 12 + [1] * 6), task=BINARY, seed=0, count=3)
    assert set(binary.judges[12:].tolist()) == {0, 1, 2} and binary.straddling.tolist() == [1]


def test_a_label_of_one_group_alone_judges_nowhere_and_no_group_is_ever_in_two_folds() -> None:
    people = [f"p{i // 4}" for i in range(48)]
    y = np.array([(i % 2) if i < 16 else 2 + i // 4 for i in range(48)])  # from p4 on each has a label of its own
    dataset = read({"x": [f"a{i}" for i in range(48)], "person": people})
    task = Task("y", "multiclass", "log_loss", tuple(f"l{i}" for i in range(14)))
    made = folds(dataset, y, task=task, seed=0, count=3, how="group:person")
    assert all(len(set(made.judges[4 * person : 4 * person + 4].tolist())) == 1 for person in range(12))
    assert (made.judges[16:] == -1).all() and (made.judges[:16] >= 0).all() and not len(made.straddling)
    once = folds(dataset, y, task=task, seed=0, count=1, how="group:person", holdout=0.2).judges
    assert set(y[once == 0].tolist()) <= set(y[once < 0].tolist()) and (once == 0).sum() == 4, "known from others"
    with pytest.raises(BadSplit, match="more than one group of `person`") as caught:
        folds(dataset, np.repeat(np.arange(12), 4), task=task, seed=0, count=3, how="group:person")
    assert "random" in caught.value.hint


def test_rows_alike_by_chance_are_no_copies() -> None:
    cities = np.random.default_rng(0).integers(0, 30, 600)
    houses = read({"city": [f"c{city}" for city in cities], "rooms": [f"r{i % 3}" for i in range(600)]})
    made = folds(houses, np.zeros(600), task=AMOUNT, seed=0, count=5)
    for fold in range(5):
        assert set(cities[made.judges == fold]) <= set(cities[made.judges != fold])


def test_texts_that_were_multiplied_for_balance_stay_together() -> None:
    chance = np.random.default_rng(0)
    once = [" ".join(chance.choice(["good", "bad", "soup", "room", "late", "cheap"], 9)) for _ in range(300)]
    texts = np.array([*once, *once[:60] * 5])  # more than half of the rows stand six times
    y = np.repeat([1, 0, 1], [60, 240, 300])
    made = folds(read({"text": texts.tolist()}), y, task=BINARY, seed=0, count=5)
    for fold in range(5):
        assert not set(texts[made.judges == fold]) & set(texts[made.judges != fold])


def test_one_measured_amount_makes_equal_rows_copies() -> None:
    once = np.random.default_rng(0).normal(size=300)
    houses = read({"city": [f"c{i % 30}" for i in range(300)] * 2, "size": [*once, *once]})
    made = folds(houses, np.zeros(600), task=AMOUNT, seed=0, count=5)
    assert made.judges[:300].tolist() == made.judges[300:].tolist()
