"""A supervised server of mortal workers, and clients that look at each answer, on connections that must never close."""

import http.client
import json
import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import mortal_worker

import artifacts
from aias.core.events import Event
from aias.serving.bounds import Bounds, SecondPort
from aias.serving.processes.control_socket import ControlSocket
from aias.serving.processes.orders import Orders
from aias.serving.processes.ports import listen
from aias.serving.processes.succession import Predecessor
from aias.serving.processes.supervisor import Supervisor
from live_server import BOUNDS, eventually
from ports import free_port

HEADERS = {"Authorization": "Bearer all-key", "Content-Type": "application/json"}
PATIENCE = 600
"""Seconds; on a quiet machine it takes a tenth of one, beside others' work a worker has taken 60 to start."""

PATIENT = Bounds(
    drain_seconds=BOUNDS.drain_seconds, objective_seconds=PATIENCE, header_seconds=PATIENCE, body_idle_seconds=PATIENCE,
    keep_alive_seconds=PATIENCE, loop_seconds=PATIENCE,
)  # fmt: skip
"""Nobody is cut off, and no run taken for stuck, because the machine is busy."""


class Server:
    """`home`: where its control socket is. `takes`: the port of the server there whose place it takes."""

    def __init__(
        self, workers: int, bounds: Bounds, home: Path | None = None, takes: int | None = None, *, grpc: bool = False
    ) -> None:
        self.events: list[Event] = []
        before = None if home is None or takes is None else Predecessor.find(home, "127.0.0.1", takes)
        first = listen("127.0.0.1", takes or 0, shared=True)
        self.port = first.getsockname()[1]
        sockets = [first, *(listen("127.0.0.1", self.port, shared=True) for _ in range(workers - 1))]
        self.second = SecondPort("127.0.0.1", free_port(), shared=True) if grpc else None
        self.counts = "" if home is None else str(home) if before is None else before.folder
        orders = Orders(
            "", [], access_log=0.0, bounds=asdict(bounds), places=2, second=self.second, folder=self.counts
        )  # fmt: skip
        self.supervisor = Supervisor(
            orders, workers=workers, listen=sockets.pop, announce=self.events.append, program=(mortal_worker.__file__,),
            control_socket=None if home is None else ControlSocket(home, "127.0.0.1", self.port), predecessor=before,
        )  # fmt: skip
        self.up = threading.Event()
        self.thread = threading.Thread(target=self.supervisor.run, args=(self.up.set,))

    def call(self, endpoint: str, *ages: int) -> tuple[int, object]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            return ask(connection, endpoint, *ages)
        finally:
            connection.close()

    def send(self, method: str, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, headers=HEADERS)
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    def counted(self) -> int:
        """How often `good` was asked, as `/metrics` says."""
        found, name = self.send("GET", "/metrics")[1].decode().splitlines(), 'aias_requests_total{endpoint="good"'
        return sum(int(float(each.split()[-1])) for each in found if each.startswith(name))

    def told(self, name: str) -> int:
        return len([event for event in self.events if event.name == name])

    def whole(self) -> bool:
        return len(self.supervisor._ready()) == len(self.supervisor._workers) == len(self.supervisor.pids)


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
def serving(
    workers: int = 2, *, home: Path | None = None, takes: int | None = None, grpc: bool = False, **bounds: float
) -> Iterator[Server]:
    os.environ["PYTHONPATH"] = artifacts.importable()["PYTHONPATH"]
    server = Server(workers, replace(PATIENT, **bounds), home, takes, grpc=grpc)
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
