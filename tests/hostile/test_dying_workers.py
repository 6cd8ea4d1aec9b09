"""Workers die, hang and are replaced under load: every request is answered, once and rightly, but those that did it."""

import http.client
import json
import os
import random
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict

import mortal_worker
import pytest
from mortal_worker import DEADLY, ENDLESS

import artifacts
from aias.core.events import Event
from aias.serving.bounds import Bounds
from aias.serving.ports import listen
from aias.serving.supervisor import Orders, Supervisor
from aias.serving.survival.keeper import can_keep
from serving_house import BOUNDS, eventually

pytestmark = pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")

HEADERS = {"Authorization": "Bearer all-key", "Content-Type": "application/json"}
PATIENCE = 120
"""Seconds; on a quiet machine it takes a tenth of one."""


class Server:
    def __init__(self, workers: int, bounds: Bounds) -> None:
        self.events: list[Event] = []
        first = listen("127.0.0.1", 0, shared=True)
        self.port = first.getsockname()[1]
        sockets = [first, *(listen("127.0.0.1", self.port, shared=True) for _ in range(workers - 1))]
        orders = Orders("", [], access_log=0.0, bounds=asdict(bounds), places=2, index=0, folder="", descriptor=-1)
        self.supervisor = Supervisor(
            orders, workers=workers, listen=sockets.pop, announce=self.events.append, program=(mortal_worker.__file__,)
        )
        self.up = threading.Event()
        self.thread = threading.Thread(target=self.supervisor.run, args=(self.up.set,))

    def call(self, endpoint: str, *ages: int) -> tuple[int, object]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            return ask(connection, endpoint, *ages)
        finally:
            connection.close()

    def told(self, name: str) -> int:
        return len([event for event in self.events if event.name == name])

    def whole(self) -> bool:
        return len(self.supervisor._heirs()) == len(self.supervisor._workers) == len(self.supervisor.pids)


class Client(threading.Thread):
    """Asks on one connection that must never be closed, over and over, and looks at each answer."""

    def __init__(self, server: Server, endpoint: str, seed: int) -> None:
        super().__init__()
        self.endpoint, self.random, self.enough = endpoint, random.Random(seed), threading.Event()
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        self.connection.auto_open = 0
        self.connection.connect()
        self.answered, self.faults = 0, list[object]()

    def run(self) -> None:
        while not self.enough.is_set() and not self.faults:
            ages = [self.random.choice((20, 30, 50, 60)) for _ in range(self.random.choice((1, 1, 2, 200)))]
            try:
                status, answers = ask(self.connection, self.endpoint, *ages)
                if status != 200 or [each["prediction"] == "yes" for each in answers] != [age >= 40 for age in ages]:
                    self.faults.append((status, answers))
            except Exception as fault:
                self.faults.append(fault)
            self.answered += 1
        self.connection.close()


def ask(connection: http.client.HTTPConnection, endpoint: str, *ages: int) -> tuple[int, object]:
    connection.request("POST", f"/predict/{endpoint}", json.dumps([{"age": age} for age in ages]), HEADERS)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


@contextmanager
def serving(workers: int = 2, **bounds: float) -> Iterator[Server]:
    os.environ["PYTHONPATH"] = artifacts.importable()["PYTHONPATH"]
    server = Server(workers, Bounds(**{"drain_seconds": BOUNDS.drain_seconds, "objective_seconds": PATIENCE, **bounds}))
    server.thread.start()
    try:
        assert server.up.wait(PATIENCE), "the server did not start"
        yield server
    finally:
        server.supervisor.stop()
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive()


@contextmanager
def load(server: Server, **endpoints: int) -> Iterator[list[Client]]:
    clients = [Client(server, name, seed) for name, count in endpoints.items() for seed in range(count)]
    for client in clients:
        client.start()
    try:
        yield clients
        more(clients)
    finally:
        for client in clients:
            client.enough.set()
        for client in clients:
            client.join(PATIENCE)
    assert [fault for client in clients for fault in client.faults] == []


