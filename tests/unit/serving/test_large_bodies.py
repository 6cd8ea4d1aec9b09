"""Large bodies are looked through in pieces: what is counted does not hang on where they end."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

import artifacts
from aias.core.errors import AiasError
from aias.core.limits import ANSWER_BYTES_MAX
from aias.core.schema import Field
from aias.encoders.rows import Encoded
from aias.registry.registry import Registry
from aias.runtimes.contract import Answers, Row
from aias.serving.formats import json_rows as rows
from aias.serving.formats.json_rows import SLACK, read_rows
from aias.serving.http.conversations import GONE_AT_ONCE, ConversationDriver
from aias.serving.http.messages import Ask, Conversation, Reply, Request
from aias.serving.refusals import TooManyRows
from aias.serving.serve import SWITCH_SECONDS
from live_server import Joined, Rule, Shelf, live_server

ONE = b'{"n": 1}'


@pytest.mark.parametrize("between", [b",", b" ,", b", ", b" ,\n  "])
@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 10, 64])
def test_rows_are_counted_across_the_ends_of_pieces(
    between: bytes, piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows, "_SMALL_BYTES", piece_bytes)
    many = [ONE] * (SLACK * 3 + 1)

    with pytest.raises(TooManyRows, match="more than 3 rows"):
        read_rows(b"[" + between.join(many) + b"]", rows_max=3)
    with pytest.raises(TooManyRows, match="30 rows; the bound is 3"):
        read_rows(b"[" + between.join(many[1:]) + b"]", rows_max=3)


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 10, 64])
@pytest.mark.parametrize(
    "values",
    [
        ["plain", "more"], ["},{", "} , {"], ['"},{"', "\\"], ["[{", "}]"], [",", '\\"},{"n": 1'], ["é},{é", ""], [],
    ],
)  # fmt: skip
@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": "), (" ,\n ", ": ")])
def test_rows_are_the_same_in_however_many_pieces_they_are_read(
    values: list[str], separators: tuple[str, str], piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [{"text": value, "n": at} for at, value in enumerate(values * 5)]
    monkeypatch.setattr(rows, "_SMALL_BYTES", piece_bytes)

    assert read_rows(json.dumps(many, separators=separators).encode(), rows_max=100) == many


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 10, 64, 1_000])
@pytest.mark.parametrize(
    "body",
    [
        b'[{"n": 1}, {"n": 2}], {"n": 3}]', b'[{"n": 1}], [{"n": 2}]', b'[{"n": 1}, {"n": 2}', b'[{"n": 1}, {"n": 2},]',
        b'[{"n": [{"m": 1}, {"m": 2}]}, {"n": 3}]', b'{"n": 1}, {"n": 2}', b'[{"n": {"m": 1}, {"n": 2}}]',
        b'[{"n": "}, {"m": 1}]', b'[{"n": 1}, {"n": 2}] }, {', b'[{"n": 1}, {"n": 01}, {"n": 2}]',
    ],
)  # fmt: skip
def test_what_is_wrong_is_wrong_in_the_same_words_in_however_many_pieces_it_is_read(
    body: bytes, piece_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AiasError) as whole:
        read_rows(body, rows_max=100)
    monkeypatch.setattr(rows, "_SMALL_BYTES", piece_bytes)
    with pytest.raises(AiasError) as pieces:
        read_rows(body, rows_max=100)

    assert pieces.value.as_dict() == whole.value.as_dict()


@pytest.mark.parametrize("age", [50, "old"])
def test_columns_are_let_go_of_once_they_are_encoded_or_refused(age: object) -> None:
    columns: dict[str, list[object]] = {"age": [age] * 500, "plan": ["pro"] * 500}

    def handler() -> Conversation:
        answers = yield Ask(500, columns=columns)
        return Reply(b"", rows=answers.rows)

    asked = SimpleNamespace(asked=SimpleNamespace(joins=Joined()), charge=None)
    driver = ConversationDriver(handler(), cast("Request", asked))
    with contextlib.suppress(AiasError):
        encoded = driver.begin()
        assert isinstance(encoded, Encoded)
        assert cast("Reply", driver.tell(Joined().answer(encoded))).rows == 500

    assert columns == {}


def test_rows_are_let_go_of_once_they_are_encoded_and_are_all_answered() -> None:
    many = [{"age": at} for at in range(1_000)]

    def handler() -> Conversation:
        answers = yield Ask(len(many), rows=many)
        return Reply(b"", rows=answers.rows)

    asked = SimpleNamespace(asked=SimpleNamespace(joins=Joined()), charge=None)
    driver = ConversationDriver(handler(), cast("Request", asked))
    encoded = driver.begin()
    assert isinstance(encoded, Encoded)
    reply = driver.tell(Joined().answer(encoded))

    assert len(many) <= GONE_AT_ONCE
    assert (encoded.rows, cast("Reply", reply).rows) == (1_000, 1_000)


ANSWER = """
import os, socket, sys
from pathlib import Path
from aias.serving.bounds import Bounds
from aias.serving.serve import answer_on

