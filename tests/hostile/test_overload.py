"""More is asked than can be answered: refused by the head alone, in whatever form it comes."""

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from aias.access.ledger import Ledger
from aias.access.quotas import Quota
from aias.registry.rollout.trial import Guard, Trial
from aias.serving.admission.early_refusals import SKIP_BYTES_MAX
from aias.serving.batching.costs import Cost
from aias.serving.batching.tickets import WAIT_SHARE, Ticket
from aias.serving.bounds import Bounds
from aias.serving.rollout.collector import EvidenceCollector
from aias.serving.rollout.split import Canary, Split
from live_server import (
    AT,
    BOUNDS,
    PATIENCE,
    Joined,
    LiveServer,
    Rule,
    Shelf,
    eventually,
    live_server,
    read_all,
    samples,
)  # fmt: skip

BODY = b'[{"age": 50}]'
BOUNDS_HERE = replace(BOUNDS, inline_row_seconds=1e-12)
REFUSED = (("endpoint", "churn"), ("reason", "serving.overloaded"), ("version", "churn@1"))


def head(length: int = len(BODY), *more: str, key: str = "all-key", http: str = "HTTP/1.1") -> bytes:
    lines = [f"POST /predict/churn {http}", "Host: localhost", f"Authorization: Bearer {key}", *more]
    return "\r\n".join(
        [*lines, f"Content-Length: {length}" if length >= 0 else "Transfer-Encoding: chunked", "", ""]
    ).encode()


LATE = "X-Deadline-Ms: 1000"
"""What nobody can keep while a run stands still."""


@contextmanager
def full(tmp_path: Path, bounds: Bounds = BOUNDS_HERE) -> Iterator[tuple[LiveServer, Joined]]:
    """A server whose only place is taken, with one caller waiting."""
    shelf, model = Shelf(), Joined()
    shelf.deploy("churn", 1, model)
    quotas = {"spent": (Quota(1, "requests", "day"),), "some": (Quota(5, "requests", "day"),)}
    with live_server(shelf, bounds=bounds, places=1, quotas=quotas, ledger=lambda: Ledger.open(tmp_path)) as server:
        # So long that a second is in vain, and no lag is a second.
        server.gateway.router.find("churn").flow.cost = Cost(0.001, 10.0)
        assert server.call("POST", "/predict/churn", [{"age": 1}], key="spent").status == 200
        model.stall.clear()
        try:
            with server.socket() as first, server.socket() as second:
                for each in (first, second):
                    each.sendall(head() + BODY)
                eventually(lambda: server.gateway.executor.batcher.waiting == 1)
                yield server, model
        finally:
            model.stall.set()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with full(tmp_path_factory.mktemp("home")) as (running, _):
        yield running


