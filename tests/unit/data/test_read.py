import os
import shutil
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aias.core.errors import BadValue
from aias.core.schema import Field, Schema, SchemaMismatch
from aias.data.documents import folder_names
from aias.data.errors import NoSuchFile, Unreadable
from aias.data.read import read

ROWS = [
    {"age": 39, "city": "Oslo", "ok": True},
    {"age": None, "city": "Rome", "ok": False},
    {"age": 3.5, "city": None},
] * 4


def test_every_kind_of_table_in_memory_gives_the_same_dataset():
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    columns = {name: [row.get(name) for row in ROWS] for name in ROWS[0]}
    frame = pl.DataFrame(columns, strict=False)
    sources = [ROWS, columns, frame, frame.lazy(), pandas.DataFrame(columns), pyarrow.table(columns), frame.to_arrow()]
    digests = [read(source).digest for source in sources]
    assert len(set(digests)) == 1, digests


def test_a_column_without_a_name_is_called_as_in_a_csv_file_and_told_of(tmp_path):
    pandas = pytest.importorskip("pandas")
    rows = [{"c1": 1.5, "": "x", "column_1": "z"}, {"c1": 2.5, "": "y", "column_1": "z"}]
    frame = pl.DataFrame(rows)
    frame.write_parquet(tmp_path / "t.parquet")
    frame.write_ndjson(tmp_path / "t.jsonl")
    frame.write_csv(tmp_path / "t.csv")
    files = [tmp_path / f"t.{each}" for each in ("parquet", "jsonl", "csv")]
    for source in [rows, frame, pandas.DataFrame(rows), dict(frame.to_dict(as_series=False)), *files]:
        found = read(source)
        assert found.schema.names == ("c1", "c1_2", "column_1")
        assert "column 2 has no name; it is now called `c1_2`" in found.notes[0].message


def test_a_column_without_a_name_is_told_of_in_excel_and_arff_too(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [["c1", None, "column_1"], *[[i * 0.5, "xy"[i % 2], i % 3] for i in range(8)]]:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    rows = "".join(f"{i * 0.5},{'xy'[i % 2]},{i % 3}\n" for i in range(8))
    declared = "@attribute c1 numeric\n@attribute '' {x,y}\n@attribute column_1 numeric\n"
    (tmp_path / "t.arff").write_text(f"@relation r\n{declared}@data\n{rows}")
    for name in ("t.xlsx", "t.arff"):
        found = read(tmp_path / name)
        assert found.schema.names == ("c1", "c1_2", "column_1")
        assert f"`{name}`: column 2 has no name; it is now called `c1_2`" in [note.message for note in found.notes]


def test_a_name_that_is_repeated_in_excel_is_told_of_as_in_a_csv_file(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [["Report"], [], ["a", "a_1", "a"], *[[i * 0.5, i % 3, i % 5] for i in range(8)]]:
        book.active.append(row)
    book.save(tmp_path / "t.xlsx")
    book.active.delete_rows(1, 2)
    book.save(tmp_path / "u.xlsx")
    for name in ("t.xlsx", "u.xlsx"):
        found = read(tmp_path / name)
        assert found.schema.names == ("a", "a_1", "a_2")
        assert f"`{name}`: a second column called `a` is now called `a_2`" in [note.message for note in found.notes]
    book.active.delete_cols(2)
    book.save(tmp_path / "v.xlsx")
    assert read(tmp_path / "v.xlsx").schema.names == ("a", "a_2")


def test_pandas_is_read_without_pyarrow(monkeypatch):
    pandas = pytest.importorskip("pandas")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    frame = pandas.DataFrame(
        {
            "number": [1.0, None, 3.0, 4.5, 5.0],
            "whole": pandas.array([1, None, 3, 4, 4], dtype="Int64"),
            "text": ["a", None, "b", "b", "b"],
            "level": pandas.Categorical(["x", "y", None, "x", "x"]),
            "at": pandas.to_datetime(["2024-01-01", None, "2024-01-02", "2024-01-03", "2024-01-04"]),
            7: [True, False, True, True, True],
        }
    )
    dataset = read(frame)
    assert dataset.schema.names == ("number", "whole", "text", "level", "at", "7")
    assert [field.kind for field in dataset.schema] == ["number", "number", "category", "category", "time", "category"]
    assert dataset.frame.null_count().row(0) == (1, 1, 1, 1, 1, 0)


def test_an_index_with_a_name_is_told_of():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"user": [1, 2, 2], "x": [3, 4, 5]}).set_index("user")
    assert any("reset_index" in note.message for note in read(frame).notes)


