"""Nothing that is over waits for the garbage collector; and when that looks."""

import asyncio
import gc
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import CoroutineType

import pytest
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

from aias.serving.bounds import Bounds
from aias.serving.connections.connection import Connection
from aias.serving.http.messages import Request
from aias.serving.processes import garbage
from aias.serving.processes.garbage import LOOK_SECONDS, collect_by_time
from live_server import BOUNDS, PATIENCE, Joined, Rule, Shelf, eventually, live_server
from raw_requests import POST

THREADS = replace(BOUNDS, inline_row_seconds=1e-12)


@pytest.fixture(scope="module", autouse=True)
def _of_this_file() -> None:
    """What was there before is not looked through again and again."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def no_collector() -> Iterator[None]:
    """Whatever leads back to itself stays."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
    gc.collect()


def alive(kind: type) -> int:
    return sum(type(each) is kind for each in gc.get_objects())


def ask(client: socket.socket, body: bytes) -> bytes:
    client.sendall(POST + b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
    return client.recv(65_536)[9:12]


@pytest.mark.parametrize(("body", "status"), [(b'[{"age": 50}]', b"200"), (b'[{"age": "old"}]', b"422")])
@pytest.mark.parametrize("bounds", [BOUNDS, THREADS], ids=["on the loop", "in threads"])
@pytest.mark.usefixtures("no_collector")
def test_what_is_answered_and_a_closed_connection_are_gone_at_once(bounds: Bounds, body: bytes, status: bytes) -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Joined())
    with live_server(shelf, bounds=bounds) as server:
        # Some that are remembered as long as the server lives.
        with server.socket() as client:
            ask(client, body)
        eventually(lambda: alive(Connection) == 0)
        before = alive(Request)
        for _ in range(5):
            with server.socket() as client:
                assert [ask(client, body) for _ in range(3)] == [status] * 3
        eventually(lambda: (alive(Connection), alive(Request)) == (0, before))


@pytest.mark.usefixtures("no_collector")
def test_what_waits_behind_a_request_goes_with_its_connection() -> None:
    shelf, model = Shelf(), Joined()
    shelf.deploy("churn", 1, model)
    with live_server(shelf, bounds=THREADS) as server:
        model.stall.clear()
        with server.socket() as client:
            client.sendall(3 * (POST + b"Content-Length: 13\r\n\r\n" + b'[{"age": 50}]'))
            eventually(lambda: alive(RequestResponseCycle) == 3)
        model.stall.set()
        eventually(lambda: (alive(Connection), alive(RequestResponseCycle)) == (0, 0))


@pytest.mark.parametrize("joins", [True, False], ids=["rows of several callers", "a handler as a whole"])
@pytest.mark.parametrize("waits", [True, False], ids=["in the queue", "in a run"])
@pytest.mark.usefixtures("no_collector")
def test_what_hung_up_before_its_answer_is_gone_at_once(joins: bool, waits: bool) -> None:
    gate = threading.Event()
    gate.set()
    model = Joined() if joins else Rule(gate=gate)
    shelf = Shelf()
    shelf.deploy("churn", 1, model)
    with live_server(shelf, bounds=THREADS, places=1) as server:

        def hold() -> None:
            gate.clear()
            if isinstance(model, Joined):
                model.stall.clear()

        def go_on() -> None:
            gate.set()
            if isinstance(model, Joined):
                model.stall.set()

        def send() -> socket.socket:
            client = server.socket()
            client.sendall(POST + b"Content-Length: 13\r\n\r\n" + b'[{"age": 50}]')
            return client

        with send() as client:
            client.recv(65_536)
        eventually(lambda: alive(Connection) == 0)
        while model.started.acquire(blocking=False):
            pass
        before = alive(CoroutineType), alive(Request)
        for _ in range(3):
            hold()
            clients = [send()]
            assert model.started.acquire(timeout=PATIENCE)
            if waits:
                clients.append(send())
                eventually(lambda: server.gateway.executor.batcher.waiting == 1)
            clients.pop().close()
            if waits:
                eventually(lambda: server.gateway.executor.batcher.waiting == 0)
            go_on()
            for each in clients:
                each.recv(65_536)
                each.close()
            eventually(lambda: alive(Connection) == 0)
        eventually(lambda: (alive(CoroutineType), alive(Request)) == before)


class Clock:
    """A loop that is told to call later."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[..., None], tuple[object, ...]]] = []

    def call_later(self, seconds: float, work: Callable[..., None], *given: object) -> None:
        self.due.append((seconds, work, given))


def test_it_looks_by_the_clock_at_what_is_new_and_now_and_then_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, looks, before = Clock(), list[int](), gc.get_threshold()
    monkeypatch.setattr(asyncio, "get_running_loop", lambda: clock)
    try:
        collect_by_time()
        assert gc.get_threshold()[0] == garbage.YOUNG_MAX
        monkeypatch.setattr(gc, "collect", looks.append)
        for _ in range(2 * garbage.ALL_EVERY):
            [(seconds, work, given)] = clock.due
            clock.due.clear()
            assert seconds == LOOK_SECONDS
            work(*given)
    finally:
        gc.set_threshold(*before)

    assert Counter(looks) == {1: 2 * garbage.ALL_EVERY - 2, 2: 2}
