"""Files as they come from the world: each is read rightly or refused with a sentence and a hint."""

import bz2
import contextlib
import gzip
import io
import lzma
import os
import tarfile
import zipfile
from pathlib import Path

import polars as pl
import pytest

from aias.core.errors import AiasError
from aias.data.errors import NoSuchFile, TooLarge, Unreadable
from aias.data.read import read


def said(dataset) -> str:
    return "\n".join(note.message for note in dataset.notes)


def refused(source, kind=Unreadable) -> str:
    with pytest.raises(kind) as caught:
        read(source)
    assert caught.value.hint, "every refusal says what to do"
    return caught.value.message


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


@pytest.mark.parametrize(
    "name", ["data.csv", "data.jsonl", "data.parquet", "data.arff", "data.xlsx", "data.arrow", "x"]
)
def test_an_empty_file_is_called_empty(give, name):
    assert "is empty" in refused(give(b"", name))


@pytest.mark.parametrize("blank", ["\n\n\n", "   \n \n", "\ufeff"])
def test_a_file_of_blanks_is_refused(give, blank):
    refused(give(blank))


def test_excels_line_about_the_separator_is_no_header(give):
    dataset = read(give("sep=;\na;b\n1,5;x\n2,5;y\n"))
    assert dataset.schema.names == ("a", "b")
    assert dataset.frame["a"].to_list() == [1.5, 2.5]


def test_headers_between_the_rows_of_files_put_together_are_left_out_and_told(give):
    rows = "".join(f"{i},{i % 3}.5,word\n" for i in range(30))
    dataset = read(give(f"a,b,c\n{rows}a,b,c\n{rows}a, b ,c\na,7,8\n"))
    assert dataset.rows == 61
    assert "2 rows repeat the header and are left out" in said(dataset)


def test_a_web_page_in_place_of_a_table_is_called_so(give):
    assert "is a web page" in refused(give("\n<!DOCTYPE html><html><body>Not, found</body></html>", "data.csv"))


def test_a_header_without_rows_is_refused(give):
    assert "no rows" in refused(give("age,label\n"))


def test_one_column_is_a_table(give):
    dataset = read(give("age\n" + "\n".join(str(i * i) for i in range(30))))
    assert (dataset.schema.names, dataset.rows) == (("age",), 30)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end_is_one(give, end):
    dataset = read(give(end.join(["age,label", "3,yes", "4,no", "5,yes", ""])))
    assert dataset.frame.to_dict(as_series=False) == {"age": [3.0, 4.0, 5.0], "label": ["yes", "no", "yes"]}


def test_mixed_line_ends_are_read(give):
    dataset = read(give("age,label\r\n3,yes\n4,no\r5,yes\r\n"))
    assert dataset.frame["age"].to_list() == [3.0, 4.0, 5.0]


def test_an_unclosed_quote_is_found_with_its_line(give):
    rows = "".join(f'{i},"value, {i}"\n' for i in range(50))
    message = refused(give(f'number,text\n{rows}51,"never closed\n52,"more"\n53,"more, and more"\n'))
    assert "line 52" in message
    assert "never closed" in message


def test_quotes_inside_values_do_not_join_rows(give):
    dataset = read(give('size\tlabel\n5" pipe\tbig\n"hello\tsmall\n3" pipe\tsmall\nnone so\tbig\n', "data.tsv"))
    assert dataset.frame["size"].to_list() == ['5" pipe', '"hello', '3" pipe', "none so"]


def test_quoted_values_may_hold_separators_line_ends_and_quotes(give):
    dataset = read(give('text,label\n"a, ""b""\nc",yes\n"d",no\n'))
    assert dataset.frame["text"].to_list() == ['a, "b"\nc', "d"]


def test_a_row_with_too_many_values_is_found_with_its_line(give):
    assert "line 3 has 3 values where 2 belong" in refused(give("a,b\n1,2\n1,2,3\n4,5\n"))


