"""Rows of MLflow's and SageMaker's bodies, side by side."""

import json

import pytest

from aias.serving.formats.tables import ODD_MAX, Tables
from aias.serving.refusals import BadBody


@pytest.mark.parametrize("form", ["json", "json_lines"])
def test_rows_that_each_have_a_field_of_their_own_are_refused_before_they_are_columns(form: str) -> None:
    """Of 160 kB there would be a hundred million values."""
    rows = [b'{"field %d": 1}' % at for at in range(10_000)]
    body = b"\n".join(rows) if form == "json_lines" else b"[%b]" % b",".join(rows)

    with pytest.raises(BadBody, match="10,000 fields that the model does not know, such as `field 0`"):
        getattr(Tables(["age"], rows_max=10_000), form)(body)


def test_a_few_fields_that_nobody_knows_are_left_to_who_names_them() -> None:
    body = b'[{"age": 1, "years": 2}, {"age": 3}]'

    found, _ = Tables(["age"], rows_max=10).json(body)

    assert ODD_MAX > 1
    assert found == {"age": [1, 3], "years": [2, None]}


def test_a_first_line_that_is_the_name_of_the_target_is_a_value() -> None:
    """Of the only input; taken for a header, it would leave every row without a value."""
    tables = Tables(["text"], others=["kind"], rows_max=10)

    assert tables.csv("kind\nsad\n", header=None) == {"text": ["kind", "sad"]}
    assert tables.csv("text,kind\nsad,neg\n", header=None) == {"text": ["sad"], "kind": ["neg"]}


@pytest.mark.parametrize(
    "body",
    [
        {"dataframe_split": {"columns": ["at", "note"], "data": [["2024-01-31", "NaT"], ["NaT", "b"]]}},
        {"dataframe_records": [{"at": "2024-01-31", "note": "NaT"}, {"at": "NaT", "note": "b"}]},
        {"inputs": {"at": ["2024-01-31", "NaT"], "note": ["NaT", "b"]}},
    ],
)
def test_a_missing_time_is_what_pandas_calls_one(body: object) -> None:
    """MLflow's client writes it as a text; in a text it is one."""
    found, _ = Tables(["at", "note"], times=["at"], rows_max=10).json(json.dumps(body).encode())

    assert found == {"at": ["2024-01-31", None], "note": ["NaT", "b"]}


def test_columns_that_pandas_has_numbered_are_called_by_their_numbers() -> None:
    body = {"dataframe_split": {"columns": [1, 0], "data": [["pro", 41]]}}

    found, _ = Tables(["0", "1"], rows_max=10).json(json.dumps(body).encode())

    assert found == {"0": [41], "1": ["pro"]}
