"""Columns at fixed places, with blanks in their values."""

import pytest

from aias.data.errors import Unreadable
from aias.data.read import read

NAMES = ("Anna Maria Smith", "Bo Li", "Cy", "Christopher Y.", "Dee Dee O'Neill")
ROWS = [(NAMES[i % 5], ("New York", "Oslo", "San José", "")[i % 4], i * 7 % 130, "ab"[i % 2]) for i in range(30)]
PLAIN = "name,city,size,label\n" + "".join(f"{name},{city},{size},{label}\n" for name, city, size, label in ROWS)
LINES = [f"{name:18}{city:10}{size:>5} {label}\n" for name, city, size, label in ROWS]

FILE = "a.txt"


@pytest.mark.parametrize(
    "above",
    [
        f"{'name':18}{'city':10}{'size':>5} label\n",
        "# of 2024, by us\n" + f"{'name':18}{'city':10}{'size':>5} label\n",
        f"{'name':18}{'city':10}{'size':>5} label\n{'-' * 17} {'-' * 9} {'-' * 5} -----\n",
    ],
)
def test_columns_at_fixed_places_are_columns_and_told(give, above):
    dataset = read(give(above + "".join(LINES)))
    assert dataset.digest == read(give(PLAIN, "a.csv")).digest
    assert any("columns of fixed places" in note.message for note in dataset.notes)


def test_names_longer_than_values_keep_their_columns(give):
    lines = [f"{name:18}{size:>4}  {label}\n" for name, _, size, label in ROWS]
    dataset = read(give("name  amount of it  label\n" + "".join(lines)))
    assert dataset.schema.names == ("name", "amount of it", "label")
    assert (dataset.rows, dataset.frame["name"][0], dataset.frame["amount of it"][1]) == (30, "Anna Maria Smith", 7)


def test_names_to_the_right_of_their_columns_name_all_of_them(give):
    lines = [f"{i * 7:>8}   {('12-15 years', ' < 12 years')[i % 2]}  {'ab'[i % 3 == 0]:>6}\n" for i in range(30)]
    dataset = read(give(f"{'id':>9}         heduc   label\n" + "".join(lines)))
    assert (dataset.schema.names, dataset.frame["heduc"][1]) == (("id", "heduc", "label"), "< 12 years")


def test_a_comma_in_every_name_divides_nothing(give):
    lines = [f"{name + ', Jr.':23}{city:10}{size:>5}\n" for name, city, size, _ in ROWS]
    dataset = read(give(f"{'name':23}{'city':10}{'size':>5}\n" + "".join(lines)))
    assert (dataset.schema.names, dataset.frame["name"][1]) == (("name", "city", "size"), "Bo Li, Jr.")


def test_few_lines_with_one_blank_at_the_same_place_are_one_column(give):
    text = "day\n" + "".join(f"{i + 10} Jan 2024\n" for i in range(4))
    assert read(give(text, "a.csv")).schema.names == ("day",)


def test_two_names_above_one_column_make_no_table(give):
    lines = [f"{i:>4}{i * 7 % 13:>12} {i:<18}{i % 5:>6}\n" for i in range(30)]
    lines[9] = f"   9  {'one-word-over-both-columns':28}{4:>7}\n"
    with pytest.raises(Unreadable, match="is not a table"):
        read(give(f"{'id':>4}{'residual':>12}    {'leverage':<15}{'sum':>6}\n" + "".join(lines)))


def test_a_first_row_that_lacks_a_value_is_no_header(give):
    lines = [
        f"{i:>4}{i * 7 % 130:>6}  {'Oslo' if i else '':10}{('of all', 'in', 'at sea')[i % 3]}\n" for i in range(30)
    ]
    with pytest.raises(Unreadable, match="is not a table"):
        read(give("".join(lines)))


def test_dates_below_one_name_are_one_column(give):
    text = "day\n" + "".join(f"{i + 10} Jan 2024\n" for i in range(40))
    assert read(give(text, "a.csv")).schema.names == ("day",)
