"""Our own server, made wrong in one way at a time, is found out by the suite."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from aias.testing.inference_v2.__main__ import checks
from aias.testing.inference_v2.checks import run
from aias.testing.inference_v2.probe import Probe
from aias.testing.inference_v2.remote import Refused, Remote
from aias.testing.inference_v2.wire import Answer, Wire
from live_server import LiveServer

Spoil = Callable[[str, Answer], Answer]


class Spoilt:
    """Our server's gRPC, made wrong in one way."""

    def __init__(self, remote: Remote, mistake: str) -> None:
        self._remote, self._mistake = remote, mistake

    def call(self, method: str, message: Any = b"") -> Any:
        if self._mistake == "outputs are not chosen" and isinstance(message, list):
            message = [field for field in message if field[0] != 6]
        try:
            reply = self._remote.call(method, message)
        except Refused:
            if self._mistake == "nothing is refused":
                return {}
            if self._mistake == "whose fault is not said":
                raise Refused("INTERNAL", "what now") from None
            raise
        if self._mistake == "the id is lost":
            reply.pop(3, None)
        if self._mistake == "bytes are turned around" and 6 in reply:
            reply[6] = [raw[::-1] for raw in reply[6]]
        if self._mistake == "raw outputs are lost":
            reply.pop(6, None)
        return reply


@pytest.mark.parametrize(
    ("mistake", "sentences"),
    [
        ("", []),
        ("the id is lost", ["the id comes back over grpc", "a message beyond four megabytes is read"]),
        ("outputs are not chosen", ["only the outputs that are named come over grpc"]),
        ("bytes are turned around", ["raw contents are answered as over http"]),
        ("raw outputs are lost", ["raw contents are answered as over http", "the answer is raw where the request was"]),
        (
            "nothing is refused",
            [
                "what is not there is refused over grpc",
                "raw and typed contents do not go together",
                "there is one raw content for each input",
                "raw contents that do not fit their shape are refused",
                "bytes that are no message are refused and kill nothing",
            ],
        ),
        ("whose fault is not said", ["what is not there is refused over grpc"]),
    ],
)  # fmt: skip
def test_a_server_whose_grpc_is_wrong_in_one_way_is_found_out(
    server: LiveServer, mistake: str, sentences: list[str]
) -> None:
    if server.gateway.grpc_port is None:
        pytest.skip("needs the extra `grpc`")
    key = [("Authorization", "Bearer all-key")]
    remote = Remote(server.grpc, key)
    probe = Probe(Wire(server.address, key), "churn", remote=Spoilt(remote, mistake))  # type: ignore[arg-type]

    failed = [each.check.sentence for each in run(checks("grpc"), probe) if each.result == "fail"]

    remote.close()
    assert set(sentences) <= set(failed)
    assert bool(failed) == bool(mistake)


class SpoiltWire(Wire):
    """Our server's HTTP, made wrong by a function from a request and its answer to another answer."""

    def __init__(self, url: str, spoil: Spoil) -> None:
        super().__init__(url, [("Authorization", "Bearer all-key")])
        self._spoil = spoil

    def ask_on(self, connection: Any, method: str, path: str, *more: Any) -> Answer:
        return self._spoil(path, super().ask_on(connection, method, path, *more))


def nothing_is_refused(path: str, answer: Answer) -> Answer:
    return Answer(200, {}, b"{}") if answer.status >= 400 else answer


def everything_is_our_fault(path: str, answer: Answer) -> Answer:
    return Answer(500, {}, answer.body) if answer.status >= 400 else answer


def refusals_say_nothing(path: str, answer: Answer) -> Answer:
    return Answer(answer.status, {}, b"") if answer.status >= 400 else answer


def nothing_is_counted(path: str, answer: Answer) -> Answer:
    if not path.endswith("stats"):
        return answer
    return Answer(200, {}, re.sub(rb'("count"|"inference_count"):[0-9]+', rb"\1:0", answer.body))


def the_configuration_is_of_another(path: str, answer: Answer) -> Answer:
    return Answer(200, {}, answer.body.replace(b"TYPE_FP64", b"TYPE_FP32")) if path.endswith("config") else answer


def the_index_is_empty(path: str, answer: Answer) -> Answer:
    return Answer(200, {}, b"[]") if path.endswith("index") and answer.status == 200 else answer


def the_worst_class_comes_first(path: str, answer: Answer) -> Answer:
    return Answer(answer.status, answer.headers, answer.body.replace(b":0:no", b":1:yes"))


SPOILT: list[tuple[Spoil, str, set[str]]] = [
    (nothing_is_refused, "wrong requests", {"numbers of any length are refused or read"}),
    (nothing_is_refused, "lies about bytes", set()),
    (everything_is_our_fault, "wrong requests", set()),
    (everything_is_our_fault, "lies about bytes", set()),
    (refusals_say_nothing, "lies about bytes", set()),
    (nothing_is_counted, "statistics", {"failed requests are no successes",
                                        "every duration has a count and nanoseconds",
                                        "all models are counted in one answer"}),
    (nothing_is_refused, "statistics", {"an answered request is counted", "every duration has a count and nanoseconds",
                                        "all models are counted in one answer"}),
    (the_configuration_is_of_another, "configuration", set()),
    (the_index_is_empty, "repository", {"a filter of another type is refused",
                                        "what is not in the repository cannot be loaded"}),
    (nothing_is_refused, "repository", {"the index has the model and its state"}),
    (the_worst_class_comes_first, "classification", set()),
]  # fmt: skip
"""A way to be wrong, the checks that are made, and those of them that it does not touch."""


@pytest.mark.parametrize(("spoil", "section", "untouched"), SPOILT)
def test_every_check_of_a_section_finds_a_server_out_that_is_wrong_in_it(
    server: LiveServer, spoil: Spoil, section: str, untouched: set[str]
) -> None:
    probe = Probe(SpoiltWire(server.address, spoil), "churn", patience_seconds=0)
    asked = [check for check in checks(grpc=False) if check.section == section]

    passed = {each.check.sentence for each in run(asked, probe) if each.result != "fail"}

    assert passed == untouched