def more(clients: list[Client], answers: int = 5) -> None:
    """Until each has been answered so often again."""
    seen = [client.answered for client in clients]
    eventually(lambda: all(c.answered >= n + answers or c.faults for c, n in zip(clients, seen, strict=True)), PATIENCE)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(loop_seconds=5.0) as running:
        yield running


def test_workers_are_killed_under_load_and_no_caller_notices(server: Server) -> None:
    with load(server, good=3, slow=2) as clients:
        for at in range(3):
            more(clients)
            eventually(server.whole, PATIENCE)
            os.kill(server.supervisor.pids[at % 2], signal.SIGKILL)
            eventually(lambda at=at: server.told("serve.worker-died") == at + 1, PATIENCE)
        eventually(server.whole, PATIENCE)

    assert server.told("serve.quarantined") == 0


def test_workers_are_renewed_under_load_and_no_connection_is_closed(server: Server) -> None:
    died, before = server.told("serve.worker-died"), set(server.supervisor.pids)
    with load(server, good=2, slow=2) as clients:
        more(clients)
        server.supervisor.renew()
        eventually(lambda: server.whole() and not before & set(server.supervisor.pids), PATIENCE)

    assert server.told("serve.worker-died") == died


def test_a_model_that_ends_its_process_is_tried_again_then_runs_apart_and_then_no_more(server: Server) -> None:
    with load(server, good=2, slow=1):
        eventually(server.whole, PATIENCE)
        first = server.call("bad", DEADLY)
        eventually(lambda: server.told("serve.apart"), PATIENCE)
        died = server.told("serve.worker-died")
        apart = server.call("bad", 50, 20)
        second = server.call("bad", DEADLY)
        eventually(lambda: server.told("serve.quarantined"), PATIENCE)
        eventually(lambda: server.call("bad", 50)[0] == 503, PATIENCE)
        third = server.call("bad", 50)

    assert (first[0], first[1]["error"]["code"]) == (500, "serving.run-ended")
    assert (apart[0], [answer["prediction"] for answer in apart[1]]) == (200, ["yes", "no"])
    assert (second[0], second[1]["error"]["code"]) == (500, "serving.run-ended")
    assert (third[0], third[1]["error"]["code"]) == (503, "serving.quarantined")
    assert server.told("serve.worker-died") == died


def test_a_run_that_does_not_end_is_ended_with_its_process(server: Server) -> None:
    with load(server, good=2):
        status, answer = server.call("hung", ENDLESS)

    assert (status, answer["error"]["code"]) == (504, "serving.too-late")
    assert server.told("serve.run-stuck") == 1


def test_what_came_in_pieces_and_in_a_row_is_answered_in_order_after_a_kill() -> None:
    body = json.dumps([{"age": 50}]).encode()
    whole = (
        b"POST /predict/good HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\n"
        b"Content-Type: application/json\r\nX-Request-Id: %b\r\nContent-Length: %d\r\n\r\n%b"
    )
    with serving(workers=1) as server, socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
        client.sendall(whole % (b"a", len(body), body) + (whole % (b"b", len(body), body))[:-5])
        came = client.makefile("rb")
        assert one_answer(came) == b"a"
        os.kill(server.supervisor.pids[0], signal.SIGKILL)
        client.sendall(body[-5:] + whole % (b"c", len(body), body))

        assert [one_answer(came), one_answer(came)] == [b"b", b"c"]


def one_answer(came: object) -> bytes:
    """Read one answer, which must be good; whose it is."""
    assert came.readline() == b"HTTP/1.1 200 OK\r\n"
    headers = dict(line.rstrip().lower().split(b": ", 1) for line in iter(came.readline, b"\r\n"))
    assert json.loads(came.read(int(headers[b"content-length"])))[0]["prediction"] == "yes"
    return headers[b"x-request-id"]
