"""Objects and records within a row: columns `a.b`, whatever they come in, when learning and when answering."""

import io
import json

import numpy as np
import polars as pl
import pytest

from aias.core.errors import BadValue
from aias.core.nested import LEVELS_MAX, flat
from aias.data.errors import Unreadable
from aias.data.read import read
from aias.encoders.rows import RowEncoder
from aias.serving.formats import arrow_process
from aias.serving.formats.json_rows import read_lines, read_row, read_rows
from aias.serving.formats.tables import Tables
from aias.serving.refusals import BadBody

ROWS = [
    {"age": 30 + at, "home": {"city": ("Oslo", "Rome")[at % 2], "at": {"x": at * 1.5, "y": None if at % 5 else 2}}}
    for at in range(12)
]
ROWS[3], ROWS[7] = {"age": 33, "home": None}, {"age": 37, "home": {}}
NAMES = ("age", "home.city", "home.at.x", "home.at.y")


def test_every_form_gives_the_same_columns(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pl.DataFrame(ROWS, strict=False)
    frame.write_parquet(tmp_path / "a.parquet")
    frame.write_ipc(tmp_path / "a.arrow")
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    sources = [ROWS, frame, pandas.DataFrame(ROWS), {name: [row[name] for row in ROWS] for name in ROWS[0]}]
    read_ones = [read(each) for each in (*sources, *(tmp_path / f"a.{end}" for end in ("parquet", "arrow", "jsonl")))]
    assert {each.schema.names for each in read_ones} == {NAMES}
    assert len({each.digest for each in read_ones}) == 1
    assert read_ones[0].frame["home.city"].null_count() == 2
    assert any("`home` holds records" in note.message and "`home.at.x`" in note.message for note in read_ones[4].notes)


def test_a_row_is_answered_alike_whether_flat_or_nested():
    dataset = read(ROWS)
    encoder = RowEncoder.fit(dataset.schema.fields, {name: dataset.values(name) for name in NAMES})
    learned = encoder.columns({name: dataset.values(name) for name in NAMES}, dataset.rows).columns
    body = json.dumps(ROWS).encode()
    of_json = encoder.rows(read_rows(body, rows_max=100)).columns
    of_lines = encoder.rows(read_lines(b"\n".join(json.dumps(row).encode() for row in ROWS), rows_max=100)).columns
    one_by_one = np.concatenate([encoder.one(row).columns for row in ROWS])
    buffer = io.BytesIO()
    pl.DataFrame(ROWS, strict=False).write_ipc_stream(buffer)
    columns = arrow_process.read(buffer.getvalue(), 100)
    tables = Tables(NAMES, rows_max=100).json(b'{"dataframe_records": %b}' % body)[0]
    assert encoder.json(json.dumps(ROWS[0]).encode()) is None, "left to the long way"
    for given in (of_json, of_lines, one_by_one, encoder.rows(ROWS).columns,
                  encoder.columns(columns, 12).columns, encoder.columns(tables, 12).columns):  # fmt: skip
        assert np.array_equal(given, learned, equal_nan=True)


def test_an_object_that_the_model_does_not_know_is_refused_by_the_name_of_its_field():
    dataset = read(ROWS)
    encoder = RowEncoder.fit(dataset.schema.fields, {name: dataset.values(name) for name in NAMES})
    with pytest.raises(BadValue, match=r"row 0, field `home.town`: the model knows no such field") as caught:
        encoder.one({"age": 3, "home": {"town": "Oslo"}})
    assert "home.city" in caught.value.hint
    with pytest.raises(BadValue, match="field `work`"):
        encoder.one({"age": 3, "work": None})
    for value in ({}, {"years": 3}):
        with pytest.raises(BadValue, match="field `age"):
            encoder.one({"age": value})


def test_one_name_for_two_values_is_refused():
    twice = {"a": {"b": 1}, "a.b": 2}
    with pytest.raises(BadValue, match=r"row 0, field `a\.b`: it comes twice"):
        read([twice, twice])
    with pytest.raises(BadValue, match=r"row 0, field `a\.b`: it comes twice"):
        read_row(json.dumps(twice).encode())
    frame = pl.DataFrame({"a": [{"b": 1}], "a.b": [2]})
    with pytest.raises(Unreadable, match=r"`a.b` is a column, and a field of a record"):
        read(frame)
    buffer = io.BytesIO()
    frame.write_ipc(buffer)
    with pytest.raises(BadBody, match=r"`a.b` is a column"):
        arrow_process.read(buffer.getvalue(), 100)


def test_what_stands_too_deep_is_json_to_learn_from_and_refused_in_a_request():
    deep: object = 1
    for _ in range(LEVELS_MAX + 1):
        deep = {"a": deep}
    assert flat(deep) == {"a.a.a.a": {"a": 1}}
    assert read([deep, deep]).frame["a.a.a.a"].to_list() == ['{"a": 1}'] * 2
    assert read(pl.DataFrame([deep, deep])).frame.columns == ["a.a.a.a"]
    with pytest.raises((BadValue, BadBody)):
        read_row(json.dumps(deep).encode())


def test_a_list_in_an_object_is_refused_in_a_request_with_its_field():
    with pytest.raises(BadValue, match=r"row 0, field `home`: "):
        read_row(b'{"home": {"rooms": [1, 2]}}')
