from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aias.core.errors import StorageFailed
from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.rows import RowEncoder
from aias.training.selection.configuration import ALL
from aias.training.table import Part, Table

FOLDS = np.array([-1, -1, -1, 0, 0, 1, -1, 1], np.int16)
BLOCKS = np.array([0, 0, 0, 1, 1, 2, 2, 2], np.int16)  # the last but one is a copy of an earlier row


def table(blocks: np.ndarray | None) -> Table:
    values = {"a": np.arange(8.0)}
    encoder = RowEncoder.fit([Field("a", "number")], values)
    task = Task("y", "regression", "rmse")
    return Table(task, encoder, Part(encoder.columns(values, 8), np.arange(8.0)), FOLDS, blocks)


def test_a_fold_is_fitted_on_all_that_does_not_judge_in_it() -> None:
    held = table(None)
    assert held.inside(0).tolist() == [0, 1, 2, 5, 6, 7] and held.outside(0).tolist() == [3, 4]
    assert held.inside_rows == 6 and held.together == (0, 1)


def test_under_time_it_is_fitted_on_what_came_before() -> None:
    held = table(BLOCKS)
    assert held.inside(0).tolist() == [0, 1, 2] and held.outside(0).tolist() == [3, 4]
    assert held.inside(1).tolist() == [0, 1, 2, 3, 4] and held.outside(1).tolist() == [5, 7]
    assert held.inside(ALL).tolist() == list(range(8))
    assert held.inside_rows == 4 and held.together == (1,)


def test_a_holdout_of_few_of_many_rows_has_seen_nearly_all() -> None:
    held = table(None)
    large = replace(held, folds=np.repeat([-1, 0], [95, 5]).astype(np.int16))
    assert large.seen_whole and not replace(large, blocks=np.repeat([0, 1], [95, 5]).astype(np.int16)).seen_whole
    assert not replace(held, folds=np.repeat([-1, 0], [90, 10]).astype(np.int16)).seen_whole
    assert not replace(held, folds=(np.arange(40) % 20).astype(np.int16)).seen_whole  # of which a row has seen 19


def test_a_table_that_was_stored_is_the_same(tmp_path: Path) -> None:
    for place, blocks in enumerate((None, BLOCKS)):
        held = table(blocks)
        held.save(tmp_path / str(place))
        loaded = Table.load(tmp_path / str(place))
        assert replace(loaded).digest == held.digest  # read again, not remembered
        assert [loaded.inside(fold).tolist() for fold in (0, 1)] == [held.inside(fold).tolist() for fold in (0, 1)]
    assert table(None).digest != table(BLOCKS).digest


def test_what_is_mapped_is_not_written_over(tmp_path: Path) -> None:
    first = table(None)
    mapped = first.mapped(tmp_path)
    assert mapped.digest == first.digest and isinstance(mapped.whole.y, np.memmap)
    other = replace(first, whole=replace(first.whole, y=first.whole.y + 1))
    other.save(tmp_path)
    np.testing.assert_array_equal(mapped.whole.y, first.whole.y)
    np.testing.assert_array_equal(Table.load(tmp_path).whole.y, other.whole.y)


def test_a_full_disk_is_told_and_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object, **__: object) -> None:
        raise OSError("36000 requested and 25584 written")

    monkeypatch.setattr(np, "save", short)
    with pytest.raises(StorageFailed, match=r"could not write .*25584 written"):
        table(None).mapped(tmp_path / "table")
    assert not list(tmp_path.iterdir())


def test_a_table_that_lies_there_whole_is_not_written_again(tmp_path: Path) -> None:
    table(None).save(tmp_path)
    before = (tmp_path / "y.npy").stat().st_ino
    table(None).save(tmp_path)
    assert (tmp_path / "y.npy").stat().st_ino == before
