"""Files that are there whole, or not at all."""

from pathlib import Path

import pytest

from aias.core.atomic_files import read_cached, write_atomically, write_cached


def test_what_cannot_be_written_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "cache.json"
    path.mkdir()

    for _ in range(3):
        write_cached(path, [1, 2])
    with pytest.raises(IsADirectoryError):
        write_atomically(path, b"held")
    assert list(tmp_path.iterdir()) == [path]
    path.rmdir()
    write_cached(path, [1, 2])
    assert read_cached(path, list[int]) == [1, 2]
    assert list(tmp_path.iterdir()) == [path]
