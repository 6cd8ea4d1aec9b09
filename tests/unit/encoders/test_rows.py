import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aias.core.errors import BadValue
from aias.core.schema import Field
from aias.data.types.columns import series
from aias.encoders.rows import Encoded, RowEncoder

FIELDS = (Field("age", "number"), Field("job", "category"), Field("when", "time"), Field("note", "text"),
          Field("title", "text"))  # fmt: skip
ROWS: list[dict[str, object]] = [
    {"age": 39, "job": "clerk", "when": "2024-02-29", "note": "free entry now", "title": "win"},
    {"age": 21.5, "job": "nurse", "when": "2024-03-01T12:00:00", "note": "see you", "title": "free win"},
    {"age": None, "job": None, "when": None, "note": None, "title": None},
    {},
] * 3


def encoder() -> RowEncoder:
    return RowEncoder.fit(FIELDS, {field.name: [row.get(field.name) for row in ROWS] for field in FIELDS}, others=["y"])


def test_many_rows_are_encoded_as_each_alone() -> None:
    rows = encoder()
    together = rows.rows(ROWS)
    for place, row in enumerate(ROWS):
        alone = rows.one(row)
        picked = together.take(np.array([place]))
        np.testing.assert_array_equal(alone.columns, picked.columns)
        np.testing.assert_array_equal(alone.term_ids, picked.term_ids)
        np.testing.assert_array_equal(alone.term_segments, picked.term_segments)


@given(st.lists(st.integers(0, len(ROWS) - 1), max_size=20))
def test_taking_rows_equals_encoding_the_taken_rows(places: list[int]) -> None:
    rows = encoder()
    taken = rows.rows(ROWS).take(np.array(places, np.int64))
    values = {field.name: [ROWS[i].get(field.name) for i in places] for field in FIELDS}
    expected = rows.columns(values, len(places))
    np.testing.assert_array_equal(taken.columns, expected.columns)
    np.testing.assert_array_equal(taken.term_ids, expected.term_ids)
    np.testing.assert_array_equal(taken.term_segments, expected.term_segments)


def test_rows_encoded_apart_and_joined_are_those_encoded_together() -> None:
    rows = encoder()
    together = rows.rows(ROWS)

    joined = Encoded.join([rows.rows(ROWS[:1]), rows.rows(ROWS[1:3]), rows.rows(ROWS[3:])])

    np.testing.assert_array_equal(joined.columns, together.columns)
    np.testing.assert_array_equal(joined.term_ids, together.term_ids)
    np.testing.assert_array_equal(joined.term_segments, together.term_segments)


def test_tokens_of_different_lengths_are_joined_with_padding() -> None:
    def encoded(*lengths: int) -> Encoded:
        mask = np.arange(max(lengths)) < np.array(lengths)[:, None]
        terms = np.zeros(0, np.int64), np.zeros((0, 1), np.int64)
        return Encoded(np.zeros((len(lengths), 0)), *terms, 1, np.where(mask, 7, 0), mask)

    joined = Encoded.join([encoded(2), encoded(3, 5)])

    assert joined.tokens is not None
    assert joined.token_mask is not None
    assert joined.token_mask.sum(axis=1).tolist() == [2, 3, 5]
    assert joined.tokens.sum(axis=1).tolist() == [14, 21, 35]
    assert joined.take(np.array([0])).token_mask.shape == (1, 2)  # type: ignore[union-attr]


def test_an_absent_field_is_missing() -> None:
    columns = encoder().one({}).columns
    assert math.isnan(columns[0, 0])
    assert columns[0, 1] == 0


def test_a_bad_value_names_its_row_and_field() -> None:
    with pytest.raises(BadValue, match="row 1, field `age`") as caught:
        encoder().rows([{"age": 1}, {"age": "old"}])
    assert (caught.value.row, caught.value.field) == (1, "age")
    with pytest.raises(BadValue, match="field `age`"):
        encoder().one({"age": "old"})


def test_an_unknown_field_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(BadValue, match="field `agee`") as caught:
        encoder().rows([{"age": 1}, {"agee": 1}])
    assert "`age`" in caught.value.hint
    assert caught.value.row == 1


def test_an_unknown_field_of_any_length_is_named_in_few_words() -> None:
    with pytest.raises(BadValue) as caught:
        encoder().rows([{"x" * 5_000_000: 1}])
    assert len(caught.value.message) < 200


def test_known_columns_that_no_encoder_reads_are_accepted() -> None:
    assert encoder().one({"y": "anything"}).rows == 1


def test_an_encoder_survives_its_tables() -> None:
    rows = encoder()
    again = RowEncoder.load(FIELDS, rows.tables())
    np.testing.assert_array_equal(again.rows(ROWS).columns, rows.rows(ROWS).columns)
    np.testing.assert_array_equal(again.rows(ROWS).term_ids, rows.rows(ROWS).term_ids)
    assert again.layout == rows.layout


def test_an_encoder_of_some_fields_reads_these_and_still_takes_the_others() -> None:
    fields = [Field("a", "number"), Field("b", "category"), Field("c", "number")]
    whole = RowEncoder.fit(fields, {"a": [1.0, 2.0], "b": ["x", "y"], "c": [3.0, 4.0]}, others=["y"])

    some = whole.of([fields[2], fields[0]])

    row = {"a": 1.0, "b": "x", "c": 3.0, "y": 0}
    assert some.one(row).columns.tolist() == [[3.0, 1.0]]
    assert some.columns({"a": [1.0], "c": [3.0]}, 1).columns.tolist() == [[3.0, 1.0]]
    assert some.layout.categories == ()
    with pytest.raises(BadValue, match="no such field"):
        some.one({"d": 1})


def test_a_name_that_is_nearly_right_is_told_of_what_is_read_only() -> None:
    fields = [Field("income", "number"), Field("age", "number")]
    rows = RowEncoder.fit(fields, {"income": [1.0], "age": [2.0]}, others=["outcome"])

    for name, hint in (
        ("incom", "did you mean `income`?"),
        ("outcom", "the fields are: income, age"),
        ("outc", "the fields are: income, age"),
    ):
        with pytest.raises(BadValue) as caught:
            rows.one({name: 1})
        assert caught.value.hint == hint


@pytest.mark.parametrize("kind", ["category", "text"])
def test_a_list_is_refused_with_what_it_was_learned_as(kind: str) -> None:
    learned = series("tags", [["a", "b"], ["c"], ["a", "b"]]).to_list()
    encoder = RowEncoder.fit([Field("tags", kind)], {"tags": learned})

    with pytest.raises(BadValue) as refused:
        encoder.one({"tags": ["a", "b"]})

    assert "JSON text" in refused.value.hint
    assert learned[0] == json.dumps(["a", "b"])
