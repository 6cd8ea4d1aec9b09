"""The short way from JSON to columns gives what the long way gives, or leaves it to that."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aias.core.errors import AiasError
from aias.core.schema import Field
from aias.encoders.json_row import BYTES_MAX
from aias.encoders.rows import RowEncoder
from aias.serving.formats.json_rows import read_rows

FIELDS = [Field("age", "number"), Field("how much (in €)", "number"), Field("plan", "category")]
VALUES = {"age": [1.0, 2.0], "how much (in €)": [0.5, None], "plan": ["pro", "free"]}
ENCODER = RowEncoder.fit(FIELDS, VALUES, others=["answer"])


def long_way(body: bytes) -> Any:
    return ENCODER.one(read_rows(body, rows_max=10)[0]).columns


@pytest.mark.parametrize(
    "row",
    [
        {"age": 41, "how much (in €)": 0.1, "plan": "pro"},
        {"plan": "free"},
        {},
        {"age": None, "plan": None},
        {"age": -0.0, "how much (in €)": 1e308, "plan": "never seen"},
        {"age": 2**53 + 1, "how much (in €)": 10**25, "plan": 3},
        {"plan": True},
    ],
)
def test_rows_are_read_as_by_the_long_way(row: dict[str, object]) -> None:
    for body in (json.dumps([row]).encode(), json.dumps([row], ensure_ascii=False, indent=1).encode()):
        found = ENCODER.json(body)

        assert found is not None
        np.testing.assert_array_equal(found.columns, long_way(body))
        assert (found.rows, found.texts, len(found.term_ids)) == (1, 0, 0)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"[1]", b"{", b'{"age": "41"}', b'{"age": true}', b'{"aeg": 41}', b'{"answer": 1}', b'{"plan": {}}',
        b'{"age": [1]}', b'{"age": NaN}', b'[{"age": 1}, {"age": 2}]', b'{"age": 1} x', b'\xff{"age": 1}',
        b'{"plan": "{"}', b'{"plan": "' + BYTES_MAX * b"x" + b'"}',
    ],
)  # fmt: skip
def test_what_needs_judging_is_left_to_the_long_way(body: bytes) -> None:
    assert ENCODER.json(body) is None


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["age", "how much (in €)", "plan", "answer", "other"]),
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    )
)
def test_no_row_is_read_in_two_ways(row: dict[str, object]) -> None:
    body = json.dumps([row]).encode()
    found = ENCODER.json(body)

    if found is not None:
        np.testing.assert_array_equal(found.columns, long_way(body))


@pytest.mark.parametrize("name", ['"quoted"', "back\\slash", "tab\t"])
def test_names_that_json_escapes_are_read_the_long_way(name: str) -> None:
    encoder = RowEncoder.fit([Field(name, "number")], {name: [1.0]})

    assert encoder.json(json.dumps({name: 1}).encode()) is None
    assert encoder.one({name: 1}).columns.tolist() == [[1.0]]


def test_texts_and_times_are_read_the_long_way() -> None:
    encoder = RowEncoder.fit([Field("note", "text")], {"note": ["a b", "b c"]})

    assert encoder.json(b'{"note": "a"}') is None


def test_a_bad_value_is_told_by_the_long_way() -> None:
    with pytest.raises(AiasError, match="a"):
        long_way(b'[{"aeg": 1}]')
