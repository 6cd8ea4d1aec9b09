"""OpenAI's embeddings without OpenAI's client: every form of input and answer, and faults as that API tells them."""

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

from live_server import AT, BOUNDS, LiveServer, Response, Rule, Shelf, live_server
from tiny_encoder import embedding

A, B, CLS, SEP = 4, 5, 0, 3


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return embedding(tmp_path_factory.mktemp("encoder"))


@pytest.fixture(scope="module")
def server(runtime: Any) -> Iterator[LiveServer]:
    shelf = Shelf()
    shelf.deploy("tiny", 1, runtime, model="tiny")
    shelf.deploy("churn", 1, Rule())
    with live_server(shelf, bounds=replace(BOUNDS, body_rows=50)) as running:
        yield running


def ask(server: LiveServer, **fields: object) -> Response:
    return server.call("POST", "/v1/embeddings", {"model": "tiny", "input": "a b"} | fields)


def vectors(response: Response) -> Any:
    assert response.status == 200, response.body
    return np.array([each["embedding"] for each in response.json["data"]], np.float32)  # type: ignore[call-overload,index]


def fault(response: Response) -> tuple[int, str, str | None, str | None]:
    held: Any = response.json
    assert set(held) == {"error"}
    assert set(held["error"]) == {"message", "type", "param", "code"}
    assert held["error"]["message"]
    return response.status, held["error"]["type"], held["error"]["param"], held["error"]["code"]


def test_an_answer_is_what_the_api_promises(server: LiveServer, runtime: Any) -> None:
    response = ask(server, input=["a b", "c"])

    held: Any = response.json
    assert [{**each, "embedding": 0} for each in held.pop("data")] == [
        {"object": "embedding", "index": at, "embedding": 0} for at in range(2)
    ]
    assert held == {"object": "list", "model": "tiny", "usage": {"prompt_tokens": 7, "total_tokens": 7}}
    np.testing.assert_array_equal(vectors(response), runtime.embed(["a b", "c"]).vectors.values)
    assert response.headers["x-aias-version"] == "tiny@1"


def test_base64_holds_the_very_float32(server: LiveServer, runtime: Any) -> None:
    held: Any = ask(server, encoding_format="base64").json

    raw = base64.b64decode(held["data"][0]["embedding"])
    np.testing.assert_array_equal(np.frombuffer(raw, "<f4"), runtime.embed(["a b"]).vectors.values[0])


@pytest.mark.parametrize("given", [[A, B], [[A, B]], [CLS, A, B, SEP], ["a b"], " a  b "])
def test_every_form_of_a_text_has_its_vector(server: LiveServer, given: object) -> None:
    np.testing.assert_array_equal(vectors(ask(server, input=given)), vectors(ask(server)))


def test_lists_of_tokens_are_texts_of_their_own(server: LiveServer) -> None:
    np.testing.assert_array_equal(vectors(ask(server, input=[[A, B], [B]])), vectors(ask(server, input=["a b", "b"])))


def test_null_is_as_good_as_nothing_and_the_width_is_a_dimension(server: LiveServer) -> None:
    assert vectors(ask(server, encoding_format=None, dimensions=None, user=None)).shape == (1, 8)
    assert vectors(ask(server, encoding_format="float", dimensions=8, user="me")).shape == (1, 8)


@pytest.mark.parametrize("long", ["a " * 50, [A] * 50, [[A] * 50]])
def test_what_is_longer_than_the_model_reads_is_cut_and_told(server: LiveServer, long: Any) -> None:
    response = ask(server, input=long)

    assert response.json["usage"]["total_tokens"] == 32  # type: ignore[index,call-overload]
    assert response.headers["x-aias-cut"] == "0"
    np.testing.assert_array_equal(vectors(response), vectors(ask(server, input="a " * 30)))


def test_a_text_that_just_fits_is_not_cut(server: LiveServer) -> None:
    assert "x-aias-cut" not in ask(server, input="a " * 30).headers
    assert "x-aias-cut" not in ask(server, input=[A] * 30).headers
    assert ask(server, input=["a", "a " * 31]).headers["x-aias-cut"] == "1"


def test_models_are_the_endpoints_that_give_vectors(server: LiveServer) -> None:
    tiny = {"id": "tiny", "object": "model", "created": int(AT.timestamp()), "owned_by": "aias"}

    assert server.call("GET", "/v1/models", key="predict-key").json == {"object": "list", "data": [tiny]}
    assert server.call("GET", "/v1/models/tiny").json == tiny
    assert fault(server.call("GET", "/v1/models/churn")) == (404, "invalid_request_error", None, "model_not_found")


