"""`data/types/other_separators.py`: a later table may divide its numbers otherwise, and is read all the same."""

import re

import pytest

from aias.core.errors import BadValue
from aias.core.schema import Schema
from aias.data.read import read

POINTS = ["1.5", "2.25", "1200"] * 5
COMMAS = ["1,5", "2,25", "1.200,0"] * 5


def schema(texts: list[str]) -> Schema:
    """Of a table with a column of these, and another."""
    return read({"a": texts, "b": ["x", "y", "x"] * 5}).schema


@pytest.mark.parametrize(
    ("learned", "later", "numbers", "said"),
    [
        (POINTS, ["5", "3,14", "1.000,5"], [5.0, 3.14, 1_000.5], "as `decimal-comma`, .* '3,14' is read as 3.14"),
        (COMMAS, ["5", "3.141", "0.5"], [5.0, 3.141, 0.5], "with a point, .* '3.141' is read as 3.141"),
        (POINTS, ["1 000,5", "12 500,25", "3,5"], [1_000.5, 12_500.25, 3.5], "as `spaced-comma`"),
        (["$1.5", "$2.25", "$3"] * 5, ["$3,14", "", "$2,5"], [3.14, None, 2.5], "as `decimal-comma`"),
    ],
)
def test_numbers_that_are_divided_otherwise_are_read_as_they_are_by_themselves(learned, later, numbers, said) -> None:
    found = read({"a": later, "b": ["x", "y", "x"]}, schema=schema(learned))

    assert found.frame["a"].to_list() == numbers
    assert found.schema["a"] == schema(learned)["a"]
    (note,) = found.notes
    assert note.level == "warning" and note.facts["column"] == "a"
    assert re.search(said, note.message)


def test_a_table_that_is_written_as_the_schema_says_is_not_guessed_at() -> None:
    found = read({"a": ["1,200", "3,141", "2.5"], "b": ["x", "y", "x"]}, schema=schema(POINTS))
    assert found.frame["a"].to_list() == [1_200.0, 3_141.0, 2.5] and not found.notes


@pytest.mark.parametrize("odd", ["old", "n/a", "3,14 cm", "3:14", "1,2M", "<3,5"])
def test_what_is_more_than_divided_otherwise_is_refused_as_before(odd: str) -> None:
    with pytest.raises(BadValue, match=r"field `a`: .* is not a number") as caught:
        read({"a": ["3,5", odd, "2,5"], "b": ["x", "y", "x"]}, schema=schema(POINTS))
    assert "send a number such as 1.5" in caught.value.hint
