"""Texts in every encoding, in two at once, or in none."""

import numpy as np
import polars as pl
import pytest
from test_odd_files import refused, said

from aias.data.errors import Unreadable
from aias.data.read import read


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


@pytest.mark.parametrize(("written", "named", "hint"), [
    ("utf-8", "utf-16", "it is UTF-8"), ("utf-8", "utf-32", "it is UTF-8"),
    ("utf-16-le", "utf-16", "name utf-16-le or utf-16-be"), ("utf-32-be", "utf-32", "name utf-32-le or utf-32-be"),
])  # fmt: skip
def test_what_does_not_say_which_byte_comes_first_is_refused(give, written, named, hint):
    with pytest.raises(Unreadable, match=f"is not in {named}: UTF-.. stream does not start") as refusal:
        read(give("name,age\nann,3\nbob,4\n".encode(written)), encoding=named)
    assert refusal.value.hint.startswith(hint)


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
