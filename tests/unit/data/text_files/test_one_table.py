"""Several tables in one file, and a title above a single column."""

import pytest

from aias.data.errors import Unreadable
from aias.data.read import read

SMALL = "city,people\n" + "".join(f"c{i},{i * 7 % 5}\n" for i in range(4))
LARGE = "size,cost,label\n" + "".join(f"{i * 7 % 13},{i * 3 % 11}.5,{'ab'[i % 2]}\n" for i in range(30))


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


def test_a_sheet_with_another_table_below_keeps_its_numbers(give, tmp_path):
    openpyxl = pytest.importorskip("openpyxl")

    def sheet(*lines, empty_first=False):
        book = openpyxl.Workbook()
        page = book.create_sheet("Data") if empty_first else book.active
        for line in lines:
            page.append([None if value == "" else float(value) if value[:1].isdigit() else value for value in line])
        book.save(tmp_path / "book.xlsx")
        return read(tmp_path / "book.xlsx")

    large, small = ([line.split(",") for line in table.splitlines()] for table in (LARGE, SMALL))
    alone = sheet(*large)
    for title in ([], [["Table 1"], []]):
        dataset = sheet(*title, *large, [], *small)
        assert dataset.digest == alone.digest
        assert "another table begins below row 30 of the first, and is left out" in " ".join(told(dataset))
    gaps = sheet(*large[:9], [], *large[9:])
    assert (gaps.rows, told(gaps)) == (31, [])
    second = sheet(*large, empty_first=True)
    assert (second.digest, "`Data` was read" in told(second)[0]) == (alone.digest, True)


def test_text_that_is_called_a_spreadsheet_is_read_as_text_and_a_web_page_called_one(give):
    assert read(give(LARGE.replace(",", "\t"), "a.xls")).digest == read(give(LARGE)).digest
    with pytest.raises(Unreadable, match="is a web page"):
        read(give("<html><table></table></html>", "a.xls"))