def test_a_column_or_a_row_by_itself_is_no_table_and_told_how_to_be_one():
    for series in (pl.Series("x", [1.0]), pytest.importorskip("pandas").Series({"x": 1.0})):
        with pytest.raises(Unreadable, match="a Series is not a table") as caught:
            read(series)
        assert "to_frame" in caught.value.hint
    with pytest.raises(Unreadable, match="`x` is of type float, not a list") as caught:
        read({"x": 1.0})
    assert caught.value.hint == "one row is a list of one dict"


def test_an_array_has_numbered_columns():
    dataset = read(np.array([[1.0, 2.0], [3.0, np.nan], [5.0, 7.0]]))
    assert dataset.schema.names == ("x0", "x1")
    assert np.isnan(dataset.values("x1")[1])


def test_mixed_values_become_the_texts_that_json_would_show():
    dataset = read([{"v": 1}, {"v": "1"}, {"v": 2.0}, {"v": True}, {"v": [1]}])
    assert dataset.frame["v"].to_list() == ["1", "1", "2", "true", "[1]"]


def test_decimals_durations_and_zoned_times_become_plain_ones():
    zone = timezone(timedelta(hours=2))
    rows = [{"d": Decimal("1.5"), "t": timedelta(minutes=2), "at": datetime(2024, 1, 1, 1, tzinfo=zone)}, {"d": 3}]
    assert read(rows).frame.rows() == [(1.5, 120.0, datetime(2023, 12, 31, 23)), (3.0, None, None)]


def test_half_a_character_is_refused():
    with pytest.raises(Unreadable, match="not Unicode"):
        read([{"a": "\ud800"}])


def test_a_file_under_a_schema_is_read_as_the_schema_says(tmp_path):
    first = read({"zip": ["02134", "10001"] * 5, "n": ["1", "?"] * 5, "y": ["a", "b"] * 5}, target="y")
    path = tmp_path / "other.csv"
    path.write_text("extra,n,zip\n1,3,02134\n2,?,7\n")
    second = read(path, schema=first.schema)
    assert second.frame["zip"].to_list() == ["02134", "7"]
    assert second.frame["n"].to_list() == [3.0, None]
    assert second.frame["y"].null_count() == 2
    assert second.schema["extra"].role == "ignored"
    assert any("extra" in note.message for note in second.notes)


def test_a_file_without_a_header_takes_the_names_of_its_schema(tmp_path):
    train, test = tmp_path / "train.csv", tmp_path / "test.csv"
    train.write_text("25, Private, <=50K\n38, State, >50K\n" * 5)
    test.write_text("25, ?, <=50K.\n38, Private, >50K.\n")
    first = read(train, target="c2")
    second = read(test, schema=first.schema)
    assert second.schema.names == ("c0", "c1", "c2")
    assert second.rows == 2
    assert second.frame["c1"].to_list() == ["?", "Private"]


def test_names_may_be_given(tmp_path):
    path = tmp_path / "bare.csv"
    path.write_text("1,a\n2,b\n")
    assert read(path, names=["n", "letter"]).frame.rows() == [(1.0, "a"), (2.0, "b")]


def test_a_target_given_by_name_finds_the_header(tmp_path):
    path = tmp_path / "all_text.csv"
    path.write_text("Some long remark of ours: what was it?,kind\nfirst remark,good\nsecond remark,bad\n")
    assert read(path, target="kind").rows == 2


def test_a_text_longer_than_any_is_read_as_far_as_that_to_learn_from_and_to_answer(monkeypatch):
    monkeypatch.setattr("aias.data.text_files.long_texts.TEXT_CHARS_MAX", 100)
    rows = {"note": [*[f"a note of some words, {row} of them" for row in range(50)], "ж" * 101]}
    learned = read(rows)
    answered = read(rows, schema=Schema((Field("note", "text"),)))
    for each in (learned, answered):
        assert each.column("note").to_list() == [*rows["note"][:-1], "ж" * 100]
        assert [note.name for note in each.notes if note.level == "warning"] == ["data.long-text"]
    assert learned.digest == answered.digest


def test_columns_that_a_schema_wants_and_a_file_lacks_are_named():
    first = read({"a": ["p", "q"] * 5, "b": ["x", "y"] * 5})
    with pytest.raises(SchemaMismatch, match="`b`"):
        read({"a": ["p"]}, schema=first.schema)


def test_a_value_that_does_not_fit_its_schema_is_named_with_its_row():
    first = read({"a": [1.5, 2.0] * 5, "b": ["x", "y"] * 5})
    with pytest.raises(BadValue, match="row 1, field `a`: 'old' is not a number"):
        read({"a": ["1", "old"], "b": ["x", "y"]}, schema=first.schema)


def test_a_mistyped_target_is_corrected():
    with pytest.raises(SchemaMismatch) as caught:
        read({"label": ["a", "b"], "x": [1, 2]}, target="lable")
    assert "did you mean `label`" in caught.value.hint


