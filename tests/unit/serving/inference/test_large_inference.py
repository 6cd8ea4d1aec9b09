"""A large request of the Open Inference Protocol is read as a small one is, tensor by tensor; and so is its answer
written."""

import json
import re
from typing import Any, cast

import msgspec
import pytest

from aias.serving.http.messages import Request
from aias.serving.inference import replies, requests
from aias.serving.inference.replies import written
from aias.serving.inference.requests import parse
from aias.serving.refusals import BadBody, TooManyRows

ONE = {"name": "age", "datatype": "FP64", "shape": [2, 1], "data": [[50], [20.5]]}


def read(body: bytes, **headers: bytes) -> object:
    sent = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    inference, tail = parse(Request("POST", "/", "1", sent, {}, body), cast("Any", None))
    return msgspec.to_builtins(inference), bytes(tail)


@pytest.mark.parametrize(
    "asked",
    [
        {"inputs": [ONE, ONE | {"name": "plan", "datatype": "BYTES", "data": ["},{", None]}], "id": "7"},
        {"inputs": [{"name": "age", "datatype": "FP64", "shape": [1], "parameters": {"binary_data_size": 8}}]},
        {"inputs": [ONE | {"data": None}], "outputs": [{"name": "prediction"}], "parameters": {"a": True}},
        {"inputs": [], "unknown": [1]},
    ],
)
def test_it_is_read_as_a_small_one_is(asked: object, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(asked).encode()
    length = b"%d" % len(body)
    small = read(body + b"behind", inference_header_content_length=length)
    monkeypatch.setattr(requests, "LARGE_BYTES", 1)

    assert read(body + b"behind", inference_header_content_length=length) == small


@pytest.mark.parametrize(
    "wrong",
    [
        {"inputs": [ONE, ONE | {"data": "50"}]}, {"inputs": [ONE | {"data": [{}, 1]}]}, {"inputs": [{"name": "age"}]},
        {"inputs": [ONE | {"shape": "x"}]}, {"inputs": [ONE | {"data": [[[1]]]}]}, {"inputs": {}}, [],
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_in_the_same_words(wrong: object, monkeypatch: pytest.MonkeyPatch) -> None:
    body = json.dumps(wrong).encode()
    for text in (body, body[:-3]):
        with pytest.raises(BadBody) as small:
            read(text)
        monkeypatch.setattr(requests, "LARGE_BYTES", 1)
        with pytest.raises(BadBody) as large:
            read(text)
        monkeypatch.undo()

        assert large.value.as_dict() == small.value.as_dict()


class Counted:
    """Notes how many values each call makes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = list[int]()
        monkeypatch.setattr(requests, "_data", self)

    def decode(self, raw: bytes) -> list[object]:
        found: list[object] = msgspec.json.decode(raw)
        self.made.append(len(found))
        return found


@pytest.mark.parametrize(
    "values",
    [
        [1.5, None, -2, True] * 2_500,
        ['comma, quote " and \\ and ] [', "", None] * 3_000,
        [["a", "b]"], ["],["], [None]] * 3_000,
        ["long " * 4_000, "x"] * 10,
    ],
)
def test_the_values_of_one_large_tensor_are_read_in_pieces(
    values: list[object], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"inputs": [ONE | {"data": values, "parameters": None}], "id": None, "outputs": None, "parameters": None}
    counted = Counted(monkeypatch)

    assert read(json.dumps(asked, indent=1).encode()) == (asked, b"")
    assert (sum(counted.made), max(counted.made)) == (len(values), min(len(values) - 1, 100))


def test_of_far_more_values_than_there_may_be_rows_not_all_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    with pytest.raises(TooManyRows):
        read(json.dumps({"inputs": [ONE | {"data": [1] * 1_000_000}]}).encode())

    assert sum(counted.made) < 11_000


@pytest.mark.parametrize("end", [",]", ",,1]", "", "}", ', {"a": 1, "b": 2}]'])
def test_what_is_no_list_of_values_at_its_end_is_refused_as_a_small_one_is(end: str) -> None:
    said = []
    for length in (1, 8_000):
        data = b"[%b1%b" % (b"1.0000000," * length, end.encode())
        with pytest.raises(BadBody) as wrong:
            read(b'{"inputs": [{"name": "age", "datatype": "FP64", "shape": [2], "data": %b}]}' % data)
        said.append(re.sub(r"[0-9]+", "", wrong.value.message))

    assert said[0] == said[1]


def test_no_call_makes_or_writes_the_values_of_a_whole_body(monkeypatch: pytest.MonkeyPatch) -> None:
    counted = Counted(monkeypatch)
    wide = {"inputs": [ONE | {"name": f"f{at}", "shape": [500], "data": [1.5] * 500} for at in range(200)]}

    assert read(json.dumps(wide).encode()) == (wide | {"id": None, "outputs": None, "parameters": None} | {
        "inputs": [each | {"parameters": None} for each in wide["inputs"]]
    }, b"")  # fmt: skip
    assert counted.made == [500] * 200

    values = [at / 7 for at in range(25_001)] + [None]
    whole, encode, sizes = msgspec.json.encode(values), msgspec.json.encode, list[int]()
    monkeypatch.setattr(msgspec.json, "encode", lambda held: sizes.append(len(held)) or encode(held))
    found = written(values)

    assert bytes(cast("msgspec.Raw", found)) == whole
    assert max(sizes) <= replies.PIECE_VALUES
    assert written(values[:9]) == values[:9]
