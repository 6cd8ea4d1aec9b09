"""What people put around their tables: titles, comments, units, notes, totals. It is left out, and told."""

import datetime as dt
import io

import pytest

from aias.core.errors import AiasError
from aias.data.read import read

HEADER = "city,amount,day,label"
LINES = [
    f"{('Oslo', 'Rome', 'Bern')[i % 3]},{i * 7 % 13}.5,2024-01-{i % 28 + 1:02},{('yes', 'no')[i % 2]}"
    for i in range(30)
]
TOTAL = sum(i * 7 % 13 + 0.5 for i in range(30))
TABLE = "\n".join([HEADER, *LINES]) + "\n"


FILE = "export.csv"


@pytest.fixture
def plain(give):
    return read(give(TABLE)).digest


def told(dataset):
    return [note.message for note in dataset.notes if note.level == "warning"]


@pytest.mark.parametrize(
    ("above", "said"),
    [
        ("Report of 2024\n\n", "lines 1 to 2 are titles above the table, and left out: 'Report of 2024'"),
        ("Report of 2024,,,\n,,,\n", "lines 1 to 2 are titles"),
        ("ACME Ltd\nReport: sales, all regions\n\n", "lines 1 to 3 are titles"),
        ("# made by us, 2024\n", "line 1 is a comment above the table"),
        ("# a, b, c, d\n", "line 1 is a comment"),
        ("# one\n# two, three\n\n", "lines 1 to 3 are comments"),
        ("% of all\n", "line 1 is a comment"),
        ("# a\n" * 20, "lines 1 to 20 are comments"),
    ],
)
def test_what_stands_above_a_header_is_left_out_and_told(give, plain, above, said):
    dataset = read(give(above + TABLE))
    assert dataset.digest == plain
    assert len(told(dataset)) == 1 and said in told(dataset)[0]


@pytest.mark.parametrize(
    ("below", "said"),
    [
        (f"Total,{TOTAL},,\n", f"the last row holds totals and is left out: 'Total {TOTAL}'"),
        (f"\nGrand total:,{TOTAL:.2f},,\n", "the last row holds totals"),
        (f"Summe,{TOTAL},,\nDurchschnitt,{TOTAL / 30:.2f},,\n", "the last 2 rows hold totals"),
        ("\nSource: the bureau of things\n", "line 33 is a comment or a note of a single value"),
        ("(30 rows affected)\n", "line 32 is a comment or a note"),
        ("# the end\n", "line 32 is a comment or a note"),
        (",,,\nSource: us,,,\n", "the last 2 rows are notes, or empty, and are left out"),
    ],
)
def test_what_stands_below_the_last_row_is_left_out_and_told(give, plain, below, said):
    dataset = read(give(TABLE + below))
    assert dataset.digest == plain
    assert len(told(dataset)) == 1 and said in told(dataset)[0]


@pytest.mark.parametrize("units", [",EUR,,", "-,[EUR],[date],-", "----,----,----,----", ",(in thousands),,"])
def test_units_below_a_header_are_left_out_and_told(give, plain, units):
    dataset = read(give("\n".join([HEADER, units, *LINES])))
    assert dataset.digest == plain
    assert any("line 2 holds units, or dashes" in each for each in told(dataset))


def test_a_comment_between_rows_is_left_out(give, plain):
    dataset = read(give("\n".join([HEADER, *LINES[:9], "# a strike began", *LINES[9:]])))
    assert (dataset.digest, told(dataset)) == (
        plain, ["`export.csv`: line 11 is a comment or a note of a single value, and left out"]
    )  # fmt: skip


def test_lines_are_counted_from_the_top_of_the_file(give):
    dataset = read(give("Report\n\n" + "\n".join([HEADER, *LINES[:20], "Oslo,3", *LINES[20:]])))
    assert any("1 row has fewer than 4 values" in each and each.endswith("line 24") for each in told(dataset))
    with pytest.raises(AiasError, match="line 24 has 5 values"):
        read(give("Report\n\n" + "\n".join([HEADER, *LINES[:20], *["Oslo,3,,,no"] * 2, *LINES[20:]])))


