"""A large request of the Open Inference Protocol is read as a small one is, tensor by tensor; and so is its answer
written."""

import json
from typing import Any, cast

import msgspec
import pytest

from aias.serving.http.messages import Request
from aias.serving.inference import replies, requests
from aias.serving.inference.replies import written
from aias.serving.inference.requests import parse
from aias.serving.refusals import BadBody

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


def test_no_call_makes_or_writes_the_values_of_a_whole_body(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[int]()

    class Counted:
        def decode(self, raw: bytes) -> list[object]:
            found: list[object] = msgspec.json.decode(raw)
            made.append(len(found))
            return found

    monkeypatch.setattr(requests, "_data", Counted())
    wide = {"inputs": [ONE | {"name": f"f{at}", "shape": [500], "data": [1.5] * 500} for at in range(200)]}

    assert read(json.dumps(wide).encode()) == (wide | {"id": None, "outputs": None, "parameters": None} | {
        "inputs": [each | {"parameters": None} for each in wide["inputs"]]
    }, b"")  # fmt: skip
    assert made == [500] * 200

    values = [at / 7 for at in range(25_001)] + [None]
    whole, encode, sizes = msgspec.json.encode(values), msgspec.json.encode, list[int]()
    monkeypatch.setattr(msgspec.json, "encode", lambda held: sizes.append(len(held)) or encode(held))
    found = written(values)

    assert bytes(cast("msgspec.Raw", found)) == whole
    assert max(sizes) <= replies.PIECE_VALUES
    assert written(values[:9]) == values[:9]
