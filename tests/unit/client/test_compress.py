"""`client/compress.py`: shares and sizes as people write them, and rows that are given."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aias.artifact.optimised import Gain
from aias.client.compress import Compressed, _sorted_out, compress, frontier_of
from aias.client.load.workload import rows_of
from aias.client.optimize import Optimized
from aias.compress.compress import Goals
from aias.core.errors import Damaged, NotFound, UserError
from aias.core.events import nobody
from aias.core.quantities import accepted_loss_of, bytes_of, share_of
from aias.core.schema import Field, SchemaMismatch
from aias.data.errors import BadSplit
from aias.training.parent import _grouping


def test_what_came_of_a_search_is_shown_in_a_line():
    model: Any = SimpleNamespace(ref="m@2")
    gain = Gain("rmse", 0.5, 0.25, 0.75, 900)
    frontier: Any = SimpleNamespace(verdict="nothing is worth it")

    assert repr(Compressed(model, False, frontier)) == "<Compressed m@2: nothing is worth it>"
    assert repr(Optimized(model, True, gain, ())) == f"<Optimized m@2: better, {gain}>"


@pytest.mark.parametrize(("text", "share"), [("0.5%", 0.005), ("1 %", 0.01), ("0.01", 0.01), (0.02, 0.02)])
def test_a_share_is_read(text, share):
    assert share_of(text) == pytest.approx(share)


def test_who_asks_for_a_loss_of_half_without_a_sign_is_asked_what_is_meant():
    with pytest.raises(UserError, match=r"a loss of 0\.5 is 50 % of the metric") as fault:
        accepted_loss_of("0.5")
    assert fault.value.hint == "write 0.5% or, if so much is meant, 50%"
    assert [accepted_loss_of(each) for each in ("50%", 0.5, "0.05")] == [0.5, 0.5, 0.05]


@pytest.mark.parametrize(
    ("text", "size"), [("5MB", 5_000_000), ("300 kB", 300_000), ("12", 12), (7, 7), ("1.5GB", 1.5e9)]
)
def test_a_size_is_read(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("text", ["", "-1%", "half", "5 percent", "1e3"])
def test_what_is_no_share_or_size_is_refused(text):
    with pytest.raises(UserError, match="not a share"):
        share_of(text)
    with pytest.raises(UserError, match="not a size"):
        bytes_of(text)


@pytest.mark.parametrize("read", [share_of, accepted_loss_of, bytes_of])
def test_true_is_no_number(read: Any) -> None:
    """It counted as 1: a loss of all there is."""
    with pytest.raises(UserError, match="True is not a"):
        read(True)


@pytest.mark.parametrize("split", [3, "time:day", "group:"])
def test_rows_of_an_imported_version_are_parted_by_groups_or_not_at_all(split: Any) -> None:
    with pytest.raises(BadSplit, match=f"cannot be split by {split!r}"):
        _grouping(split)


@pytest.mark.parametrize(
    ("wish", "said"),
    [({"latency_us": 0.0}, "latency of 0"), ({"size_bytes": 0}, "size of 0"), ({"max_loss": 0.0}, "loss of 0")],
)
def test_a_wish_that_nothing_could_meet_is_refused(wish, said):
    with pytest.raises(UserError, match=said):
        Goals(**wish)


def test_what_can_be_refused_without_a_row_is_refused_first() -> None:
    model: Any = object()  # whoever looks at it, or for its rows, fails

    with pytest.raises(NotFound, match="no technique `int9`") as fault:
        compress(model, techniques=("int8", "int9"))
    assert "distill, " in fault.value.hint
    with pytest.raises(UserError, match="a time budget of 0 s"):
        compress(model, time="0s")


def test_a_header_that_looks_like_none_is_known_by_the_columns_of_the_version(tmp_path: Path) -> None:
    inputs, target = (Field("💬 1", "text"),), Field("✅", "category", role="target")
    parent: Any = SimpleNamespace(ref="m@1", imported=False, manifest=SimpleNamespace(inputs=inputs, target=target))
    labelled, bare, other = (tmp_path / name for name in ("labelled.csv", "bare.csv", "other.csv"))
    labelled.write_text("💬 1,✅\n" + "👍 fine,good\n👎 not so,bad\n" * 9)
    bare.write_text("💬 1,n\n" + "👍 fine,3\n👎 not so,4\n" * 9)
    other.write_text("n,m\n" + "3,4\n" * 9)

    assert _sorted_out(parent, labelled, None, None, watch=nobody) == (labelled, None, False)
    assert _sorted_out(parent, bare, None, None, watch=nobody) == (None, bare, False)
    with pytest.raises(SchemaMismatch, match="💬 1"):
        _sorted_out(parent, other, None, None, watch=nobody)
    assert rows_of(labelled, [{"name": "💬 1", "kind": "text"}])[0] == {"💬 1": "👍 fine"}


def test_a_damaged_frontier_says_how_to_have_it_again(tmp_path: Path) -> None:
    model: Any = SimpleNamespace(ref="m@1", registry=SimpleNamespace(home=tmp_path), folder=tmp_path / "version")
    hints = {"version": "restore the version's folder", "frontiers": "`aias compress m@1` writes it anew"}
    for folder, hint in hints.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / ("frontier.json" if folder == "version" else "m@1.json")).write_bytes(b'{"ref": 1')
        with pytest.raises(Damaged) as fault:
            frontier_of(model)
        assert fault.value.hint == hint
