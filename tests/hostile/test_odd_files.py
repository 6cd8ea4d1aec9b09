"""Files as they come from the world: each is read rightly or refused with a sentence and a hint."""

import bz2
import contextlib
import functools
import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from aias.core.errors import AiasError
from aias.data import unpack
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


def test_nuls_are_taken_out_and_told(give):
    dataset = read(give(b"name,age\n" + b"an\0na,3\nbob,4\nlongername,55\n" * 20))
    assert dataset.frame["name"][0] == "anna"
    assert "20 NUL characters" in said(dataset)


def test_bytes_that_are_no_text_are_refused(give):
    assert "not a text file" in refused(give(bytes(range(256)) * 20))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_a_table_is_the_same_in_every_unicode_encoding(give, encoding):
    dataset = read(give("name,age\nZoë,3\nBjörk,4\n".encode(encoding)))
    assert dataset.frame.to_dict(as_series=False) == {"name": ["Zoë", "Björk"], "age": [3.0, 4.0]}


def test_latin_1_is_read_and_told(give):
    dataset = read(give("name,age\nZoë,3\nBjörk,4\n".encode("latin-1")))
    assert dataset.frame["name"].to_list() == ["Zoë", "Björk"]
    assert "latin-1" in said(dataset)


MEALS = "text,label\n" + "".join(
    f"这家店的味道{word}好吃，{word}喜欢,{'是否'[n % 2]}\n" for n, word in enumerate("很太真最非不" * 5)
)


