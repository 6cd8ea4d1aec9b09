import tracemalloc

import numpy as np

from aias.core.task import Task
from aias.training.scoring.metrics import judge
from aias.training.scoring.slices import by_slice, each_value, parted

TASK = Task("y", "binary", "accuracy", ("a", "b"))


def rows(count: int = 400) -> tuple:
    rng = np.random.default_rng(1)
    scores = rng.dirichlet(np.ones(2), count)
    return rng.integers(0, 2, count), scores


def test_each_category_is_measured_and_rare_ones_together() -> None:
    y, scores = rows()
    colour = np.array(["red"] * 200 + ["blue"] * 150 + ["pink"] * 20 + ["grey"] * 29 + [None], dtype=object)

    found = by_slice(TASK, y, scores, {"colour": colour}, seed=0)

    assert [(each.value, each.measurement.n) for each in found] == [("red", 200), ("blue", 150), ("others", 50)]
    assert found[0].measurement == judge(TASK, y[:200], scores[:200], seed=0)


def test_numbers_are_cut_into_quarters_and_missing_ones_stand_apart() -> None:
    y, scores = rows()
    age = np.arange(400.0)
    age[:40] = np.nan

    found = by_slice(TASK, y, scores, {"age": age}, seed=0)

    assert {each.value for each in found} == {"missing", "40 to 129", "130 to 219", "220 to 309", "310 to 399"}
    assert sum(each.measurement.n for each in found) == 400


def test_ranges_of_large_numbers_that_lie_near_each_other_are_told_apart() -> None:
    y, scores = rows()

    few = by_slice(TASK, y, scores, {"year": 20_240_100.0 + np.arange(400) % 2}, seed=0)
    many = by_slice(TASK, y, scores, {"id": 20_240_000.0 + np.arange(400)}, seed=0)

    assert [each.value for each in few] == ["20240100", "20240101"]
    assert min(each.value for each in many) == "20240000 to 20240099"
    assert len(many) == 4


def test_no_column_has_more_slices_than_a_person_reads() -> None:
    y, scores = rows(4_000)
    found = by_slice(TASK, y, scores, {"place": np.arange(4_000) % 100}, seed=0)
    assert len(found) == 20
    assert found[-1].value == "others"


def test_a_slice_of_one_class_is_judged_by_the_log_loss() -> None:
    y, scores = rows()
    task = Task("y", "binary", "roc_auc", ("a", "b"))
    found = by_slice(task, y, scores, {"truth": y.astype(str)}, seed=0)
    assert {each.measurement.metric for each in found} == {"log_loss"}


def test_one_long_value_takes_its_own_room_and_not_that_of_every_row() -> None:
    values: list[object] = ["short"] * 499 + ["long " * 10_000]
    tracemalloc.start()
    try:
        found = list(parted(each_value(values)))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [(name, len(rows)) for name, rows in found] == [("short", 499), ("others", 1)]
    assert most < 1_000_000, "as fixed widths all would take 100 MB"
    ((name, _),) = parted(each_value(["long " * 10_000] * 40))
    assert len(name) < 100


def test_slices_of_rows_in_groups_are_as_wide_as_their_groups_make_them() -> None:
    groups = np.repeat(np.arange(40), 10)
    right = np.random.default_rng(0).random(40)[groups] < 0.7
    y, scores, half = np.ones(400, int), np.eye(2)[right.astype(int)], (groups % 2).astype(str)

    alone, together = (by_slice(TASK, y, scores, {"half": half}, seed=0, groups=each) for each in (None, groups))

    for one, other in zip(alone, together, strict=True):
        assert other.measurement == judge(TASK, y[half == other.value], scores[half == other.value], seed=0,
                                          groups=groups[half == other.value])  # fmt: skip
        assert one.measurement.value == other.measurement.value
        assert other.measurement.high - other.measurement.low > 2 * (one.measurement.high - one.measurement.low)


def test_a_slice_of_one_group_has_no_interval_and_a_perfect_one_that_of_its_groups() -> None:
    y, scores, one = np.ones(400, int), np.eye(2)[np.ones(400, int)], np.zeros(400, int)
    found = [by_slice(TASK, y, scores, {"a": np.zeros(400).astype(str)}, seed=0, groups=each)[0].measurement
             for each in (one, np.arange(400) % 20, None)]  # fmt: skip

    assert found[0].low is None
    assert [round(each.low, 2) for each in found[1:]] == [0.83, 0.99]
