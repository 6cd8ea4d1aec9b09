"""The promise of `readers/contract.py`, for every reader found; and that every format gives the same rows."""

import datetime as dt
import io
import json
import sys
from pathlib import Path

import polars as pl
import pytest

from aias.data.errors import Unreadable
from aias.data.read import read
from aias.data.readers import readers
from aias.data.readers.contract import NO, File, Options, Table

FRAME = pl.DataFrame(
    {
        "age": [39.0, 50.5, None, 28.0, 3.0, 4.0],
        "city": ["Oslo", "Ürümqi", "Oslo", None, "São Paulo", "Oslo"],
        "remark": [
            "good, very good",
            'he said "no"',
            "nothing to say here",
            "東京 へ 行く",
            "it is fine",
            "as before it",
        ],
    }
)


def excel() -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(FRAME.columns)
    for row in FRAME.rows():
        book.active.append(row)
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def arff() -> bytes:
    def quoted(value):
        if value is None:
            return "?"
        return "'" + value.replace("'", "\\'") + "'" if isinstance(value, str) else str(value)

    head = "% a comment\n@RELATION people\n@attribute age numeric\n"
    head += "@ATTRIBUTE 'city' string % which\n@attribute remark string\n"
    return (head + "@data\n" + "".join(",".join(map(quoted, row)) + "\n" for row in FRAME.rows())).encode()


def binary(write: str) -> bytes:
    out = io.BytesIO()
    getattr(FRAME, write)(out)
    return out.getvalue()


SAMPLES = {
    "arff": ("people.arff", arff),
    "arrow": ("people.arrow", lambda: binary("write_ipc")),
    "csv": ("people.csv", lambda: FRAME.write_csv().encode()),
    "excel": ("people.xlsx", excel),
    "jsonl": ("people.jsonl", lambda: "\n".join(json.dumps(row) for row in FRAME.to_dicts()).encode()),
    "lines": (
        "people.all",
        lambda: b"".join(b"%d some words %s%d\n" % (i % 2, b"more " * (i % 3 == 2), i) for i in range(20)),
    ),
    "parquet": ("people.parquet", lambda: binary("write_parquet")),
}
TABLES = sorted(set(SAMPLES) - {"lines"})


def test_every_reader_has_a_sample_here():
    assert set(readers()) == set(SAMPLES)


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_reader_is_the_surest_of_its_own_file(name):
    file = File(SAMPLES[name][0], SAMPLES[name][1]())
    sure = {other: reader.fits(file) for other, reader in readers().items()}
    assert max(sure, key=lambda other: sure[other]) == name


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_reader_knows_its_file_without_a_suffix(name):
    assert readers()[name].fits(File("people", SAMPLES[name][1]())) > NO or name == "excel"


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_reader_gives_a_table(name):
    table = readers()[name].read(File(SAMPLES[name][0], SAMPLES[name][1]()), Options())
    assert isinstance(table, Table)
    assert table.frame.height in {6, 20}
    assert all(note.message for note in table.notes)


@pytest.mark.parametrize("name", sorted(SAMPLES))
@pytest.mark.parametrize(
    "data", [b"", b"\0" * 100, b"\xff" * 100, b"hello", b"{", b"PAR1", b"ARROW1", b"PK\x03\x04", b"@data"]
)
def test_a_reader_refuses_what_is_not_its_own_or_reads_it_whole(name, data):
    reader = readers()[name]
    assert 0 <= reader.fits(File("x", data)) <= 1
    try:
        assert isinstance(reader.read(File("x", data), Options()), Table)
    except Unreadable as refusal:
        assert refusal.message


@pytest.mark.parametrize("name", TABLES)
def test_every_format_gives_the_same_dataset(name, tmp_path: Path):
    path = tmp_path / SAMPLES[name][0]
    path.write_bytes(SAMPLES[name][1]())
    dataset = read(path)
    assert dataset.frame.equals(FRAME)
    assert [field.kind for field in dataset.schema] == ["number", "category", "text"]
    assert dataset.digest == read(FRAME).digest


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_no_format_needs_pandas_or_pyarrow(name, tmp_path: Path, monkeypatch):
    path = tmp_path / SAMPLES[name][0]
    path.write_bytes(SAMPLES[name][1]())
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert read(path).rows in {6, 20}


def test_a_csv_is_divided_by_whatever_divides_it(tmp_path: Path):
    for separator in ",\t;|":
        path = tmp_path / "people.csv"
        path.write_text(FRAME.write_csv(separator=separator))
        assert read(path).frame.equals(FRAME), separator


def test_an_array_of_json_is_a_table(tmp_path: Path):
    path = tmp_path / "people.json"
    path.write_text(json.dumps(FRAME.to_dicts(), indent=2))
    assert read(path).frame.equals(FRAME)


def test_label_lines_are_a_table(tmp_path: Path):
    path = tmp_path / "people.all"
    path.write_bytes(SAMPLES["lines"][1]())
    dataset = read(path)
    assert dataset.frame.row(1) == (1.0, "some words 1")


def test_sparse_and_dated_arff_is_read(tmp_path: Path):
    path = tmp_path / "sparse.arff"
    path.write_text(
        "@relation r\n@attribute n numeric\n@attribute 'the class' {no, 'yes, maybe'} % two\n"
        "@attribute d date yyyy-MM-dd\n@data\n{0 2.5, 1 'yes, maybe', 2 2024-01-31}\n\n% nothing\n{2 2024-02-01}\n"
    )
    dataset = read(path)
    assert dataset.frame.rows() == [
        (2.5, "yes, maybe", dt.datetime(2024, 1, 31)),
        (0.0, "no", dt.datetime(2024, 2, 1)),
    ]
    assert [field.kind for field in dataset.schema] == ["number", "category", "time"]


def test_a_broken_line_of_arff_is_found_with_its_number(tmp_path: Path):
    path = tmp_path / "broken.arff"
    path.write_text("@relation r\n@attribute n numeric\n@attribute m numeric\n@data\n1,2\n1,2,3\n")
    with pytest.raises(Unreadable, match="line 6 has 3 values where 2 belong"):
        read(path)


def test_a_sheet_is_chosen_by_its_name(tmp_path: Path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["a"])
    book.active.append([1])
    other = book.create_sheet("Other")
    other.append(["b"])
    other.append([2])
    book.save(tmp_path / "book.xlsx")
    assert "2 sheets" in read(tmp_path / "book.xlsx").notes[0].message
    assert read(f"{tmp_path / 'book.xlsx'}:Other").schema.names == ("b",)
    with pytest.raises(Unreadable, match="no sheet `Third`"):
        read(f"{tmp_path / 'book.xlsx'}:Third")


def test_a_folder_of_texts_is_a_table_of_texts_and_labels(tmp_path: Path):
    for label in ("neg", "pos"):
        (tmp_path / "reviews" / label).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "reviews" / label / f"{number}.txt").write_text(f"a {label} review, number {number}")
    dataset = read(tmp_path / "reviews", target="label")
    assert dataset.frame["label"].to_list() == ["neg"] * 3 + ["pos"] * 3
    assert dataset.frame["text"][4] == "a pos review, number 1"