def test_faults_are_told_as_the_api_tells_them(server: LiveServer) -> None:
    invalid = "invalid_request_error"
    body = {"model": "tiny", "input": "a"}
    assert fault(ask(server, model="gpt")) == (404, invalid, None, "model_not_found")
    assert fault(server.call("POST", "/v1/embeddings", body, key=None)) == (401, invalid, None, "invalid_api_key")
    assert fault(server.call("POST", "/v1/embeddings", body, key="no")) == (401, invalid, None, "invalid_api_key")
    assert fault(server.call("POST", "/v1/embeddings", body, key="read-key")) == (403, invalid, None, "missing_scope")
    assert fault(server.call("POST", "/v1/chat/completions", body)) == (404, invalid, None, "unknown_url")
    assert fault(server.call("GET", "/v1/embeddings")) == (405, invalid, None, "method_not_supported")
    assert fault(ask(server, model="churn")) == (400, invalid, "model", "serving.bad-parameter")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": [""]}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": None}, "input"),
        ({"input": 1}, "input"),
        ({"input": 1.5}, "input"),
        ({"input": True}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": ["a", 1]}, "input"),
        ({"input": [1, "a"]}, "input"),
        ({"input": [A, None]}, "input"),
        ({"input": [A, 1.5]}, "input"),
        ({"input": [[A], "a"]}, "input"),
        ({"input": [[[A]]]}, "input"),
        ({"input": [["a"]]}, "input"),
        ({"input": [-1]}, "input"),
        ({"input": [16]}, "input"),
        ({"input": [10**30]}, "input"),
        ({"input": [A, 2**63]}, "input"),
        ({"input": ["a"] * 51}, "input"),
        ({"input": [[A]] * 51}, "input"),
        ({"input": ["a"] * 500_000}, "input"),
        ({"input": [A] * 400_000}, "input"),
        ({"input": [[]] * 500_000}, "input"),
        ({"encoding_format": "hex"}, "encoding_format"),
        ({"encoding_format": 1}, "encoding_format"),
        ({"dimensions": 4}, "dimensions"),
        ({"dimensions": "8"}, "dimensions"),
        ({"dimensions": -8}, "dimensions"),
        ({"user": 1}, "user"),
        ({"model": None}, "model"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_field_is_named(server: LiveServer, fields: dict[str, object], param: str) -> None:
    assert fault(ask(server, **fields)) == (400, "invalid_request_error", param, "serving.bad-parameter")


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"{}", b"{", b'{"model": "tiny"}', b'{"input": "a"}', b'{"model": "tiny", "input": NaN}',
        b'{"model": "tiny", "input": "a", "stream": true}', b'{"model": "tiny", "input": "\xff"}',
        b'{"model": "tiny", "input": "\\ud800"}', b'{"model": "tiny", "input": ' + b"[" * 200_000,
        b'{"model": "tiny", "input": ' + b"[" * 200_000 + b"]" * 200_000 + b"}",
    ],
    ids=lambda body: str(body[:60]),
)  # fmt: skip
def test_what_is_no_request_is_refused(server: LiveServer, body: bytes) -> None:
    response = server.call("POST", "/v1/embeddings", body, headers={"Content-Type": "application/json"})

    assert fault(response)[:2] == (400, "invalid_request_error")


def test_tokens_of_another_tokenizer_are_refused_and_the_way_out_is_told(server: LiveServer) -> None:
    """`[SEP]` in the middle of a text is nothing that this tokenizer makes."""
    response = ask(server, input=[[A, SEP, B]])

    assert fault(response)[0] == 400
    assert "check_embedding_ctx_length" in json.loads(response.body)["error"]["message"]


def test_odd_texts_have_vectors_too(server: LiveServer) -> None:
    assert np.isfinite(vectors(ask(server, input=["\x00", "🦊", "e\u0301", " ", "\u202e", "x" * 100_000]))).all()


# The same version by other ways


def test_a_table_in_a_text_is_one_text(server: LiveServer) -> None:
    # More rows than the server takes texts.
    table = json.dumps([[at] for at in range(60)])
    assert vectors(ask(server, input=[table, "a b"])).shape == (2, 8)


def test_it_answers_natively(server: LiveServer, runtime: Any) -> None:
    expected = runtime.embed(["a b"]).vectors.values[0]
    rows: Any = server.call("POST", "/predict/tiny", [{"text": "a b"}, {"text": "a " * 50}, {"text": None}]).json

    np.testing.assert_array_equal(np.array(rows[0]["vector"], np.float32), expected)
    assert [(each["tokens"], each.get("cut")) for each in rows] == [(4, None), (32, True), (2, None)]
    one: Any = server.call("POST", "/predict/tiny", {"text": "a b"}).json
    assert one == rows[0]
    assert server.call("POST", "/predict/tiny", []).json == []
    assert server.call("POST", "/predict/tiny", [{"texts": "a"}]).status == 422
    assert server.call("GET", "/predict/tiny").json["answer"]["vector"] == "8 numbers"  # type: ignore[index,call-overload]


def test_it_answers_in_csv(server: LiveServer) -> None:
    response = server.call("POST", "/predict/tiny", "text\na b\n", headers={"Content-Type": "text/csv"})

    head, row, _ = response.body.decode().split("\n")
    assert head == ",".join([*(f"vector_{at}" for at in range(8)), "tokens", "cut"])
    np.testing.assert_allclose(np.array(row.split(",")[:8], float), vectors(ask(server))[0], rtol=1e-6)


def test_it_answers_in_the_open_inference_protocol(server: LiveServer) -> None:
    body = {"inputs": [{"name": "text", "datatype": "BYTES", "shape": [2], "data": ["a b", "b"]}]}
    (output,) = server.call("POST", "/v2/models/tiny/infer", body).json["outputs"]  # type: ignore[index,call-overload]

    assert (output["name"], output["datatype"], output["shape"]) == ("vectors", "FP32", [2, 8])
    np.testing.assert_array_equal(
        np.array(output["data"], np.float32).reshape(2, 8), vectors(ask(server, input=["a b", "b"]))
    )