def ready():
    print(sys.getswitchinterval(), flush=True)
    os._exit(0)

listener = socket.create_server(("127.0.0.1", 0))
answer_on([listener], Path(sys.argv[1]), hosts=[], bounds=Bounds(), announce=lambda _event: None, when_ready=ready)
"""


def test_a_server_has_no_thread_keep_the_interpreter_for_long(tmp_path: Path) -> None:
    Registry.open(tmp_path).close()
    done = subprocess.run(
        [sys.executable, "-c", ANSWER, os.fspath(tmp_path)], capture_output=True, text=True, check=True,
        env=artifacts.importable(),
    )  # fmt: skip

    assert float(done.stdout) == pytest.approx(SWITCH_SECONDS)


class Wide(Rule):
    """A model of ten thousand numbers, which may all be missing."""

    def __init__(self) -> None:
        super().__init__()
        inputs = tuple(Field(f"f{at}", "number", example=1.0) for at in range(10_000))
        self.manifest = replace(self.manifest, inputs=inputs)

    def predict(self, rows: Sequence[Row]) -> Answers:
        return Answers(["yes"] * len(rows), np.full((len(rows), 2), 0.5, np.float32))

    def predict_columns(self, columns: Mapping[str, Sequence[object]], rows: int) -> Answers:
        return self.predict([{}] * rows)


def test_of_a_model_of_very_many_fields_a_request_has_fewer_rows() -> None:
    """Of ten thousand rows without a value, 30 kB, there would be a hundred million values."""
    shelf = Shelf()
    shelf.deploy("churn", 1, Wide())
    tensor = {"name": "f1", "datatype": "FP64", "shape": [1_678], "data": [1.0] * 1_678}
    with live_server(shelf) as server:
        few = server.call("POST", "/predict/churn", [{}] * 1_677)
        many = [
            server.call("POST", "/predict/churn", [{}] * 1_678),
            server.call("POST", "/predict/churn", "f1\n" + "1\n" * 1_678, headers={"Content-Type": "text/csv"}),
            server.call("POST", "/v2/models/churn/infer", {"inputs": [tensor]}),
            server.call("POST", "/invocations", {"dataframe_records": [{"f1": 1}] * 1_678}),
        ]
        config = server.call("GET", "/v2/models/churn/config").json

    assert (few.status, len(few.json)) == (200, 1_677)  # type: ignore[arg-type]
    assert [(each.status, b"1,677" in each.body) for each in many] == [(413, True)] * 4
    assert config["max_batch_size"] == 1_677  # type: ignore[index, call-overload]


class ManyClasses(Rule):
    """A model of a thousand labels, which may be given nothing."""

    def __init__(self) -> None:
        super().__init__()
        task = replace(self.manifest.task, classes=tuple(f"class {at}" for at in range(1_000)))
        self.manifest = replace(self.manifest, task=task)

    def predict(self, rows: Sequence[Row]) -> Answers:
        return Answers(["class 7"] * len(rows), np.full((len(rows), 1_000), 1.2345678e-5, np.float32))

    def predict_columns(self, columns: Mapping[str, Sequence[object]], rows: int) -> Answers:
        return self.predict([{}] * rows)


def test_of_a_model_of_very_many_classes_a_request_has_fewer_rows_as_its_answer_would_be_endless() -> None:
    """Of ten thousand rows without a value, 30 kB, there would be 270 MB of answers."""
    shelf = Shelf()
    shelf.deploy("churn", 1, ManyClasses())
    with live_server(shelf) as server:
        most = server.call("GET", "/v2/models/churn/config").json["max_batch_size"]  # type: ignore[index, call-overload]
        all_of_them = server.call("POST", "/predict/churn", [{}] * most)
        tensor = {"name": "age", "datatype": "FP64", "shape": [most + 1], "data": [1.0] * (most + 1)}
        more = [
            server.call("POST", "/predict/churn", [{}] * (most + 1)),
            server.call("POST", "/predict/churn", "age\n" + "1\n" * (most + 1), headers={"Content-Type": "text/csv"}),
            server.call("POST", "/v2/models/churn/infer", {"inputs": [tensor]}),
        ]

    assert all_of_them.status == 200
    assert 0.9 * ANSWER_BYTES_MAX < len(all_of_them.body) <= ANSWER_BYTES_MAX
    assert [(each.status, f"{most:,}".encode() in each.body) for each in more] == [(413, True)] * 3