def test_few_ragged_rows_among_many_are_left_out_and_told(give):
    dataset = read(give("a,b\n" + "1,2\n" * 500 + "1,2,3\n" + "4\n" + "5,6\n"))
    assert dataset.rows == 502
    assert "left out: line 502" in said(dataset)
    assert "missing: line 503" in said(dataset)
    assert dataset.frame["b"].null_count() == 1


def test_a_header_counts_for_more_than_lines_that_are_as_even_under_another_separator(give):
    rows = "".join(f'"item {i}; new";{i % 13},5;yes\n' for i in range(60))
    dataset = read(give(f"name;value;label\nshort, here\n{rows}tall, there\n"))
    assert dataset.schema.names == ("name", "value", "label")
    assert dataset.frame["value"].to_list()[1:3] == [0.5, 1.5]
    assert "2 rows have fewer than 3 values" in said(dataset)


def test_100_000_columns_are_refused_quickly(give):
    names = ",".join(f"c{i}" for i in range(100_000))
    assert "100,000 columns" in refused(give(f"{names}\n{names}\n"), TooLarge)


def test_a_single_line_of_10_megabytes_is_survived(give):
    assert read(give(b"x" * 10_000_000)).rows == 1
    assert "columns" in refused(give(b"1," * 5_000_000), TooLarge)


def test_a_text_of_a_megabyte_is_one_value(give):
    dataset = read(give("text,label\n" + "word " * 200_000 + ",yes\nshort one here,no\n"))
    assert len(dataset.frame["text"][0]) == 1_000_000


def test_a_quoted_text_longer_than_what_is_looked_at_first_divides_nothing(give):
    long = 'line\n""quoted"", comma\n' * 60_000
    rows = "".join(f"{i},plain,{'yes' if i % 2 else 'no'}\n" for i in range(20))
    dataset = read(give(f'a,note,y\n1,plain,no\n2,"{long}",yes\n{rows}'))
    assert dataset.schema.names == ("a", "note", "y")
    assert dataset.rows == 22
    assert dataset.frame["note"][1] == long.replace('""', '"').strip()


WHOLE = b"age,label\n" + b"".join(b"%d,yes\n" % (i * 7919 % 1000) for i in range(2000))


def parquet() -> bytes:
    out = io.BytesIO()
    pl.DataFrame({"age": list(range(1000))}).write_parquet(out)
    return out.getvalue()


def arrow() -> bytes:
    out = io.BytesIO()
    pl.DataFrame({"age": list(range(1000))}).write_ipc(out)
    return out.getvalue()


def excel() -> bytes:
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.append(["age"])
    book.active.append([3])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def tarred() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        info = tarfile.TarInfo("data.csv")
        info.size = len(WHOLE)
        archive.addfile(info, io.BytesIO(WHOLE))
    return out.getvalue()


WHOLES = {
    "data.csv.gz": lambda: gzip.compress(WHOLE),
    "data.csv.bz2": lambda: bz2.compress(WHOLE),
    "data.csv.xz": lambda: lzma.compress(WHOLE),
    "data.zip": lambda: zipped(**{"data.csv": WHOLE}),
    "data.tar.gz": tarred,
    "data.parquet": parquet,
    "data.arrow": arrow,
    "data.xlsx": excel,
}


@pytest.mark.parametrize("name", WHOLES)
@pytest.mark.parametrize("share", [0.03, 0.5, 0.9, 0.99])
def test_a_truncated_file_is_refused(give, name, share):
    whole = WHOLES[name]()
    refused(give(whole[: int(len(whole) * share)], name))


@pytest.mark.parametrize("name", WHOLES)
def test_the_same_file_whole_is_read(give, name):
    assert "age" in read(give(WHOLES[name](), name)).schema