def answer_of(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        assert more, data
        data += more
    top, _, body = data.partition(b"\r\n\r\n")
    first, *lines = top.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    while len(body) < int(headers["content-length"]):
        body += client.recv(65536)
    return int(first.split()[1]), headers, body[: int(headers["content-length"])]


def _of(said: bytes) -> tuple[int, dict[str, str], bytes]:
    top, _, body = said.partition(b"\r\n\r\n")
    first, *lines = top.decode().split("\r\n")
    return int(first.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def assert_refused(answer: tuple[int, dict[str, str], bytes]) -> None:
    status, headers, body = answer
    assert (status, json.loads(body)["error"]["code"]) == (503, "serving.overloaded")
    assert int(headers["retry-after"]) >= 1


def test_a_refusal_does_not_wait_for_the_body_and_keeps_the_connection(server: LiveServer) -> None:
    with server.socket() as client:
        # The first is parsed, the second known; each is skipped to its last byte.
        for _ in range(3):
            client.sendall(head(len(BODY), LATE) + BODY[:4])
            assert_refused(answer_of(client))
            client.sendall(BODY[4:])
        client.sendall(head(key="mistyped") + BODY)
        assert answer_of(client)[0] == 401


def test_what_follows_a_skipped_body_in_the_same_read_is_heard(server: LiveServer) -> None:
    with server.socket() as client:
        for _ in range(2):
            client.sendall(head(len(BODY), LATE) + BODY[:4])
            assert_refused(answer_of(client))
            client.sendall(BODY[4:] + head(len(BODY), LATE) + BODY)
            assert_refused(answer_of(client))


def test_requests_behind_a_refusal_are_answered_in_their_order(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(
            b"".join(head(len(BODY), LATE, f"X-Request-Id: r{at}") + BODY for at in range(4))
            + head(len(BODY), "Connection: close", "X-Request-Id: r4", key="mistyped") + BODY
        )  # fmt: skip
        said = read_all(client)

    places = [said.index(b"x-request-id: r%d\r" % at) for at in range(5)]
    assert places == sorted(places)
    assert (said.count(b"HTTP/1.1 503 "), said.count(b"HTTP/1.1 401 ")) == (4, 1)


def test_of_a_large_body_no_more_is_read_and_the_connection_ends(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(head(10 * SKIP_BYTES_MAX, LATE) + b"[")
        answer = answer_of(client)

        assert_refused(answer)
        assert answer[1]["connection"] == "close"
        assert client.recv(10) == b""


def test_who_never_sends_the_rest_of_a_refused_body_is_cut_without_a_second_answer(tmp_path: Path) -> None:
    with full(tmp_path, replace(BOUNDS_HERE, body_idle_seconds=0.5)) as (running, _):
        for _ in range(2):
            with running.socket() as client:
                client.sendall(head(len(BODY), LATE) + BODY[:4])
                assert_refused(answer_of(client))
                assert read_all(client) == b""


def test_nobody_is_told_to_send_a_body_that_is_refused(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(head(len(BODY), LATE, "Expect: 100-continue"))

        assert_refused(answer_of(client))


def test_a_body_in_chunks_is_refused_before_its_first_and_keeps_the_connection(server: LiveServer) -> None:
    chunk = b"%x\r\n%b\r\n" % (len(BODY), BODY)
    with server.socket() as client:
        for _ in range(2):
            client.sendall(head(-1, LATE))
            assert_refused(answer_of(client))
            client.sendall(chunk + b"0\r\n\r\n" + head(-1, LATE) + chunk + b"0\r\n\r\n")
            assert_refused(answer_of(client))


def test_of_chunks_that_go_on_and_on_after_a_refusal_no_more_is_read(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(head(-1, LATE))
        assert_refused(answer_of(client))
        with contextlib.suppress(OSError):
            for _ in range(10):
                client.sendall(b"%x\r\n%b\r\n" % (SKIP_BYTES_MAX // 4, b" " * (SKIP_BYTES_MAX // 4)))
            client.sendall(b"0\r\n\r\n" + head(key="mistyped") + BODY)

        assert read_all(client) == b""


def test_who_is_refused_and_then_sends_nonsense_gets_no_second_answer(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(head(-1, LATE))
        assert_refused(answer_of(client))
        client.sendall(b"no length\r\n" + BODY)

        assert read_all(client) == b""


@pytest.mark.parametrize("first", [10_000, 9, 90])
def test_what_stands_behind_the_last_request_of_a_connection_is_not_run(tmp_path: Path, first: int) -> None:
    """Whether it comes in one piece or in two."""
    sent = head(len(BODY), LATE, "Connection: close") + BODY + head(key="some") + BODY
    with full(tmp_path) as (running, model):
        with running.socket() as client:
            client.sendall(sent[:first])
            samples(running)  # what came before has been read
            client.sendall(sent[first:])
            said = read_all(client)
            assert said.count(b"HTTP/1.1 ") == 1
            assert_refused(_of(said))
        model.stall.set()
        eventually(lambda: running.gateway.executor.batcher.waiting == 0)
        asked = running.call("POST", "/predict/churn", [{"age": 1}], key="some")

    assert '"requests-day";r=4' in asked.headers["ratelimit"]


def test_what_is_refused_costs_nothing_of_a_quota(tmp_path: Path) -> None:
    with full(tmp_path) as (running, model):
        with running.socket() as client:
            for _ in range(20):
                client.sendall(head(len(BODY), LATE, key="some") + BODY)
                refused = answer_of(client)
                assert_refused(refused)
                assert '"requests-day";r=5' in refused[1]["ratelimit"]
        model.stall.set()
        asked = running.call("POST", "/predict/churn", [{"age": 1}], key="some")

    assert '"requests-day";r=4' in asked.headers["ratelimit"]


@pytest.mark.parametrize("first", [10_000, 9, 90])
def test_who_has_sent_the_body_without_being_asked_may_go_on_when_refused(tmp_path: Path, first: int) -> None:
    sent = head(len(BODY), LATE, "Expect: 100-continue") + BODY + head(len(BODY), LATE, "Connection: close") + BODY
    with full(tmp_path) as (running, _), running.socket() as client:
        client.sendall(sent[:first])
        samples(running)
        client.sendall(sent[first:])
        said = read_all(client)

    _, *answers = said.split(b"HTTP/1.1 ")
    for each in answers:
        assert_refused(_of(b"HTTP/1.1 " + each))
    assert [b"connection: close" in each.lower() for each in answers] == [False, True]


@pytest.mark.parametrize("behind", [b"nonsense\r\n\r\n", head(-1) + b"nonsense\r\n", head(http="HTTP/1.1\r\nno colon")])
def test_nonsense_behind_a_request_is_no_answer_to_it(
    tmp_path: Path, behind: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with full(tmp_path) as (running, model), running.socket() as client:
        client.sendall(head() + BODY + behind)
        eventually(lambda: running.gateway.executor.batcher.waiting == 2)
        eventually(lambda: ("serving.bad-request", "", "") in running.gateway.metrics.refusals)
        model.stall.set()
        said = read_all(client)

    assert (said.count(b"HTTP/1.1 200 "), said.count(b"HTTP/1.1 4")) == (1, 0)
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


@pytest.mark.parametrize(
    ("more", "http"), [((), "HTTP/1.0"), (("Connection: close",), "HTTP/1.1"), (("Expect: 100-continue",), "HTTP/1.1")]
)
def test_who_may_ask_no_more_is_told_that_the_connection_ends(
    server: LiveServer, more: tuple[str, ...], http: str
) -> None:
    with server.socket() as client:
        client.sendall(head(len(BODY), LATE, *more, http=http) + BODY * ("Expect" not in "".join(more)))
        answer = answer_of(client)

        assert_refused(answer)
        assert answer[1]["connection"] == "close"
        assert client.recv(10) == b""


def test_all_that_come_in_one_turn_are_weighed_against_each_other(tmp_path: Path) -> None:
    """And not each against the queue that was there before: most would be let in, and refused later, dearly."""
    with full(tmp_path) as (running, _):
        application, batcher = running.gateway.application, running.gateway.executor.batcher
        flow = running.gateway.router.find("churn").flow
        flow.cost = Cost(10.0, 0.0)  # so long that no moment in which the machine stands still is half of it
        waits = batcher.expected_wait(Ticket(flow, "all-key", 1, lambda *_: None))
        flow.objective_seconds = (waits + 25) / WAIT_SHARE
        said_of = dict(line.lower().encode().split(b": ") for line in head().decode().split("\r\n")[1:-2])
        known = application.heads.of(b"/predict/churn", list(said_of.items()))
        assert known is not None

        async def turn() -> list[object]:
            return [application.look(known, (), None, whole=True, ends=False) for _ in range(6)]

        said = asyncio.run(turn())
        for each in said[:3]:
            batcher.withdraw(each)

    assert [type(each) for each in said] == [Ticket] * 3 + [bytes] * 3


@pytest.mark.parametrize(("key", "status"), [("mistyped", 401), ("read-key", 403), ("spent", 429)])
def test_who_may_not_ask_learns_no_more_than_ever(server: LiveServer, key: str, status: int) -> None:
    with server.socket() as client:
        for body in (BODY[:4], BODY):
            client.sendall(head(len(BODY), LATE, key=key) + body)
            told, headers, text = answer_of(client)
            client.sendall(BODY[len(body) :])

            assert told == status
            assert b"overloaded" not in text
            assert ("x-aias-version" in headers) == (status == 429)
            if status != 429:
                break


def test_where_a_canary_would_answer_it_is_asked_by_the_head_too(tmp_path: Path) -> None:
    with full(tmp_path) as (running, _):
        router, flow = running.gateway.router, running.gateway.router.find("churn").flow
        two = replace(router.find("churn"), version="churn@2", number=2)
        trial = Trial(1, "churn", "churn", 2, "d", "canary", 10_000, "key", Guard(), AT)
        canary = Canary(trial, two, EvidenceCollector(trial.guard), 10_000)
        router.stage.splits = {"churn": Split("churn", 1, live=router.find("churn"), canaries=[canary])}
        with running.socket() as client:
            client.sendall(head(len(BODY), LATE) + BODY[:4])
            answer = answer_of(client)

    assert flow is two.flow
    assert_refused(answer)
    assert (answer[1]["x-aias-version"], "connection" in answer[1]) == ("churn@2", False)


def test_refusals_are_counted_with_their_endpoint_and_version(server: LiveServer) -> None:
    def refusals() -> float:
        return samples(server).get(("aias_refusals_total", REFUSED), 0.0)

    before = refusals()
    with server.socket() as client:
        for _ in range(3):
            client.sendall(head(len(BODY), LATE) + BODY)
            assert_refused(answer_of(client))

    assert refusals() == before + 3


def test_who_is_in_time_is_let_in_beside_those_that_are_not(tmp_path: Path) -> None:
    with full(tmp_path) as (running, model), running.socket() as late, running.socket() as patient:
        late.sendall(head(len(BODY), LATE) + BODY)
        assert_refused(answer_of(late))
        patient.sendall(head(len(BODY), "X-Deadline-Ms: 60000", "X-Priority: high") + BODY)
        eventually(lambda: running.gateway.executor.batcher.waiting == 2)
        model.stall.set()

        assert answer_of(patient)[0] == 200
        eventually(lambda: running.gateway.executor.batcher.waiting == 0)


def test_whom_the_parser_refuses_after_its_head_has_let_it_in_keeps_no_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [f"X-B3-A{at}: 1" for at in range(110)]
    with full(tmp_path) as (running, _):
        batcher = running.gateway.executor.batcher
        for known in (100, 1_000):  # lines that are known as a head like others: as many as the parser takes, or more
            monkeypatch.setattr("aias.serving.http.heads.HEADERS_MAX", known)
            for _ in range(3):
                with running.socket() as late, running.socket() as client:
                    late.sendall(head(len(BODY), LATE) + BODY)
                    assert_refused(answer_of(late))
                    client.sendall(head(len(BODY), "X-Deadline-Ms: 60000", *many) + BODY)
                    assert answer_of(client)[0] == 431
            eventually(lambda: batcher.waiting == 1)


def test_who_would_wait_too_long_for_a_thread_is_told_at_once() -> None:
    gate = threading.Event()
    gate.set()
    shelf, slow = Shelf(), Rule(gate=gate)
    shelf.deploy("churn", 1, slow)
    csv = {"Content-Type": "text/csv"}
    with live_server(shelf, bounds=replace(BOUNDS, waiting_requests=1), places=1) as server:
        for _ in range(5):
            assert slow.started.acquire(timeout=PATIENCE)  # the trials at loading
        gate.clear()
        statuses: list[int] = []

        def ask() -> None:
            statuses.append(server.call("POST", "/predict/churn", "age\n50\n", headers=csv).status)

        threads = [threading.Thread(target=ask) for _ in range(2)]
        threads[0].start()
        assert slow.started.acquire(timeout=PATIENCE)
        threads[1].start()
        eventually(lambda: server.gateway.executor.batcher.waiting == 1)
        third = server.call("POST", "/predict/churn", "age\n50\n", headers=csv)
        gate.set()
        for thread in threads:
            thread.join(PATIENCE)

    assert statuses == [200, 200]
    assert (third.status, third.headers["retry-after"]) == (503, "1")
