from pathlib import Path

import numpy as np
import pytest

from aias.core.errors import StorageFailed
from aias.training.ledger import Entry, Ledger
from aias.training.selection.configuration import Configuration, Unit


def entry(value: float = 1.0) -> Entry:
    return Entry({"rounds": 7}, 0.5, False, {"weights": np.full((2, 3), value)}, np.full((4, 1), value), {"rows": 9})


def test_what_is_put_comes_back(tmp_path: Path) -> None:
    Ledger(tmp_path).put("a", entry())

    found = Ledger(tmp_path).get("a")

    assert found is not None
    assert (found.settings, found.seconds, found.cut, found.facts) == ({"rounds": 7}, 0.5, False, {"rows": 9})
    np.testing.assert_array_equal(found.state["weights"], entry().state["weights"])
    np.testing.assert_array_equal(found.scores, entry().scores)


def test_the_first_to_put_a_unit_is_believed(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.put("a", entry(1.0))
    ledger.put("a", entry(2.0))
    found = ledger.get("a")
    assert found is not None and found.scores[0, 0] == 1.0


def test_a_unit_that_is_no_longer_whole_is_fitted_again(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    for damage in (b"", b"{", b"PK\x03\x04"):
        ledger.put("a", entry())
        (tmp_path / "units" / "a" / "arrays.npz").write_bytes(damage)
        assert ledger.get("a") is None
        assert not ledger.has("a")


def test_a_half_written_unit_is_none(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    (tmp_path / "units" / ".a.123").mkdir()
    (tmp_path / "units" / ".a.123" / "arrays.npz").write_bytes(b"half")
    assert not ledger.has("a") and ledger.get("a") is None


def test_a_full_disk_is_told_and_leaves_no_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(*_: object, **__: object) -> None:
        raise OSError("36000 requested and 25584 written")

    ledger = Ledger(tmp_path)
    monkeypatch.setattr(np, "savez", short)
    with pytest.raises(StorageFailed, match=r"could not write .*25584 written"):
        ledger.put("a", entry())
    assert not list((tmp_path / "units").iterdir())


def test_a_kill_while_a_state_is_kept_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(tmp_path)
    ledger.keep("a", entry(1.0))

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(ledger, "put", killed)
        ledger.keep("a", entry(2.0))
    kept = ledger.kept("a")
    assert kept is not None and kept.scores[0, 0] == 1.0
    ledger.keep("a", entry(3.0))
    kept = ledger.kept("a")
    assert kept is not None and kept.scores[0, 0] == 3.0


def test_the_newest_state_of_a_running_fit_is_kept(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.keep("a", entry(1.0))
    ledger.keep("a", entry(2.0))
    kept = ledger.kept("a")
    assert kept is not None and kept.scores[0, 0] == 2.0
    assert not ledger.has("a")


def test_a_unit_is_named_by_everything_that_decides_what_comes_out() -> None:
    base = Unit(Configuration("x", "linear", {"C": 1.0}), 0, 0)
    others = [
        Unit(Configuration("x", "linear", {"C": 2.0}), 0, 0),
        Unit(Configuration("x", "boosted_trees", {"C": 1.0}), 0, 0),
        Unit(Configuration("x", "linear", {"C": 1.0}, ("text_sums",)), 0, 0),
        Unit(base.configuration, 1, 0),
        Unit(base.configuration, 0, 1),
    ]
    keys = {unit.key("table") for unit in [base, *others]} | {base.key("another table")}
    assert len(keys) == 7
    assert Unit(Configuration("another name", "linear", {"C": 1.0}), 0, 0).key("table") == base.key("table")
