"""Files that are packed, and archives: bombs, lies and nests."""

import bz2
import functools
import gzip
import lzma
import zlib

import pytest
from test_odd_files import WHOLE, refused, zipped

from aias.data import unpack
from aias.data.errors import NoSuchFile, TooLarge, Unreadable
from aias.data.read import read


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