def test_a_name_is_found_whatever_its_case():
    with pytest.raises(SchemaMismatch) as caught:
        read({"age": [1, 2], "Diagnosis": [0, 1]}, target="DIAGNOSIS")
    assert caught.value.hint == "did you mean `Diagnosis`?"


def test_a_column_that_a_schema_wants_is_looked_for_under_names_like_its_own():
    schema = read({"age": [1, 2, 3], "mean area": [4, 5, 7], "y": [0, 1, 0]}, target="y").schema
    with pytest.raises(SchemaMismatch) as caught:
        read({"age": [1, 2], "mean_area": [4, 5], "y": [0, 1]}, schema=schema)
    assert caught.value.hint == "did you mean `mean_area`?"
    found = read({"age": [1, 2], "mean area": [4, 5], "Y": [0, 1]}, schema=schema)
    assert any("Y (did you mean `y`?)" in note.message for note in found.notes)


def test_a_column_to_split_by_is_corrected():
    schema = read({"patient": [1, 2, 3], "y": [0, 1, 0]}).schema
    with pytest.raises(SchemaMismatch) as caught:
        schema["pateint"]
    assert caught.value.hint == "did you mean `patient`?"


def test_a_zone_that_cannot_be_makes_no_time():
    found = read([{"at": f"2024-01-{1 + i % 28:02}T00:00:00+25:00", "y": i % 2} for i in range(60)])
    assert found.schema["at"].kind == "category"
    rows = [{"at": f"2024-01-{1 + i % 28:02}T00:00:00+0{i % 9}:00", "y": i % 2} for i in range(400)]
    rows[7]["at"] = "2024-01-08T00:00:00+01:75"
    found = read(rows)
    assert found.schema["at"].kind == "time"
    assert found.frame["at"].null_count() == 1
    assert any("1 value is no time and is read" in note.message and "+01:75" in note.message for note in found.notes)


def test_a_watch_hears_every_note():
    heard = []
    dataset = read({"a": [1.0] * 9, "b": ["x", "y", "y"] * 3}, watch=heard.append)
    assert tuple(heard) == dataset.notes != ()


def test_a_digest_is_of_the_content():
    base = {"a": [1.0, 2.0, None], "b": ["x", None, "z"]}
    digest = read(base).digest
    chunked = pl.concat([pl.DataFrame(base)[:1], pl.DataFrame(base)[1:]], rechunk=False)
    assert read(chunked).digest == digest
    assert read(base | {"a": [1.0, 2.0, 3.0]}).digest != digest
    assert read({"c": base["a"], "b": base["b"]}).digest != digest
    assert read({"a": base["a"], "b": ["x", "", "z"]}).digest == digest, "a blank is missing"
    assert read({"a": base["a"], "b": ["xz", None, ""]}).digest != digest


def test_rows_are_taken_in_the_order_asked():
    dataset = read({"a": [1.0, 2.5, 7.0], "b": ["x", "y", "z"]}).take(np.array([2, 0]))
    assert dataset.frame.rows() == [(7.0, "z"), (1.0, "x")]


@pytest.mark.parametrize("begin", [0, 1])
def test_numbers_that_count_the_columns_are_their_names(give, begin):
    names = [str(begin + at) for at in range(3)]
    dataset = read(
        give(f"{','.join(names)}\n" + "".join(f"{i % 7},{i % 5},{i % 2}\n" for i in range(30))), target=names[2]
    )
    assert (dataset.schema.names, dataset.rows) == (tuple(names), 30)
    assert read(give("".join(f"{i},{i + 1},{i + 2}\n" for i in range(1, 30)))).rows == 29


def test_what_goes_away_while_a_folder_is_looked_through_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("good/1.txt", "good/2.txt", "gone/1.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("a text")
    looked = os.scandir

    def vanishing(path: Path | str | int) -> object:
        if str(path) == str(tmp_path / "gone"):
            shutil.rmtree(path, ignore_errors=True)
        return looked(path)

    monkeypatch.setattr("os.scandir", vanishing)
    assert folder_names(tmp_path) == ["good/1.txt", "good/2.txt"]


def test_an_address_is_no_file() -> None:
    with pytest.raises(NoSuchFile) as refused:
        read("https://example.org/rows.csv")
    assert refused.value.hint == "download it, and give the file"


def test_of_a_folder_the_nearest_files_are_named_first(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("a/b.csv", "z.csv"):
        (tmp_path / name).write_text("x\n1\n")
    with pytest.raises(Unreadable) as refused:
        read(tmp_path)
    assert refused.value.hint == f"name one: {tmp_path}/z.csv, {tmp_path}/a/b.csv"
