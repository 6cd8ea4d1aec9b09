from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aias.core.schema import KINDS, ROLES, Field, Schema
from aias.data.errors import NoSuchFile
from aias.data.schema_file import BadSchemaFile, read_schema, write_schema

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.sampled_from(
    [
        "no",
        "NULL",
        "~",
        "1",
        "1e3",
        "- a",
        ": b",
        "# c",
        "yes: no",
        "2024-01-01",
        "\u2028",
        "\r",
        "\x85",
        "0x1F",
        "null",
    ]
)
fields = st.builds(
    Field,
    name=words,
    kind=st.sampled_from(KINDS),
    role=st.sampled_from(ROLES),
    nullable=st.booleans(),
    missing=st.lists(words, max_size=3).map(tuple),
    format=st.none() | st.just("%d.%m.%Y"),
    categories=st.none() | st.lists(words, min_size=1, max_size=3).map(tuple),
    unit=st.none() | st.sampled_from(["$", "%", "kg"]),
    example=st.none() | words.filter(bool) | st.booleans() | st.integers() | st.floats(allow_nan=False),
    reason=words,
).map(lambda field: replace(field, format="spaced") if field.kind == "number" and field.format else field)


@settings(max_examples=40)
@given(st.lists(fields, max_size=3, unique_by=lambda field: field.name))
def test_what_is_written_is_read_back_equal(tmp_path_factory, listed):
    path = tmp_path_factory.mktemp("schema") / "schema.yaml"
    write_schema(Schema(tuple(listed)), path)
    assert read_schema(path) == Schema(tuple(listed))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "the file should be"),
        ("columns: 3", "must hold `columns:`"),
        ("columns: []\nmore: 1", "must hold `columns:`"),
        ("columns:\n- name: a\n  kind: colour", "line 2: field `a` has the unknown kind 'colour'"),
        ("columns:\n- name: a\n  kind: text\n  rol: input", "line 4: a column has no `rol`"),
        ("columns:\n- kind: text", "line 2: a column lacks its `name`"),
        ("columns:\n- name: a\n  kind: text\n  missing: '?'", "line 4: this should be a list"),
        ("columns:\n- name: [a]\n  kind: text", "line 2: this should be one value"),
        ("columns:\n- name: a\n  kind: text\n  nullable: 7", "line 4: this should be true or false"),
        ("columns:\n- name: a\n  kind: number\n  format: decimal_comma", "line 4: numbers are not written as"),
        ("columns:\n  - a\n - b", "is not YAML"),
        ("columns: &a [*a]", ""),
        ("!!python/object/apply:os.system ['true']", "should be"),
    ],
)
def test_a_schema_file_with_a_fault_is_refused_with_its_line(tmp_path, text, sentence):
    path = tmp_path / "schema.yaml"
    path.write_text(text)
    with pytest.raises(BadSchemaFile) as caught:
        read_schema(path)
    assert sentence in caught.value.message
    assert caught.value.hint


def test_a_missing_schema_file_is_refused(tmp_path):
    with pytest.raises(NoSuchFile):
        read_schema(tmp_path / "none.yaml")


def test_a_person_may_leave_out_what_goes_without_saying(tmp_path):
    path = tmp_path / "schema.yaml"
    path.write_text("columns:\n- {name: a, kind: number}\n- {name: no, kind: text, missing: [NULL, ~]}\n")
    assert read_schema(path).fields == (Field("a", "number"), Field("no", "text", missing=("NULL", "~")))
