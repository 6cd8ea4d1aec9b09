"""What msgspec says of JSON that is wrong, in our words: where, what was expected, what came."""

from typing import Any

import msgspec
import pytest

from aias.core.json_faults import Faults, in_words

Scalar = str | float | int | bool | None


class Tensor(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    shape: list[int]
    more: dict[str, Scalar] | None = None


class Asked(msgspec.Struct):
    inputs: list[Tensor]


def said(body: bytes, type_: Any) -> str:
    with pytest.raises(Faults) as caught:
        msgspec.json.decode(body, type=type_)
    return in_words(caught.value, body)


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"{}", "the field `inputs` is missing"),
        (b"[]", "it must be an object; a list came"),
        (b'{"inputs": null}', "`inputs` must be a list; null came"),
        (b'{"inputs": [{"name": 1}]}', "`inputs[0].name` must be a text; a whole number came"),
        (b'{"inputs": [{"name": "a"}]}', "the field `shape` is missing in `inputs[0]`"),
        (
            b'{"inputs": [{"name": "a", "shape": [2.5]}]}',
            "`inputs[0].shape[0]` must be a whole number; a number came",
        ),
        (b'{"inputs": [{"name": "a", "shape": [1], "z": 1}]}', "the field `z` is not known in `inputs[0]`"),
        (
            b'{"inputs": [{"name": "a", "shape": [1], "more": {"k": []}}]}',
            "a value of `inputs[0].more` must be true or false or a number or a text or null; a list came",
        ),
    ],
)
def test_a_value_of_the_wrong_kind_is_named_with_its_place(body: bytes, wanted: str) -> None:
    assert said(body, Asked) == wanted


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        (b"", "the JSON ends before it is whole"),
        (b'[{"a": 1}', "the JSON ends before it is whole"),
        (b'[{"a": 1,}]', "the JSON breaks at byte 9: a comma stands before the end of the object"),
        (b"[1 2]", "the JSON breaks at byte 3: a comma or the end of the list was expected"),
        (b'[{"a" 1}]', "the JSON breaks at byte 6: a colon was expected"),
        (
            b"[NaN]",
            "the JSON breaks at byte 1: no value begins so; texts need double quotes and escapes, and JSON has no NaN",
        ),
        (b'["\\q"]', "the JSON breaks at byte 4: a text is escaped wrongly"),
        (b"[] x", "the JSON breaks at byte 4: there is more after its end"),
        (b'["\xff"]', "the JSON is not UTF-8"),
        (b"[" * 100_000, "the JSON is nested too deeply"),
        ("[]".encode("utf-16"), "the JSON is not UTF-8"),
        (b"\xef\xbb\xbf[]", "the JSON begins with a byte order mark, which no JSON may"),
        (b"[1e999]", "`[0]` holds a number that is too large"),
    ],
)
def test_what_is_no_json_is_told_with_the_byte_where_it_breaks(body: bytes, wanted: str) -> None:
    assert said(body, list[Any]) == wanted


@pytest.mark.parametrize("kind", [list[Any], list[msgspec.Raw]])
def test_names_in_single_quotes_are_told_where_and_how_they_should_stand(kind: Any) -> None:
    told = 'the JSON breaks at byte 2: the names of an object stand in double quotes, {"name": value}'
    assert said(b"[{'a': 1}]", kind) == told


def test_no_sentence_of_the_library_is_passed_on() -> None:
    kind, new = "Expected `bytes`, got `array` - at `$.x`", "Something new - at `$.x`"
    assert in_words(msgspec.ValidationError(kind)) == "`x` must be bytes; a list came"
    assert in_words(msgspec.ValidationError(new)) == "`x` has a value that is not understood"


@pytest.mark.parametrize("body", [b'["\\ud800"]', b'["\\uD83d x"]', b'["\\udbff\\n"]'])
def test_half_of_a_surrogate_pair_near_the_end_is_not_called_cut_json(body: bytes) -> None:
    with pytest.raises(Faults) as caught:
        msgspec.json.decode(body)

    assert in_words(caught.value, body) == (
        f"`{body[2:8].decode()}` is half of a surrogate pair, and without the other half no character"
    )


@pytest.mark.parametrize("body", [b'["\\ud800', b'["\\ud800\\', b'["\\ud800\\udc'])
def test_a_surrogate_pair_that_is_cut_off_is_cut_json(body: bytes) -> None:
    with pytest.raises(Faults) as caught:
        msgspec.json.decode(body)

    assert in_words(caught.value, body) == "the JSON ends before it is whole"


@pytest.mark.parametrize("body", [b'["\\udc00 and more text"]', b'["\\ud800 and more text"]'])
def test_half_of_a_surrogate_pair_elsewhere_is_told_with_its_place(body: bytes) -> None:
    assert "half of a surrogate pair" in said(body, list[Any])
