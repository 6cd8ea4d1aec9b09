"""Tables that are one JSON object, and objects that are one row."""

import json

import numpy as np
import pandas as pd
import pytest

from aias.data.read import read

FRAME = pd.DataFrame(
    {"city": ["Oslo", "Rome", "Bern"] * 9, "size": np.arange(27) * 7 % 13, "label": ["a", "b", "b"] * 9}
)


FILE = "a.json"


@pytest.fixture
def plain(give):
    return read(give(FRAME.to_json(orient="records")), target="label").digest


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("orient", ["columns", "index", "split", "table", "list"])
def test_what_pandas_writes_is_read_as_its_rows_and_told(give, plain, orient, indent):
    if orient == "list":
        text = json.dumps(FRAME.to_dict(orient="list"), indent=indent)
    else:
        text = FRAME.to_json(orient=orient, indent=indent)
    dataset = read(give(text), target="label")
    assert dataset.schema.names == (("index",) if orient == "table" else ()) + ("city", "size", "label")
    assert orient == "table" or dataset.digest == plain
    assert any("is one object, and was read as" in note.message for note in dataset.notes if note.level == "warning")


def test_rows_among_other_things_are_the_rows(give, plain):
    rows = json.loads(FRAME.to_json(orient="records"))
    assert read(give(json.dumps({"count": 27, "next": None, "results": rows})), target="label").digest == plain
    features = [{"type": "Feature", "properties": row} for row in rows]
    places = read(give(json.dumps({"type": "FeatureCollection", "features": features})))
    assert (places.rows, "properties.city" in places.schema.names) == (27, True)


@pytest.mark.parametrize(
    "row",
    [
        {"home": {"city": "Oslo"}, "work": {"city": "Rome"}},
        {"city": "Oslo", "tags": ["a", "b"]},
        {"city": "Oslo", "parts": [{"a": 1}]},
        {"a": 1, "b": {"c": 2}},
        {"a": [1, 2], "b": [3]},
    ],
)
def test_one_row_stays_one(give, row):
    assert read(give(json.dumps(row), "a.jsonl")).rows == 1


def test_a_row_to_answer_is_none_of_a_table(give):
    row = {"data": [{"a": 1}, {"a": 2}], "x": 1}
    rows = [{"x": i, "data": "abc"[i % 3]} for i in range(9)]
    schema = read(rows, target="x").schema
    assert read(give(json.dumps(row), "a.jsonl"), schema=schema).rows == 1


def test_nan_and_infinity_of_python_are_read_and_told(give):
    rows = [{"x": [float("nan"), float("inf"), 1.5][i % 3], "y": "so NaN"} for i in range(9)]
    dataset = read(give("\n".join(map(json.dumps, rows)), "a.jsonl"))
    assert dataset.values("x")[1:3].tolist() == [float("inf"), 1.5]
    assert (dataset.frame["x"].null_count(), dataset.frame["y"][0]) == (3, "so NaN")
    assert "6 times" in dataset.notes[0].message
    assert read(give(json.dumps(rows))).digest == dataset.digest
