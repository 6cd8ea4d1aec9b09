from datetime import date, datetime

import pytest

from aias.data.errors import BadSplit
from aias.data.holdout import measuring_rows
from aias.data.read import read

TRAIN = {
    "day": [date(2024, 1, 1 + i) for i in range(20)],
    "who": [f"p{i % 5}" for i in range(20)],
    "x": [i * 1.5 for i in range(20)],
    "y": ["yes", "no"] * 10,
}
LEARNED = read(TRAIN, target="y")


def given(**columns):
    return read({**{name: TRAIN[name][:4] for name in TRAIN}, **columns}, schema=LEARNED.schema)


def said(how="random", **columns):
    kept, notes = measuring_rows(given(**columns), LEARNED, how=how)
    return kept.tolist(), [note.message for note in notes]


def test_copies_of_rows_that_are_learned_from_measure_and_are_told():
    later = [datetime(2025, 1, 1 + i) for i in range(2)]
    kept, (note,) = said(day=[*later, *TRAIN["day"][2:4]])

    assert kept == [0, 1, 2, 3]
    assert note.startswith("2 of 4 rows of the test have the same inputs as rows that are learned from")


def test_of_other_rows_nothing_is_said():
    assert said(x=[0.1, 0.2, 0.3, 0.4]) == ([0, 1, 2, 3], [])


def test_a_group_that_is_learned_from_does_not_measure():
    kept, notes = said("group:who", who=["p0", "new", None, "p1"], x=[0.1, 0.2, 0.3, 0.4])

    assert kept == [1, 2]
    assert notes == ["2 of 4 rows of the test belong to a `who` that is learned from, and do not measure"]


def test_a_test_of_groups_that_are_all_learned_from_is_refused():
    with pytest.raises(BadSplit, match="every row of the test belongs to a `who` that is learned from"):
        said("group:who")


def test_rows_that_are_no_later_are_told_where_time_parts():
    days = [datetime(2024, 1, 20), datetime(2024, 1, 21), None, datetime(2020, 1, 1)]
    kept, notes = said("time:day", day=days, x=[0.1, 0.2, 0.3, 0.4])

    assert kept == [0, 1, 2, 3]
    assert [note[:60] for note in notes] == ["2 of 4 rows of the test are no later by `day` than all that i"[:60]]
