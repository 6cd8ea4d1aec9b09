"""A row of groups above the names of the columns."""

import io

import pytest

from aias.data.read import read

LINES = "".join(f"{('Oslo', 'Rome')[i % 2]},{i % 7},{i * 3 % 11},{i % 5},{'ab'[i % 3 == 0]}\n" for i in range(30))
NAMES = ("city", "Q1.sales", "Q1.cost", "Q2.sales", "label")


@pytest.mark.parametrize(
    "header",
    [
        ",Q1,Q1,Q2,\ncity,sales,cost,sales,label\n",
        ",Q1,,Q2,label\ncity,sales,cost,sales,\n",
        "city,Q1,,Q2,label\ncity,sales,cost,sales,label\n",
    ],
)
def test_groups_and_names_are_names_and_told(give, header):
    dataset = read(give(header + LINES), target="label")
    assert (dataset.schema.names, dataset.rows) == (NAMES, 30)
    assert dataset.digest == read(give(",".join(NAMES) + "\n" + LINES), target="label").digest
    assert any("two rows, the first of groups" in note.message for note in dataset.notes)


def test_groups_stand_below_a_title(give):
    dataset = read(give("Report of 2024\n\n,Q1,,Q2,\ncity,sales,cost,sales,label\n" + LINES))
    assert dataset.schema.names == (*NAMES[:4], "Q2.label")


def test_a_row_above_names_that_differ_is_left_out(give):
    assert read(give(",Q1,Q2,,\ncity,sales,cost,gain,label\n" + LINES)).schema.names[1] == "sales"


def test_a_single_row_of_known_columns_needs_no_more(give):
    header = ",Q1,,Q2,label\ncity,sales,cost,sales,\n"
    schema = read(give(header + LINES), target="label").schema
    assert read(give(header + LINES.partition("\n")[0]), schema=schema).frame["Q1.sales"].to_list() == [0]


@pytest.mark.parametrize(
    "text",
    [
        "note,,label\n" + "".join(f"once upon {i},x{i % 3},{'ab'[i % 2]}\n" for i in range(30)),
        "x,x,label\nNA,NA,a\n" + "".join(f"{i},{i % 3},{'ab'[i % 2]}\n" for i in range(30)),
        "x,,label\n" + "".join(f"{i},{i % 3},{'ab'[i % 2]}\n" for i in range(30)),
    ],
)
def test_a_row_below_names_that_are_empty_or_alike_is_a_row(give, text):
    assert read(give(text)).rows == text.count("\n") - 1


def test_groups_over_merged_cells_of_a_sheet(give):
    openpyxl = pytest.importorskip("openpyxl")
    book, out = openpyxl.Workbook(), io.BytesIO()
    book.active.append([None, "Q1", None, "Q2", None])
    book.active.merge_cells("B1:C1")
    book.active.append(["city", "sales", "cost", "sales", "label"])
    for line in LINES.splitlines():
        book.active.append([int(cell) if cell.isdigit() else cell for cell in line.split(",")])
    book.save(out)
    dataset = read(give(out.getvalue(), "a.xlsx"))
    assert dataset.schema.names == (*NAMES[:4], "Q2.label")
    assert dataset.digest == read(give(",".join(dataset.schema.names) + "\n" + LINES)).digest
