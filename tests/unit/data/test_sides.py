"""Tables side by side, and sheets that only say what is in the others."""

import io

import pytest

from aias.data.read import read

LARGE = ["city,size,label", *(f"{('Oslo', 'Rome')[i % 2]},{i * 7 % 13},{'ab'[i % 3 == 0]}" for i in range(30))]
SMALL = ["shop,sales", *(f"s{i},{i * 3 % 11}" for i in range(9))]


def beside(left, right):
    height = max(len(left), len(right))
    sides = [[*side, *["," * side[0].count(",")] * (height - len(side))] for side in (left, right)]
    return "\n".join(",,".join(row) for row in zip(*sides, strict=True))


@pytest.mark.parametrize("text", [beside(LARGE, SMALL), beside(SMALL, LARGE), beside(LARGE, LARGE)])
def test_of_tables_side_by_side_the_tallest_is_read_and_the_others_told(give, text):
    dataset = read(give(text), target="label")
    assert dataset.digest == read(give("\n".join(LARGE)), target="label").digest
    assert any("tables side by side; that of 3 columns" in note.message for note in dataset.notes)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        (beside(LARGE, SMALL), "sales"),
        (beside(LARGE, [line.replace("label", "kind").replace("size", "age") for line in LARGE]), "label"),
        (beside(LARGE, ["note", "a", "b"]), "label"),
    ],
)
def test_an_empty_column_alone_parts_no_tables(give, text, target):
    assert read(give(text), target=target).frame.width > 4


def book(*sheets):
    openpyxl = pytest.importorskip("openpyxl")
    held, out = openpyxl.Workbook(), io.BytesIO()
    held.remove(held.active)
    for name, lines in sheets:
        page = held.create_sheet(name)
        for line in lines:
            page.append([int(cell) if cell.isdigit() else cell or None for cell in line.split(",")])
    held.save(out)
    return out.getvalue()


COVER = ["Sales of 2024", "", "by,Anna", "for,all", "", "label,what is predicted"]


def test_a_cover_is_passed_over_and_told(give):
    alone = read(give(book(("Data", LARGE)), "a.xlsx"), target="label").digest
    for target in ("label", None):
        dataset = read(give(book(("README", COVER), ("Data", LARGE)), "a.xlsx"), target=target)
        assert "has 2 sheets; `Data` was read" in dataset.notes[-1].message
        assert target is None or dataset.digest == alone


def test_the_sheet_that_has_the_target_is_read(give):
    data = book(("Shops", SMALL), ("Columns", ["name,unit,about", "size,m,x", "label,,y"]), ("Data", LARGE))
    assert read(give(data, "a.xlsx"), target="label").schema.names == ("city", "size", "label")
    assert read(give(data, "a.xlsx"), target="sales").schema.names == ("shop", "sales")


def test_a_first_sheet_of_two_columns_is_read_where_no_other_is_larger(give):
    assert read(give(book(("Data", SMALL), ("Shops", LARGE[:5])), "a.xlsx")).schema.names == ("shop", "sales")


def test_of_sheets_with_tables_side_by_side_one_table_is_read(give):
    text = beside(LARGE, SMALL)
    dataset = read(give(book(("Data", text.split("\n"))), "a.xlsx"), target="label")
    assert (dataset.schema.names, dataset.rows) == (("city", "size", "label"), 30)
