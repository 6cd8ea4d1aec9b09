"""A few words in a column that holds numbers or times otherwise."""

import pytest

from aias.data.read import read
from inferred import field_of

NUMBERS = [f"{i * 37 % 101 / 7:.2f}" for i in range(100)]
DAYS = [f"2024-{1 + i % 12:02}-{1 + i % 28:02}" for i in range(100)]


@pytest.mark.parametrize(("values", "kind"), [(NUMBERS, "number"), (DAYS, "time")])
def test_they_are_read_as_missing_and_told(values: list[str], kind: str) -> None:
    said = [*values, *["refused"] * 5, *["see notes"] * 3, "n.a."]
    field, dataset = field_of(said)
    assert field.kind == kind
    assert set(field.missing) == {"refused", "see notes", "n.a."}
    assert dataset.column("column").null_count() == 9
    others = "the others a few words; 1 row says 'n.a.', read as missing"
    assert field.reason == f"92.59% of the values are {kind}s, {others}"
    (note,) = [each for each in dataset.notes if each.name == "data.odd-values"]
    assert note.message == f"`column`: 8 values are no {kind} and are read as missing: 'refused', 'see notes'"


@pytest.mark.parametrize(
    "values",
    [
        [*NUMBERS, *["refused"] * 20],  # a sixth of the rows
        [*NUMBERS, "red", "green", "blue", "black", "white", "grey"],  # words of its own
        [*NUMBERS, *["A"] * 5],  # a code
        [*NUMBERS, *["V57"] * 5],
        [*[str(i % 12) for i in range(96)], *["none given"] * 4],  # so few numbers may be grades
    ],
)
def test_of_many_words_or_codes_it_stays_what_it_is(values: list[str]) -> None:
    assert field_of(values)[0].kind in {"category", "text"}


def test_in_a_target_they_are_labels() -> None:
    grades = [*[str(i % 25) for i in range(100)], *["failed"] * 5]
    assert read({"x": list(range(105)), "y": grades}, target="y").schema["y"].kind == "category"