@pytest.mark.parametrize(
    "text",
    [
        "#,name,value\n" + "".join(f"{i},n{i % 3},{i * i % 7}\n" for i in range(20)),
        "#gene,chr,score\n" + "".join(f"TP{i},chr{i % 9},{i % 7}\n" for i in range(20)),
        "% of all,name\n" + "".join(f"{i % 7},n{i % 3}\n" for i in range(20)),
        "name,unit,value\n" + "".join(f"n{i},kg,{i % 7}\n" for i in range(20)),
        "word,class\n" + "".join(f"word{i},{'nv'[i % 2]}\n" for i in range(19)) + "total,n\n",
        "tag,amount,note\n" + "".join(f"#t{i % 5},{i % 7},x\n" for i in range(20)),
        "stat,amount,x\n" + "".join(f"s{i},{i * 3},{i % 4}\n" for i in range(19)) + "max,1000,9\n",
        "name,amount,x\n" + "total,5,1\nall,3,2\n" * 9 + "total,5,1\n",
        "a,b,c\n" + ",,\n1,2,3\n" * 9,
        "a,b\n" + ";,\n" + "1,\n" * 9,
    ],
)
def test_what_only_looks_so_stays(give, text):
    dataset = read(give(text))
    assert dataset.rows == text.count("\n") - 1
    assert list(dataset.schema.names) == text.partition("\n")[0].split(",")


def test_a_row_of_a_single_value_among_others_of_its_kind_stays(give):
    dataset = read(give("\n".join([HEADER, *LINES[:9], "Oslo", *LINES[9:], "Rome"])))
    assert dataset.rows == 32


def test_a_table_as_r_writes_it_has_names_of_rows(give):
    text = "x,label\n" + "".join(f"{i},{i * 7 % 13}.5,{('yes', 'no')[i % 2]}\n" for i in range(1, 31))
    dataset = read(give(text))
    assert [(field.name, field.role) for field in dataset.schema] == [
        ("c0", "ignored"),
        ("x", "input"),
        ("label", "input"),
    ]
    assert any("the first of each is taken for the row's name" in each for each in told(dataset))
    few = read(give("".join(text.splitlines(keepends=True)[:3])), schema=dataset.schema)
    assert few.frame["x"].to_list() == dataset.frame["x"].to_list()[:2]
    amounts = read(give("x,y\n" + "".join(f"{i * 7 % 31}.5,{i % 3},{i % 2}\n" for i in range(30))))
    assert amounts.schema.names == ("x", "y", "c2")


def test_rows_to_answer_are_read_as_those_to_learn_from(give):
    schema = read(give(TABLE), target="label").schema
    few = "city,amount,day\nOslo,3.5,2024-01-05\nRome,,2024-01-06\n"
    wanted = read(give(few), schema=schema)
    for text in (
        f"Rows to answer\n\n{few}",
        f"# rows\n{few}",
        few.replace("\n", "\n,EUR,\n", 1),
        f"{few}\nSource: us\n",
    ):
        assert read(give(text), schema=schema).frame.equals(wanted.frame), text


def test_a_sheet_with_a_title_units_totals_and_notes_is_its_table(give):
    openpyxl = pytest.importorskip("openpyxl")
    rows = [[("Oslo", "Rome")[i % 2], i * 7 % 13 + 0.25, dt.date(2024, 1, 1 + i % 28)] for i in range(30)]
    names = ["city", "amount", "day"]
    total = ["Total", sum(row[1] for row in rows)]

    def sheet(lines, first=1):
        book = openpyxl.Workbook()
        for at, line in enumerate(lines, first):
            for place, value in enumerate(line, first):
                book.active.cell(at, place, value)
        book.save(held := io.BytesIO())
        return give(held.getvalue(), "book.xlsx")

    bare = read(sheet([names, *rows]))
    assert [field.kind for field in bare.schema] == ["category", "number", "time"]
    for lines in (
        [["Report"], [], names, *rows],
        [names, *rows, total, [], ["Source: us"]],
        [["Report"], [], names, [None, "EUR"], *rows, total],
    ):
        for first in (1, 4):
            dataset = read(sheet(lines, first))
            assert dataset.digest == bare.digest, (lines[:4], first)
            assert told(dataset)
