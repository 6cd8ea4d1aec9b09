"""`training/parent.py`: the rows of a version are read again as training read them."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from aias.core.events import nobody
from aias.core.schema import Schema
from aias.data.read import read
from aias.data.text_files import long_texts
from aias.training.parent import rows_of


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

    recipe = SimpleNamespace(source=str(file), test_source=None, encoding=None, test_encoding=None)
    manifest = SimpleNamespace(form="quality", inputs=fields[:1], ignored=(), target=fields[1])
    parent: Any = SimpleNamespace(ref="m@1", manifest=manifest, recipe=recipe, imported=False)
    again, _ = rows_of(parent, None, watch=nobody)

    assert again.digest == first.digest
