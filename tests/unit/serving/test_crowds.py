"""A crowd before a real server, whose models run on the loop or in threads."""

import asyncio
import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from aias.access.ledger import Ledger
from aias.access.quotas import Quota
from aias.core.events import nobody
from aias.runtimes.contract import Answers, Row
from aias.serving.batching.on_loop import OnLoop
from aias.serving.batching.slices import Slices
from aias.serving.connections.timeouts import IDLE
from aias.serving.http.messages import Reply, Request
from aias.serving.http.routes import Route
from aias.serving.refusals import TooLate
from aias.serving.survival.verdicts import CONTINUE
from live_server import BOUNDS, PATIENCE, Joined, LiveServer, Rule, Shelf, connections, eventually, live_server
from raw_requests import POST

AGES = (20, 50)
SAID = {20: "no", 50: "yes"}
LONG = replace(BOUNDS, connections=1_000_000_000)
"""Every request is long beside its share of the objective."""


def whole(age: int, *, more: bytes = b"") -> bytes:
    body = b'[{"age": %d}]' % age
    return POST + more + b"Content-Length: %d\r\n\r\n" % len(body) + body


def answer_of(client: socket.socket) -> tuple[int, str]:
    """The status of one response, and what it predicts or why it does not."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(1)
        if data == CONTINUE:  # a sweep came by before its turn: one that sends no more is asked whether it is there
            data = b""
    length, body = int(data.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]), b""
    while len(body) < length:
        body += client.recv(length - len(body))
    said = json.loads(body)
    if isinstance(said, list):
        return int(data[9:12]), said[0]["prediction"]
    # At /invocations they are MLflow's.
    return int(data[9:12]), said["predictions"][0] if "predictions" in said else said.get("error", {}).get("code", "")


@contextmanager
def crowd(server: LiveServer, count: int) -> Iterator[tuple[list[socket.socket], threading.Event]]:
    """Callers whose head is known; what they send inside is heard in one turn, afterwards."""
    with ExitStack() as held:
        callers = [held.enter_context(server.socket()) for _ in range(count)]
        for each in callers:
            each.sendall(whole(50))
            assert answer_of(each) == (200, "yes")
        go_on, stands = threading.Event(), threading.Event()

        def stand_still() -> None:
            stands.set()
            go_on.wait(PATIENCE)

        loop = next(iter(server.gateway._server.server_state.connections)).loop
        loop.call_soon_threadsafe(stand_still)
        assert stands.wait(PATIENCE)
        yield callers, go_on
        go_on.set()


def test_of_a_crowd_each_gets_its_own_answer() -> None:
    with live_server(bounds=LONG) as server, crowd(server, 40) as (callers, go_on):
        for at, each in enumerate(callers):
            each.sendall(whole(AGES[at % 2]))
        go_on.set()

        assert [answer_of(each) for each in callers] == [(200, SAID[AGES[at % 2]]) for at in range(40)]


def test_what_a_caller_sends_behind_a_request_that_waits_is_answered_after_it() -> None:
    with live_server(bounds=LONG) as server, crowd(server, 20) as (callers, go_on):
        for each in callers:
            each.sendall(whole(20))
        go_on.set()
        for each in callers:
            each.sendall(whole(50) + whole(20))

        assert [[answer_of(each)[1] for _ in range(3)] for each in callers] == [["no", "yes", "no"]] * 20


def test_who_sends_no_more_or_has_gone_is_answered_or_forgotten() -> None:
    with live_server(bounds=LONG) as server:
        with crowd(server, 20) as (callers, go_on):
            for at, each in enumerate(callers):
                each.sendall(whole(50))
                if at % 2:
                    each.shutdown(socket.SHUT_WR)
                elif at % 4:
                    each.close()
            go_on.set()
            assert all(answer_of(each) == (200, "yes") for each in callers[1::2])
            assert all(answer_of(each) == (200, "yes") for each in callers[::4])
        assert server.call("POST", "/predict/churn", [{"age": 20}]).json[0]["prediction"] == "no"  # type: ignore[index]


class Counted(Rule):
    runs = 0

    def predict(self, rows: Sequence[Row]) -> Answers:
        self.runs += 1
        return super().predict(rows)


# On the long way a caller that closes without a reset is found out by the sweep, whenever that comes.
@pytest.mark.parametrize(("known", "resets"), [(True, True), (True, False), (False, True)])
def test_who_has_gone_before_its_turn_on_the_loop_is_not_run(known: bool, resets: bool) -> None:
    shelf, model, more = Shelf(), Counted(), b"" if known else b"X-Unknown: %d\r\nExpect: nothing\r\n"
    shelf.deploy("churn", 1, model)
    with live_server(shelf, bounds=LONG) as server:
        # One request in each turn, so that the loop hears of all others meanwhile.
        server.gateway.application._loop._slices = Slices(seconds=1e-9, share=0.0)
        with crowd(server, 40) as (callers, go_on):
            model.runs = 0
            for at, each in enumerate(callers):
                each.sendall(whole(50, more=more % at if more else b""))
                if at >= 20:
                    if resets:
                        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    each.close()
            go_on.set()
            assert {answer_of(each) for each in callers[:20]} == {(200, "yes")}
        eventually(lambda: server.gateway.metrics.refusals["serving.caller-gone", "churn", "churn@1"] >= 10)
        assert 20 <= model.runs <= 30


@contextmanager
def in_threads() -> Iterator[LiveServer]:
    """A server whose model runs in threads, and which reads for them on the loop."""
    shelf = Shelf()
    shelf.deploy("churn", 1, Joined())
    with live_server(shelf, bounds=replace(BOUNDS, inline_row_seconds=1e-12, light_seconds=1.0)) as server:
        yield server


def test_a_crowd_that_asks_a_model_in_threads_is_read_in_slices_and_each_gets_its_own_answer() -> None:
    bad = POST + b"Content-Length: 16\r\n\r\n" + b'[{"age": "old"}]'
    sent, said = (whole(20), whole(50), bad), ((200, "no"), (200, "yes"), (422, "data.bad-value"))
    with in_threads() as server, crowd(server, 40) as (callers, go_on):
        added, reading = list[float](), server.gateway.application._threads._reading
        add = reading.add
        reading.add = lambda seconds, *more, **named: (added.append(seconds), add(seconds, *more, **named))  # type: ignore[assignment, func-returns-value]
        for at, each in enumerate(callers):
            each.sendall(sent[at % 3])
        go_on.set()

        assert [answer_of(each) for each in callers] == [said[at % 3] for at in range(40)]
        assert len(added) > 20
        assert reading.waiting == 0


def test_who_goes_before_it_is_read_keeps_nobody_waiting() -> None:
    with in_threads() as server, crowd(server, 40) as (callers, go_on):
        for at, each in enumerate(callers):
            each.sendall(whole(50))
            if at % 2:
                each.close()
        server.gateway.stop()
        go_on.set()

        assert {answer_of(each) for each in callers[::2]} == {(200, "yes")}


def test_a_server_that_stops_answers_those_that_wait_on_the_loop() -> None:
    with live_server(bounds=LONG) as server, crowd(server, 30) as (callers, go_on):
        for each in callers:
            each.sendall(whole(50))
        server.gateway.stop()
        go_on.set()

        assert {answer_of(each) for each in callers} == {(200, "yes")}
        assert {each.recv(10) for each in callers} == {b""}


def test_whose_deadline_passes_while_it_waits_is_told_so_and_not_run() -> None:
    soon, told = list[Callable[[], None]](), list[Reply | Exception]()
    with live_server() as server:
        on_loop = OnLoop(None, metrics=server.gateway.metrics, watch=nobody, bounds=BOUNDS)
        on_loop._slices = Slices(later=soon.append)
        route = Route("POST", "/predict/{endpoint}", "predict", lambda _request: Reply(b"run"))
        for deadline in (time.monotonic() - 1, time.monotonic() + 1_000):
            request = Request("POST", "/predict/churn", "r", {}, {"endpoint": "churn"}, deadline=deadline)
            request.model = server.gateway.router.find("churn")
            on_loop._slices.begins()
            on_loop.later(route, request, told.append)
        soon[0]()

    assert isinstance(told[0], TooLate)
    assert isinstance(told[1], Reply)


@pytest.mark.parametrize(
    ("told", "bound"), [(b"", {"answer_seconds": 0.5}), (b"X-Deadline-Ms: 1500\r\n", {"answer_seconds": 300.0})]
)
@pytest.mark.parametrize("length", [b"Content-Length: 13\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\nd\r\n"])
def test_who_waits_on_the_loop_behind_others_without_end_is_told_when_its_time_is_over(
    told: bytes, bound: dict[str, float], length: bytes
) -> None:
    stuck = Slices(later=[].append)
    stuck.begins()
    with live_server(bounds=replace(LONG, **bound)) as server, server.socket() as client:
        server.gateway.application._loop._slices = stuck
        client.sendall(POST + b"X-Priority: low\r\n" + told + length + b'[{"age": 50}]')
        if b"chunked" in length:
            client.sendall(b"\r\n0\r\n\r\n")

        assert answer_of(client) == (504, "serving.too-late")


def test_a_head_that_nobody_knows_waits_for_its_turn_like_all_others(tmp_path: Path) -> None:
    quotas = {"some": (Quota(5, "requests", "day"),)}
    with live_server(bounds=LONG, quotas=quotas, ledger=lambda: Ledger.open(tmp_path)) as server:
        application = server.gateway.application
        pairs = [(b"host", b"localhost"), (b"authorization", b"Bearer some"), (b"content-length", b"13")]
        found = application.heads.of(b"/predict/churn", pairs)
        assert found is not None

        async def turn() -> list[bytes | None]:
            return [application.at_once(found, b'[{"age": 50}]', ()) for _ in range(3)]

        first, *others = asyncio.run(turn())

    assert first is not None
    assert b'"requests-day";r=4' in first
    # Nothing has been done for them, and nothing taken.
    assert others == [None, None]
    with closing(Ledger.open(tmp_path)) as ledger:
        assert [each.used for each in ledger.used("some", quotas["some"])] == [1]


def test_who_waits_for_its_turn_holds_no_row_meanwhile(tmp_path: Path) -> None:
    quotas = {"some": (Quota(5, "requests", "day"), Quota(3, "rows", "day"))}
    said: list[bytes] = []
    with (
        live_server(bounds=LONG, quotas=quotas, ledger=lambda: Ledger.open(tmp_path)) as server,
        closing(Ledger.open(tmp_path)) as ledger,
    ):
        application = server.gateway.application
        pairs = [(b"host", b"localhost"), (b"authorization", b"Bearer some"), (b"content-length", b"13")]
        found = application.heads.of(b"/predict/churn", pairs)
        assert found is not None

        async def turn() -> list[int]:
            bodies = b'[{"age": 50}]', b'[{"age": 50,]', b'[{"age": 50}]', b'[{"age": 50}]'
            waiting = [application.at_once(found, body, (), None, said.append) for body in bodies].count(b"")
            meanwhile = [each.used for each in ledger.used("some", quotas["some"])]
            while len(said) < waiting:
                await asyncio.sleep(0)
            return meanwhile

        assert asyncio.run(turn()) == [4, 1]
        assert [each[9:12] for each in said] == [b"400", b"200", b"200"]
        assert [each.used for each in ledger.used("some", quotas["some"])] == [4, 3]


def test_beyond_the_objective_a_crowd_is_refused_at_once_whatever_form_its_requests_have() -> None:
    chunked = POST + b"Transfer-Encoding: chunked\r\n\r\nd\r\n" + b'[{"age": 50}]' + b"\r\n0\r\n\r\n"
    with live_server(bounds=replace(LONG, objective_seconds=1e-4)) as server, crowd(server, 90) as (callers, go_on):
        for at, each in enumerate(callers):
            each.sendall(chunked if at % 3 == 2 else whole(AGES[at % 2]))
        go_on.set()
        told = [answer_of(each) for each in callers]

    assert {status for status, _ in told} == {200, 503}
    for at, (status, said) in enumerate(told):
        assert said == ("serving.overloaded" if status == 503 else "yes" if at % 3 == 2 else SAID[AGES[at % 2]])


def test_who_would_wait_too_long_is_refused_by_its_head_and_goes_on_with_the_same_connection() -> None:
    body = b'[{"age": 50}]' + b" " * 20_000
    head = POST + b"Content-Length: %d\r\n\r\n" % len(body)
    stuck = Slices(later=[].append)
    stuck.begins()
    stuck.add(PATIENCE, lambda: None, payer="another", priority=1)
    stuck.add(PATIENCE, lambda: None, payer="all-key", priority=1)
    with live_server(bounds=replace(LONG, inline_seconds=10.0)) as server, server.socket() as client:
        on_loop = server.gateway.application._loop
        on_loop._slices = stuck
        client.sendall(head)
        assert answer_of(client) == (503, "serving.overloaded")
        on_loop._slices = Slices()
        client.sendall(body + head + body)

        assert answer_of(client) == (200, "yes")


def test_who_names_the_endpoint_in_a_header_or_not_at_all_is_refused_by_its_head_too() -> None:
    body = b'{"inputs":{"age":[50]}}' + b" " * 20_000
    named = b"X-Amzn-SageMaker-Target-Model: churn\r\nContent-Length: %d\r\n\r\n" % len(body)
    head = POST.replace(b"/predict/churn", b"/invocations") + named
    stuck = Slices(later=[].append)
    stuck.begins()
    for payer in ("another", "all-key"):
        stuck.add(PATIENCE, lambda: None, payer=payer, priority=1)
    with live_server(bounds=replace(LONG, inline_seconds=10.0)) as server, server.socket() as client:
        application = server.gateway.application
        application._loop._slices = stuck
        application.repeated_refusals._clock = lambda: 0.0
        for asked in (head, head.replace(b"Host", b"Traceparent: 00-a\r\nHost"), head):
            client.sendall(asked)
            assert answer_of(client) == (503, "")
            client.sendall(body)
        assert application.repeated_refusals.said
        application.repeated_refusals.said.clear()
        application._loop._slices = Slices()
        client.sendall(head + body)

        assert answer_of(client) == (200, "yes")


def test_whoever_comes_again_when_he_is_told_is_looked_at_anew() -> None:
    stuck = Slices(later=[].append)
    stuck.begins()
    for payer in ("another", "all-key"):
        stuck.add(0.8001, lambda: None, payer=payer, priority=1)
    with live_server(bounds=replace(LONG, objective_seconds=1.0)) as server:
        application = server.gateway.application
        application._loop._slices = stuck
        refused = server.call("POST", "/predict/churn", [{"age": 50}])
        [said] = application.repeated_refusals.said.values()
        told = application.repeated_refusals._clock() + int(refused.headers["retry-after-ms"]) / 1_000

    assert refused.status == 503
    assert told >= said.until


def test_what_is_refused_behind_a_request_that_waits_is_answered_after_it_too() -> None:
    """Also on a new connection, whose first request has a head that is known, and that others were just refused."""
    turns, body = list[Callable[[], None]](), b'{"error":{"code":"serving.overloaded"}}'
    with live_server(bounds=LONG) as server, ExitStack() as held:
        before, client = (held.enter_context(server.socket()) for _ in range(2))
        application = server.gateway.application
        before.sendall(whole(50))
        assert answer_of(before) == (200, "yes")
        application._loop._slices = stuck = Slices(later=turns.append)
        before.sendall(whole(50))
        assert answer_of(before) == (200, "yes")
        client.sendall(whole(20))
        eventually(lambda: stuck.waiting == 1)
        [waiting] = [each for each in connections(server) if each._is_waiting]

        head = application.heads.recall(whole(50)[: -len(b'[{"age": 50}]')])
        assert head is not None
        refused = application.request(head, None)
        said = b"HTTP/1.1 503 Service Unavailable\r\nx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b"
        application.repeated_refusals._clock = lambda: 0.0
        application.repeated_refusals.keep(
            head, refused, Reply(b"", 503), said % (refused.id.encode(), len(body), body), 1.0
        )
        client.sendall(whole(50))
        eventually(lambda: waiting._behind or not waiting._is_waiting or waiting._phase is IDLE)
        waiting.loop.call_soon_threadsafe(turns.pop(0))

        assert [answer_of(client) for _ in range(2)] == [(200, "no"), (503, "serving.overloaded")]
