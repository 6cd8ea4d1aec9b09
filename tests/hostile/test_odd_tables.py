"""Parquet, Arrow, JSON lines and their like as they come from the world: what is wrong is said in words of the user."""

import io
import re
from itertools import pairwise
from pathlib import Path

import polars as pl
import pytest

from aias.core.errors import AiasError
from aias.data.errors import Unreadable
from aias.data.open_file import whole
from aias.data.read import read

FRAME = pl.DataFrame({
    "age": [i % 7 for i in range(1_000)], "note": [f"row {i} of many" for i in range(1_000)],
    "label": [i % 2 for i in range(1_000)],
})  # fmt: skip
FOREIGN = ("zstd", "thrift", "spec", "flatbuffer", "out-of-", "polars", "pyarrow", "ipc", "dtype", "vtable")
"""Words of the formats and of those who read them."""

PACKED = re.escape(b"\x28\xb5\x2f\xfd")
"""How a part that is packed by zstd begins."""


def parquet(frame=FRAME, **how) -> bytes:
    frame.write_parquet(held := io.BytesIO(), **how)
    return held.getvalue()


def arrow(frame=FRAME) -> bytes:
    frame.write_ipc(held := io.BytesIO(), compression="zstd")
    return held.getvalue()


def refusal(source) -> AiasError:
    with pytest.raises(Unreadable) as caught:
        read(source)
    assert caught.value.code == "data.unreadable"
    assert caught.value.hint
    assert not [word for word in FOREIGN if word in caught.value.message.casefold()], caught.value.message
    return caught.value


@pytest.mark.parametrize(("name", "kind"), [("a.parquet", "a Parquet"), ("a.arrow", "an Arrow")])
def test_a_file_with_a_wrong_ending_is_told_what_it_begins_with(give, name, kind):
    found = refusal(give("age,label\n1,2\n", name))
    assert f"is not {kind} file: it should begin with" in found.message
    assert "'age,labe'" in found.message
    assert "data.csv" in found.hint


def test_half_a_parquet_file_is_told_what_should_stand_at_its_end(give):
    found = refusal(give(parquet()[:2_000], "a.parquet"))
    assert "should end with 'PAR1'" in found.message
    assert "2,000 bytes" in found.message


def test_eight_bytes_are_no_parquet_file(give):
    assert "it has 8 bytes" in refusal(give(b"PAR1PAR1", "a.parquet")).message


def test_a_list_of_columns_that_is_longer_than_the_file_is_named_with_both_lengths(give):
    data = parquet()
    found = refusal(give(data[:-8] + b"\xff\xff\xff\x7f" + data[-4:], "a.parquet"))
    assert "2,147,483,647 bytes" in found.message
    assert f"{len(data):,} in all" in found.message


def test_an_encrypted_parquet_file_is_called_so(give):
    assert "encrypted" in refusal(give(b"PARE" + parquet()[4:-4] + b"PARE", "a.parquet")).message


@pytest.mark.parametrize(("write", "name"), [(parquet, "a.parquet"), (arrow, "a.arrow")])
def test_the_column_whose_values_are_damaged_is_named(give, write, name):
    data = write()
    parts = [found.start() for found in re.finditer(PACKED, data)]
    note = max(pairwise(parts), key=lambda part: part[1] - part[0])[0]  # its texts
    broken = data[:note] + bytes(each ^ 0xFF for each in data[note : note + 60]) + data[note + 60 :]
    assert "column `note`" in refusal(give(broken, name)).message


def test_a_damaged_list_of_columns_is_called_so(give):
    data = parquet()
    size = int.from_bytes(data[-8:-4], "little")
    found = refusal(give(data[: -8 - size] + b"\xff" * size + data[-8:], "a.parquet"))
    assert "the list of its columns" in found.message


def test_two_columns_of_one_name_are_named(give):
    pyarrow, writer = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    held = io.BytesIO()
    writer.write_table(pyarrow.Table.from_arrays([pyarrow.array([1]), pyarrow.array([2])], names=["age", "age"]), held)
    found = refusal(give(held.getvalue(), "a.parquet"))
    assert "two columns that are called `age`" in found.message
    assert "rename" in found.hint


def test_a_type_that_is_not_read_is_told_with_what_is(give):
    pyarrow, writer = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    held = io.BytesIO()
    writer.write_table(pyarrow.table({"sum": pyarrow.array([1, 2], pyarrow.decimal256(50, 2))}), held)
    found = refusal(give(held.getvalue(), "a.parquet"))
    assert "that is not read" in found.message
    assert "float64" in found.hint


@pytest.mark.parametrize("text", [
    '{"say": "cut \\ud83d", "n": 1}\n{"say": "whole \\ud83d\\ude00, a \\\\ud800", "n": 2}\n',
    '[{"say": "cut \\ud83d", "n": 1}, {"say": "whole \\ud83d\\ude00, a \\\\ud800", "n": 2}]',
])  # fmt: skip
def test_half_a_surrogate_pair_in_json_is_read_as_no_character_and_told(give, text):
    found = read(give(text, "a.jsonl"))
    assert found.frame["say"].to_list() == ["cut \ufffd", "whole 😀, a \\ud800"]
    assert any("line 1, `\\ud83d` is half of a surrogate pair" in note.message for note in found.notes)


def test_half_a_pair_mends_nothing_else_that_is_wrong(give):
    assert "line 2" in refusal(give('{"a": "\\ud800"}\n{"a": 1', "a.jsonl")).message


def test_surrogates_written_one_by_one_as_bytes_are_utf_8_all_the_same(give):
    say = "größe \ud83d\ude00 and \ud800 alone".encode("utf-8", "surrogatepass")
    found = read(give(b"say,n\n" + say + b",1\nso,2\n", "a.csv"))
    assert found.frame["say"].to_list()[0] == "größe 😀 and \ufffd alone"
    assert any("1 of them stood alone" in note.message for note in found.notes)


@pytest.mark.parametrize("value", ["plain words here", '"quoted, with a comma"'])
def test_a_file_of_one_column_is_one_column_whatever_its_values_hold(give, value):
    found = read(give("text\n" + "".join(f"{value[:-1]}{i}{value[-1]}\n" for i in range(30)), "a.csv"))
    assert found.schema.names == ("text",)
    assert found.rows == 30


def test_a_file_of_one_column_has_nothing_to_learn_from(give):
    found = read(give("text\n" + "".join(f"some words {i}\n" for i in range(30)), "a.csv"), target="text")
    assert [field.role for field in found.schema] == ["target"]


class Growing(io.FileIO):
    """A file that somebody writes to while it is read."""

    def read(self, size=-1):
        found = super().read(size)
        with Path(self.name).open("ab") as other:
            other.write(b"9,9\n")
        return found


def test_a_file_that_grows_while_it_is_read_is_refused(give):
    path = give("a,b\n1,2\n", "a.csv")
    with Growing(path) as file, pytest.raises(Unreadable, match="changed while it was read: it had 8 bytes and has 12"):
        whole(file, "a.csv")
    with path.open("rb") as file:
        assert whole(file, "a.csv") == b"a,b\n1,2\n9,9\n"


class Counting(io.FileIO):
    """A file that knows the most that was asked of it: so much room is made."""

    most = 0

    def read(self, size=-1):
        self.most = max(self.most, size)
        return super().read(size)


def test_no_more_room_is_made_than_a_file_takes(give):
    with Counting(give("a,b\n1,2\n", "a.csv")) as file:
        assert whole(file, "a.csv") == b"a,b\n1,2\n"
        assert file.most == 9
