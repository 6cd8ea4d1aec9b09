"""Several tables in one file, and a title above a single column."""

import pytest

from aias.data.read import read

SMALL = "city,people\n" + "".join(f"c{i},{i * 7 % 5}\n" for i in range(4))
LARGE = "size,cost,label\n" + "".join(f"{i * 7 % 13},{i * 3 % 11}.5,{'ab'[i % 2]}\n" for i in range(30))


@pytest.fixture
def give(tmp_path):
    def write(text: str, name: str = "a.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def told(dataset):
    return [note.message for note in dataset.notes if note.level == "warning"]


@pytest.mark.parametrize(
    ("text", "line", "others"),
    [
        (f"{LARGE}\n{SMALL}", 1, "one of 2 columns on line 33"),
        (f"{SMALL}\n{LARGE}", 7, "one of 2 columns on line 1"),
        (f"{LARGE}\n\nTable 2\n\n{SMALL}", 1, "one of 2 columns on line 36"),
        (f"{SMALL}\nTable 2: all\n\n{LARGE}", 9, "one of 2 columns on line 1"),
        (
            f"{SMALL}\n{LARGE}\na,b,c,d\n1,2,3,4\n5,6,7,8\n",
            7,
            "one of 2 columns on line 1, one of 4 columns on line 39",
        ),
    ],
)
def test_of_several_tables_the_largest_is_read_and_told_where_others_begin(give, text, line, others):
    alone = read(give(LARGE))
    dataset = read(give(text))
    assert dataset.digest == alone.digest
    (message,) = told(dataset)
    assert f"3 columns from line {line} was read. Left out: {others}" in message


def test_the_table_that_has_the_target_is_read(give):
    dataset = read(give(f"{LARGE}\n{SMALL}"), target="people")
    assert (dataset.schema.names, dataset.rows) == (("city", "people"), 4)


def test_lines_are_counted_from_the_top_of_the_file_below_another_table(give):
    ragged = LARGE.replace("\n", "\n,EUR,\n", 1)
    messages = told(read(give(f"{SMALL}\n{ragged}")))
    assert any("line 8 holds units" in message for message in messages)


@pytest.mark.parametrize(
    "text",
    [
        LARGE.replace("\n2,", "\n\n2,"),
        LARGE + "\nSource: us\n",
        LARGE + "\nnote,x\n",
        LARGE + '"a\n\nb",1.5,a\n',
        "\n\n".join(LARGE.splitlines()) + "\n",
    ],
)
def test_empty_lines_alone_part_no_table(give, text):
    assert not any("several tables" in message for message in told(read(give(text))))


def test_a_title_above_a_single_column_is_left_out_and_told(give):
    column = "sales\n" + "".join(f"{i * 7 % 13}\n" for i in range(30))
    for title in ("Report\n\n", "Sales of all shops\n", "Report\nof 2024, all shops\n\n"):
        dataset = read(give(title + column))
        assert (dataset.schema.names, dataset.rows) == (("sales",), 30), title
        assert "above the table, and left out" in told(dataset)[0]
    for text in (column, column.replace("\n", "\n(EUR)\n", 1), "word\nmonthly\nsales\n" + "7\n" * 3):
        assert not any("title" in message for message in told(read(give(text)))), text