@pytest.mark.parametrize("encoding", ["gbk", "gb18030", "utf-16", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_chinese_is_the_same_in_every_encoding(give, encoding):
    dataset = read(give(MEALS.encode(encoding)))
    assert dataset.frame["text"][0] == "这家店的味道很好吃，很喜欢"
    assert dataset.encoding is not None
    assert dataset.encoding in said(dataset)


def test_a_file_without_a_suffix_is_known_by_its_lines_whatever_they_are_in(give):
    assert read(give(MEALS.encode("gbk"), "meals.txt")).schema.names == ("text", "label")


def test_an_encoding_that_is_named_is_taken(give):
    dataset = read(give(MEALS.encode("gbk")), encoding="GBK")
    assert dataset.frame["text"][0] == "这家店的味道很好吃，很喜欢"
    assert dataset.encoding == "GBK"
    assert [note.level for note in dataset.notes if note.name == "data.decoded"] == ["info"]


def test_a_parquet_file_knows_its_encoding_itself(tmp_path):
    path = tmp_path / "meals.parquet"
    pl.DataFrame({"text": ["很好", "不好"], "n": [1, 2]}).write_parquet(path)
    assert read(path, encoding="gbk").frame["text"].to_list() == ["很好", "不好"]


@pytest.mark.parametrize(
    ("data", "encoding", "message", "hint"),
    [
        (MEALS.encode(), "gb18030", "not in gb18030, the first fault is on line 2", "it is UTF-8"),
        (MEALS.encode("gbk"), "shift_jis", "not in shift_jis", "gb18030`, or `encoding=`, if it says “这家店"),
        (MEALS.encode("gbk"), "gkb", "no encoding `gkb`", "did you mean `gbk`?"),
        (MEALS.encode("gbk"), "rot13", "no encoding `rot13`", "gb18030"),
        (MEALS.encode("gbk"), "idna", "no encoding `idna`", "gb18030"),
    ],
)
def test_an_encoding_that_it_is_not_in_is_refused_with_what_it_may_be(give, data, encoding, message, hint):
    with pytest.raises(Unreadable, match=message) as caught:
        read(give(data), encoding=encoding)
    assert hint in caught.value.hint


def test_a_text_that_may_be_in_several_encodings_is_refused_with_what_it_would_say_in_each(give):
    with pytest.raises(Unreadable, match="line 2") as caught:
        read(give("word,label\nżółw,a\n".encode("cp1250")))
    assert "`--encoding windows-1250`, or `encoding=`, if it says “żółw,a”" in caught.value.hint


def test_two_encodings_in_one_file_are_refused(give):
    assert "line 2" in refused(give(MEALS.encode("gbk") * 3 + MEALS.encode()))


def test_a_few_broken_bytes_among_much_chinese_are_told(give):
    raw = MEALS.encode("gbk")
    dataset = read(give(raw + raw.replace(b"\n", b"\xff\n", 1)))
    assert "1 broken gb18030 characters, the first on line 32" in said(dataset)


def test_what_is_no_language_is_refused(give):
    odd = bytes(np.random.default_rng(0).choice([*range(48, 256)], 2_000).tolist())
    assert "cannot be told" in refused(give(b"a,b\n" + b",1\n".join(odd[at : at + 20] for at in range(0, 2_000, 20))))


def test_an_encoding_is_found_where_most_lines_are_ascii(give):
    raw = "\n".join(["text,label", *["plain words,yes"] * 100_000, *["очень хорошо,да", "плохо и дорого,нет"] * 20])
    assert read(give(raw.encode("cp1251"))).frame["text"][-1] == "плохо и дорого"


def test_much_western_text_is_latin_1(give):
    line = "Größe,hübsch\nçà et là,déçu\nniño,está aquí\n"
    dataset = read(give(f"a,b\n{line * 50}".encode("latin-1")))
    assert dataset.frame["b"][0] == "hübsch"


def test_a_broken_character_in_much_utf_8_does_not_spoil_the_rest(give):
    dataset = read(give(b"name,age\n" + "Zoë,3\n".encode() * 50 + b"Bj\xffrk,4\n"))
    assert dataset.frame["name"][0] == "Zoë"
    assert dataset.frame["name"][50] == "Bj\ufffdrk"
    assert "line 52" in said(dataset)


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
    assert "lines 502" in said(dataset)
    assert "lines 503" in said(dataset)
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


def test_an_xz_file_that_asks_for_gigabytes_to_be_unpacked_is_refused(give):
    data = lzma.compress(WHOLE)
    header = bytearray(data[12 : 12 + 4 * data[12] + 4])  # the first block's
    header[4] = 40  # how far it may refer back: 4 GiB
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    with pytest.raises(TooLarge, match="asks for more than 256 MiB") as caught:
        read(give(data[:12] + header + data[12 + len(header) :], "data.csv.xz"))
    assert "gzip" in caught.value.hint


@pytest.mark.parametrize(
    ("pack", "suffix"),
    [(gzip.compress, "gz"), (bz2.compress, "bz2"), (functools.partial(lzma.compress, preset=0), "xz")],
)
def test_a_packed_bomb_is_refused_before_it_is_unpacked(give, monkeypatch, pack, suffix):
    monkeypatch.setattr(unpack, "_SLACK", 1 << 20)
    monkeypatch.setattr(unpack, "UNPACKED_BYTES_MAX", 1 << 20)
    bomb = give(pack(b"0" * 40_000_000), f"bomb.csv.{suffix}")
    assert "unpacks to more than" in refused(bomb, TooLarge)


def test_what_is_packed_in_a_format_that_is_not_read_is_told_by_its_name(give):
    for begins, name in ((b"\x28\xb5\x2f\xfd", "zstd"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07\x01", "RAR")):
        assert f"is packed as {name}" in refused(give(begins + b"\0" * 50, "a.csv"))
    assert read(give("BZhour,b\n1,2\n3,4\n5,6\n")).schema.names == ("BZhour", "b")


def test_a_zip_bomb_is_refused_before_it_is_unpacked(give, monkeypatch):
    monkeypatch.setattr(unpack, "_SLACK", 1 << 20)
    bomb = give(zipped(**{"data.csv": b"0" * 200_000_000}), "bomb.zip")
    assert "unpacks to more than" in refused(bomb, TooLarge)


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


def test_names_in_an_archive_are_never_paths(give, tmp_path):
    dataset = read(give(zipped(**{"../../outside.csv": b"age,label\n3,yes\n4,no\n"}), "slip.zip"))
    assert dataset.rows == 2
    assert [path.name for path in tmp_path.rglob("*")] == ["slip.zip"]
    assert not (tmp_path.parent.parent / "outside.csv").exists()


def test_an_archive_of_several_files_asks_which(give):
    path = give(zipped(**{"a.csv": b"x,y\n1,2\n", "in/b.csv": b"x,y\n3,4\n", "README.md": b"hello"}), "two.zip")
    with pytest.raises(Unreadable, match="holds 2 data files") as caught:
        read(path)
    assert "two.zip:in/b.csv" in caught.value.hint
    assert read(f"{path}:in/b.csv").frame["x"].to_list() == [3.0]


def test_an_archive_says_what_it_holds_when_the_name_is_wrong(give):
    path = give(zipped(**{"a.csv": b"x,y\n1,2\n"}), "one.zip")
    with pytest.raises(NoSuchFile) as caught:
        read(f"{path}:b.csv")
    assert "a.csv" in caught.value.hint


def test_an_encrypted_archive_is_refused(give):
    data = bytearray(zipped(**{"a.csv": b"x,y\n1,2\n"}))
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert "cannot be unpacked" in refused(give(bytes(data), "locked.zip"))


def test_archives_in_archives_have_an_end(give):
    data = b"x,y\n1,2\n"
    for _ in range(6):
        data = gzip.compress(data)
    refused(give(data, "deep.csv.gz"))


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
    assert "line 2 is a int" in refused(give('{"a": 1}\n2\n', "rows.jsonl"))


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
