"""Vectors in the batcher: texts of several callers in one run, and what a body of just bytes is."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

from aias.encoders.rows import Encoded
from aias.serving.http.messages import is_table
from live_server import BOUNDS, Shelf, live_server
from tiny_encoder import embedding

LONG = "a b " * 100


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return embedding(tmp_path_factory.mktemp("encoder"))


def test_texts_and_rows_of_several_callers_run_together_and_each_is_told_its_own(runtime: Any) -> None:
    name = runtime.manifest.inputs[0].name
    parts = [
        runtime.encode_texts(["a b", LONG]),
        runtime.encode([{name: "c"}]),
        runtime.encode_columns({name: [LONG]}, 1),
    ]

    together = runtime.answer(Encoded.join(parts))

    alone = runtime.embed(["a b", LONG, "c", LONG]).vectors
    assert together.rows == 4
    assert together.vectors.cut == alone.cut == [False, True, False, True]
    assert together.vectors.tokens == alone.tokens
    np.testing.assert_allclose(together.vectors.values, alone.values, atol=1e-5)
    last = together.part(2, 4).vectors
    assert (last.cut, last.tokens) == ([False, True], alone.tokens[2:])
    np.testing.assert_array_equal(type(together).join([together.part(0, 2), together.part(2, 4)]).vectors.values,
                                  together.vectors.values)  # fmt: skip
    taken = Encoded.join(parts).take(np.array([1, 2]))
    assert taken.cut is not None
    assert taken.cut.tolist() == [True, False]


@pytest.mark.parametrize("light", [1, 1 << 20])
def test_embeddings_wait_for_their_turn_as_all_requests_do(runtime: Any, light: int) -> None:
    shelf = Shelf()
    shelf.deploy("tiny", 1, runtime, model="tiny")
    with live_server(shelf, bounds=replace(BOUNDS, inline_row_seconds=1e-12, light_body_bytes=light)) as server:
        answer = server.call("POST", "/v1/embeddings", {"model": "tiny", "input": ["a b", LONG]})
        missing = server.call("POST", "/v1/embeddings", {"model": "none", "input": "a"})
        metrics = server.call("GET", "/metrics").body.decode()

    assert (answer.status, answer.headers["x-aias-cut"], missing.status) == (200, "1", 404)
    assert 'aias_batch_rows_sum{endpoint="tiny",version="tiny@1"} 2.0' in metrics
    assert 'aias_seconds_count{endpoint="tiny",phase="queue",version="tiny@1"} 1.0' in metrics


@pytest.mark.parametrize(
    ("media_type", "body", "table"),
    [
        (b"application/octet-stream", b"PAR1....", True),
        (b"application/octet-stream", b"ARROW1..", True),
        (b"application/octet-stream", b'{"inputs":[]}\0\0', False),
        (b"text/csv; charset=utf-8", b"age\n1\n", True),
        (b"application/json", b"[]", False),
        (b"Application/Octet-Stream", b"PAR1....", True),
        (b"Text/CSV", b"age\n1\n", True),
        (b"APPLICATION/vnd.apache.arrow.stream", b"", True),
    ],
)
def test_of_just_bytes_only_a_file_is_a_table(media_type: bytes, body: bytes, *, table: bool) -> None:
    assert is_table({b"content-type": media_type}, body) == table


@pytest.mark.parametrize(
    ("accept", "table"),
    [
        (b"application/vnd.apache.arrow.stream", True),
        (b"Application/VND.apache.arrow.file", True),
        (b"*/*;q=0.1, application/json;q=0", True),
        (b"application/*, application/json;q=none", True),
        (b"text/html, image/gif, *; q=.2, */*; q=.2", False),
        (b"application/json", False),
    ],
)
def test_an_answer_may_be_a_table_where_what_is_not_is_refused(accept: bytes, *, table: bool) -> None:
    assert is_table({b"content-type": b"application/json", b"accept": accept}) == table
