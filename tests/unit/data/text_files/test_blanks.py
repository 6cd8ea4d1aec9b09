"""Text whose values are divided by runs of blanks, and text that only looks so."""

import pytest

from aias.data.read import read

NUMBERS = [(i * 7 % 13, i * 5 % 11 / 4, ("Oslo", "New York")[i % 2]) for i in range(30)]


FILE = "a.data"


@pytest.mark.parametrize(
    ("line", "above", "names"),
    [
        ("{0:4}   {1:8}  1\n", "", ("c0", "c1", "c2")),
        (" {0} {1:8} 1 \n", "\n", ("c0", "c1", "c2")),
        ("{0}   {1} 4\t1\n", "", ("c0", "c1", "c2", "c3")),
        ("{0}\t{1}\t\t1\n{0}\t{1}\t1\n", "", ("c0", "c1", "c2")),
        ("{0}  {1}  1\n", "size   cost  n\n", ("size", "cost", "n")),
        ("{0}  {1}  1\n", "# size cost n\n", ("size", "cost", "n")),
        ("{0}  {1}  1\n", "# made by us\n# size cost n\n", ("size", "cost", "n")),
        ('{0} {1} "{2}"\n', "", ("c0", "c1", "c2")),
        ('{0}   {1} 4\t"{2}"\n', "", ("c0", "c1", "c2", "c3")),
        ('{0} {1} "{2}, so \\"far\\""\n', '"size" "cost" "city"\n', ("size", "cost", "city")),
    ],
)
def test_runs_of_blanks_divide_values(give, line, above, names):
    dataset = read(give(above + "".join(line.format(*row) for row in NUMBERS)))
    assert dataset.schema.names == names
    assert dataset.frame[names[0]].unique().sort().to_list() == [float(i) for i in range(13)]
    assert dataset.schema[names[1]].kind == "number"
    assert "divided by blanks" in dataset.notes[0].message and dataset.notes[0].level == "warning"


def test_a_table_of_r_has_names_of_rows_and_quotes_within_values(give):
    lines = [f'"{i + 1}" {size} {cost} "{city}, \\"{i % 2}\\""' for i, (size, cost, city) in enumerate(NUMBERS)]
    dataset = read(give("\n".join(['"size" "cost" "city"', *lines]), "r.txt"))
    assert dataset.schema.names == ("c0", "size", "cost", "city")
    assert (dataset.rows, dataset.schema["c0"].role) == (30, "ignored")
    assert dataset.frame["city"][1] == 'New York, "1"'


def test_decimal_commas_between_blanks_are_none_that_divide(give):
    text = "size cost n\n" + "".join(f"{size},5 {cost} 1,25\n".replace(".", ",") for size, cost, _ in NUMBERS)
    assert read(give(text, "a.csv")).frame["size"][1] == 7.5


@pytest.mark.parametrize(
    ("name", "text", "width"),
    [
        ("a.csv", "order date\n" + "2024-01-02 10:00\n2024-01-03 11:00\n" * 9, 1),
        ("a.csv", "at,x,n\n" + "".join(f"2024-01-02 10:{i + 10},{i},1\n" for i in range(30)), 3),
        ("a.tsv", "place\tname\n" + "".join(f"{i}.5 {i * 7}.25\tp{i % 5}\n" for i in range(30)), 2),
        ("a.csv", "a;b\n" + "".join(f"{i} {i * 3};{i % 2} 5\n" for i in range(30)), 2),
        ("a.csv", 'a, b, "c d"\n' + '1, 2, "x y"\n3, 4, "x z"\n' * 9, 3),
        ("a.txt", "1 good movie\n0 poor movie\n1 nice film\n0 dull story\n" * 4, 2),
        ("a.csv", "text\n" + "one two\nthree four\n" * 9, 1),
    ],
)
def test_what_something_else_divides_is_not_divided_by_blanks(give, name, text, width):
    dataset = read(give(text, name))
    assert dataset.frame.width == width
    assert not any("divided by blanks" in note.message for note in dataset.notes)


def test_a_column_that_is_looked_for_keeps_the_blanks_of_its_name(give):
    text = "Monthly sales\n" + "".join(f"{i} {200 + i}\n" for i in range(30))
    assert read(give(text, "a.csv"), target="Monthly sales").schema.names == ("Monthly sales",)
