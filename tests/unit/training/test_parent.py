"""`training/parent.py`: the rows of a version are read again as training read them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest

import aias
from aias.core.errors import UserError
from aias.core.events import nobody
from aias.core.schema import Schema
from aias.data.errors import NoSuchFile
from aias.data.read import read
from aias.data.text_files import long_texts
from aias.training.parent import NoTime, OtherRows, Parent, rows_of
from aias.training.prepare import prepare


def test_texts_that_only_a_schema_calls_so_are_cut_as_in_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By themselves two texts in forty rows are categories."""
    monkeypatch.setattr(long_texts, "TEXT_CHARS_MAX", 20)
    file = tmp_path / "rows.csv"
    pl.DataFrame({"t": ["good film", "a very bad film with no end"] * 20, "y": ["p", "q"] * 20}).write_csv(file)
    inferred = read(file, target="y").schema
    assert inferred["t"].kind == "category"
    fields = (replace(inferred["t"], kind="text", categories=None), inferred["y"])
    first = read(file, schema=Schema(fields), target="y")
    assert first.frame["t"].str.len_chars().max() == 20

    recipe = SimpleNamespace(source=str(file), test_source=None, encoding=None, test_encoding=None, test_digest="")
    manifest = SimpleNamespace(form="quality", inputs=fields[:1], ignored=(), target=fields[1])
    parent: Any = SimpleNamespace(ref="m@1", manifest=manifest, recipe=recipe, imported=False)
    again, _ = rows_of(parent, None, watch=nobody)

    assert again.digest == first.digest


def table(seed: int, rows: int) -> pl.DataFrame:
    a = np.random.default_rng(seed).normal(size=rows)
    return pl.DataFrame({"a": a, "y": np.where(a > 0, "p", "q")})


def test_the_rows_that_a_version_was_measured_on_are_asked_for_and_checked(tmp_path: Path) -> None:
    first, test, settings = table(0, 200), table(1, 60), {"target": "y", "learners": ("linear",), "search": False}
    file = tmp_path / "test.csv"
    test.write_csv(file)
    how: dict[str, Any] = {**settings, "time": "600s", "inline": True, "home": tmp_path}
    models = [aias.train(first, name=f"m{at}", test=each, **how) for at, each in enumerate((test, str(file), 0.2))]
    held, filed, shared = (Parent(each.ref, each.manifest, each.runtime) for each in models)
    read_again: dict[str, Any] = {"ledger": None, "seconds": 600.0, "watch": nobody}

    with pytest.raises(UserError, match="measured on a table in memory") as refused:
        rows_of(held, first, watch=nobody)
    assert "--test" in (refused.value.hint or "") and "test=" in (refused.value.hint or "")
    found = held.prepared(*rows_of(held, first, test=test, watch=nobody), **read_again)
    assert found.test.rows == models[0].manifest.rows["test"] == 60
    with pytest.raises(OtherRows, match="measured on"):
        held.prepared(*rows_of(held, first, test=table(2, 60), watch=nobody), **read_again)
    assert filed.prepared(*rows_of(filed, first, watch=nobody), **read_again).test.digest == found.test.digest
    file.rename(tmp_path / "moved.csv")
    with pytest.raises(NoSuchFile) as gone:
        rows_of(filed, first, watch=nobody)
    assert "--test" in (gone.value.hint or "")
    again = rows_of(filed, first, test=str(tmp_path / "moved.csv"), watch=nobody)
    assert filed.prepared(*again, **read_again).test.digest == found.test.digest
    with pytest.raises(UserError, match="no rows were given to measure"):
        rows_of(shared, first, test=test, watch=nobody)


def test_rows_of_which_fewer_folds_came_than_were_asked_for_are_parted_so_again() -> None:
    """Of eight blocks in time three came of these days; asked for three, two came, and nothing was found again."""
    days = np.repeat([1, 2, 3, 4], [150, 18, 18, 114])
    x = np.random.default_rng(0).normal(size=300)
    rows = read(pl.DataFrame({"day": days, "x": x, "y": np.where(x > 0, "p", "q")}), target="y")
    how: dict[str, Any] = {
        "target": "y", "metric": None, "how": "time:day", "test": 0.0, "given": None, "seconds": 100, "seed": 0,
        "watch": nobody,
    }  # fmt: skip
    first = prepare(rows, folds=8, **how).table
    assert first.fold_count == 3
    counts = first.counts
    again = prepare(rows, folds=counts["folds"], judging=counts.get("judging"), **how).table
    assert again.digest == first.digest and again.counts == counts


class Slow:
    """Rows, and a version that takes a second for each hundred of them."""

    def __init__(self, rows: int, clock: list[float]) -> None:
        self.rows, self.clock = rows, clock

    def take(self, places: Any) -> "Slow":
        return Slow(len(places), self.clock)

    def run(self, encoded: "Slow") -> Any:
        self.clock[0] += encoded.rows / 100
        return np.full(encoded.rows, 0.5)


def test_an_imported_version_that_is_too_slow_for_the_time_says_how_much_is_enough(monkeypatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("aias.training.parent.time", SimpleNamespace(monotonic=lambda: clock[0]))
    rows: Any = Slow(20_500, clock)
    slow: Any = SimpleNamespace(ref="m@1", runtime=rows, manifest=SimpleNamespace(row_us=0.0))

    with pytest.raises(NoTime, match=r"m@1 takes about 2\d\d s to answer the 20,500 rows, more than 25 %") as fault:
        Parent._said(slow, rows, 60.0)

    assert clock[0] < 60 and fault.value.enough == pytest.approx(4 * 205, rel=0.01)
    assert Parent._said(slow, rows, 900.0).shape == (20_500, 1)


def test_of_an_imported_version_that_takes_a_second_a_row_a_few_rows_tell_it(monkeypatch) -> None:
    """A thousand of them were answered before anybody looked at the clock."""
    clock = [0.0]
    monkeypatch.setattr("aias.training.parent.time", SimpleNamespace(monotonic=lambda: clock[0]))
    rows: Any = Slow(2_000, clock)

    def run(encoded: Slow) -> Any:
        clock[0] += encoded.rows
        return np.full(encoded.rows, 0.5)

    slow: Any = SimpleNamespace(
        ref="m@1", runtime=SimpleNamespace(run=run), manifest=SimpleNamespace(row_us=1_000_000.0)
    )

    with pytest.raises(NoTime, match=r"takes about 2\d\d\d s to answer the 2,000 rows") as fault:
        Parent._said(slow, rows, 60.0)

    assert clock[0] < 6 and fault.value.enough == pytest.approx(4 * 2_000, rel=0.01)
