"""`data/copies.py`: rows that are known already, among others with other columns."""

import numpy as np
import polars as pl

from aias.data.copies import strangers, twins
from aias.data.read import read

AMOUNTS = [each / 7 for each in range(40)]


def test_rows_that_are_known_by_their_inputs_are_no_strangers() -> None:
    known = read({"y": AMOUNTS, "b": ["x", "z"] * 20, "^a.*$": AMOUNTS}, target="y")
    rows = read({"^a.*$": [*AMOUNTS[:3], 9.5, AMOUNTS[4]], "b": ["x", "z", "z", "x", "x"]})

    assert strangers(rows, [known]).tolist() == [2, 3]
    assert strangers(rows, [known, rows]).tolist() == []


def test_rows_alike_by_chance_are_all_strangers() -> None:
    rows = read({"a": ["x", "z"] * 30})
    assert strangers(rows, [rows]).tolist() == list(range(60))


def test_few_copies_leave_each_row_to_itself_and_many_do_not() -> None:
    rows = {"a": [i / 7 for i in range(100)], "b": [i / 3 for i in range(100)]}

    few, many = (read({name: each + each[:count] for name, each in rows.items()}) for count in (4, 50))

    assert twins(few) is None
    assert twins(few.take([])) is None
    assert twins(many).tolist() == [*range(100), *range(50)]


def test_few_rows_that_equal_some_of_many_by_chance_are_strangers() -> None:
    rng = np.random.default_rng(0)
    known, rows = (
        read(pl.DataFrame({name: rng.choice(list("pqrstuvwxy"), count) for name in "abc"})) for count in (5_000, 100)
    )
    assert strangers(rows, [known]).tolist() == list(range(100))
    assert len(strangers(rows, [known.take(np.arange(50))])) < 100
    assert strangers(rows, [known.take(np.arange(0))]).tolist() == list(range(100))