@pytest.mark.parametrize("name", WHOLES)
def test_a_flipped_byte_never_escapes_as_a_foreign_error(give, name):
    whole = bytearray(WHOLES[name]())
    for place in range(0, len(whole), max(1, len(whole) // 60)):
        flipped = bytes(whole[:place]) + bytes([whole[place] ^ 0xFF]) + bytes(whole[place + 1 :])
        try:
            read(give(flipped, name))
        except AiasError as refusal:
            assert refusal.message


def test_a_folder_is_refused_with_what_it_holds(give, tmp_path):
    give("x,y\n1,2\n", "rows.csv")
    with pytest.raises(Unreadable, match="is a folder") as caught:
        read(tmp_path)
    assert "rows.csv" in caught.value.hint


def test_a_missing_file_is_refused_with_its_nearest_neighbour(give):
    path = give("x,y\n1,2\n", "reviews.csv")
    with pytest.raises(NoSuchFile) as caught:
        read(path.with_name("review.csv"))
    assert "did you mean `reviews.csv`" in caught.value.hint


def test_a_pipe_is_refused_without_waiting(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    assert "not a regular file" in refused(tmp_path / "pipe.csv")


def test_a_broken_line_of_json_is_found_with_its_number(give):
    assert "line 3: the JSON ends before" in refused(give('{"a": 1}\n{"a": 2}\n{"a": \n{"a": 4}\n', "rows.jsonl"))
    assert "line 2 is of type int" in refused(give('{"a": 1}\n2\n', "rows.jsonl"))


def test_json_of_great_depth_is_refused(give):
    refused(give("[" * 100_000, "deep.json"))


def test_numbers_beyond_float64_are_infinite_and_great_integers_lose_nothing_but_digits(give):
    dataset = read(give(f"big,label\n1e999,yes\n-1e999,no\n{2**64},yes\n{10**400},no\n"))
    assert dataset.frame["big"].to_list() == [float("inf"), float("-inf"), 2.0**64, float("inf")]
    dataset = read(give(f'{{"big": {2**64}}}\n{{"big": 3}}\n', "rows.jsonl"))
    assert dataset.frame["big"].to_list() == [2.0**64, 3.0]


def test_three_formats_of_dates_in_one_column_are_all_read(give):
    days = [f"2024-01-{d:02}" for d in range(1, 29)] + [f"{d:02}.02.2024" for d in range(1, 29)]
    days += [f"03/{d:02}/2024" for d in range(1, 29)]
    dataset = read(give("day,value\n" + "".join(f"{day},{i % 7}\n" for i, day in enumerate(days))))
    assert (dataset.schema["day"].kind, dataset.schema["day"].format) == ("time", "%m/%d/%Y|%d.%m.%Y")


ODD_NAMES = ["with space", 'with "quote"', "😀", "^.*$", "*", "v", "n", "a,b", "label."]


def test_names_of_columns_may_be_anything(give):
    header = ",".join('"' + name.replace('"', '""') + '"' for name in [*ODD_NAMES, ""])
    row = ",".join(["{}"] * 10)
    rows = "\n".join(row.format(*[f"w{(i * k) % 7}" for k in range(1, 11)]) for i in range(40))
    dataset = read(give(f"{header}\n{rows}\n"), target="*")
    assert dataset.schema.names == (*ODD_NAMES, "c9")
    assert dataset.schema["*"].role == "target"


def test_columns_of_the_same_name_are_kept_apart_and_told(give):
    dataset = read(give("age,age,age_2\n1,2,9\n3,4,8\n"))
    assert len(set(dataset.schema.names)) == 3
    assert "second column called `age`" in said(dataset)


@pytest.mark.parametrize("source", [3, None, object(), b"bytes", [1, 2], {"a": 3}, {"a": [1], "b": [1, 2]}, [], {}])
def test_what_is_no_table_is_refused(source):
    refused(source)


def test_a_file_of_one_column_may_hold_any_control_character(tmp_path: Path):
    path = tmp_path / "x.csv"
    path.write_bytes(b"\x01\x00\x1f\x00")
    with contextlib.suppress(AiasError):
        read(path)
    path.write_bytes(b"name\n" + b"some quite usual words\n" * 60 + b"a\x1fb\n")
    assert read(path).rows == 61
