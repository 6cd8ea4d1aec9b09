"""`data/copies.py`: rows that are known already, among others with other columns."""

from aias.data.copies import strangers
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
