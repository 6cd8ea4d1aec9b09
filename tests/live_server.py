"""A server in a thread with models, endpoints and keys in memory; and clients that can misbehave."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from aias.access.keys import Key, Scope
from aias.access.ledger import Ledger
from aias.access.quotas import Quota
from aias.artifact.manifest import Manifest
from aias.core.errors import BadValue, Damaged
from aias.core.events import Event
from aias.core.schema import Field
from aias.core.task import Task
from aias.encoders.rows import Encoded
from aias.registry.rollout.trial import Trial
from aias.registry.values import Endpoint
from aias.runtimes.contract import Answers, Row
from aias.serving.bounds import Bounds, SecondPort
from aias.serving.connections.connection import Connection
from aias.serving.gateway import Gateway
from aias.serving.inference.repository import Control
from aias.serving.processes.ports import listen
from aias.serving.rollout.stage import RolloutStore, Shadowing
from aias.serving.versions.model import Answering
from artifacts import manifest

AT = datetime(2026, 1, 1, tzinfo=UTC)

PATIENCE = 120.0
"""Seconds until what has to come is given up: nothing waits so long but a test that fails, and a busy machine may need
them."""

BOUNDS = Bounds(
    sweep_seconds=0.02, poll_seconds=0.02, drain_seconds=30.0, objective_seconds=PATIENCE, header_seconds=PATIENCE,
    body_idle_seconds=PATIENCE, loop_seconds=PATIENCE, cache_bytes=0,
)  # fmt: skip
"""Nobody is cut off or refused because the machine is busy; what a test wants to see cut has a bound of its own."""


class Rule:
    """`yes` from the age of 40 on. `share` of it is told, so that an answer shows which version gave it."""

    def __init__(self, share: float = 0.75, *, gate: threading.Event | None = None) -> None:
        self.manifest = manifest()
        self.share = share
        self.gate = gate
        self.started = threading.Semaphore(0)

    def predict(self, rows: Sequence[Row]) -> Answers:
        if self.gate is not None:
            self.started.release()
            self.gate.wait(PATIENCE)
        ages = [self._age(row, at) for at, row in enumerate(rows)]
        yes = np.array([self.share if age >= 40 else 1 - self.share for age in ages], np.float32)
        labels = ["yes" if share > 0.5 else "no" for share in yes.tolist()]
        return Answers(labels, np.stack([1 - yes, yes], axis=1))

    def predict_columns(self, columns: Mapping[str, Sequence[object]], rows: int) -> Answers:
        return self.predict([{name: values[at] for name, values in columns.items()} for at in range(rows)])

    def _age(self, row: Row, at: int) -> float:
        for name in row:
            if name not in ("age", "plan"):
                raise BadValue("there is no such field", hint="did you mean `age`?").at(field=name, row=at)
        try:
            return float(row.get("age") or "nan")  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            raise BadValue(f"{str(row['age'])[:60]!r} is no number").at(field="age", row=at) from None


class Joined(Rule):
    """A rule that answers the rows of several callers in one run, and keeps how many it had in each.

    `breaks` are ages for which the whole run fails; `stall` holds every run up.
    """

    def __init__(self, share: float = 0.75) -> None:
        super().__init__(share)
        self.stall, self.runs, self.breaks = threading.Event(), list[int](), set[float]()
        self.stall.set()

    def encode(self, rows: Sequence[Row]) -> Encoded:
        ages = np.array([[self._age(row, at)] for at, row in enumerate(rows)], np.float64)
        return Encoded(ages, np.zeros(0, np.int64), np.zeros((0, 1), np.int64), 0)

    def encode_columns(self, columns: Mapping[str, Sequence[object]], rows: int) -> Encoded:
        return self.encode([{name: values[at] for name, values in columns.items()} for at in range(rows)])

    def answer(self, encoded: Encoded) -> Answers:
        self.started.release()
        self.stall.wait(PATIENCE)
        ages = encoded.columns[:, 0].tolist()
        self.runs.append(len(ages))
        if self.breaks & set(ages):
            raise ValueError("the graph broke")
        return super().predict([{"age": age} for age in ages])


class Doubler:
    """A regression of one text field: the number in it, twice."""

    def __init__(self) -> None:
        task = Task("price", "regression", "rmse")
        self.manifest: Manifest = replace(manifest(), task=task, inputs=(Field("note", "text", example="21"),))

    def predict(self, rows: Sequence[Row]) -> Answers:
        return Answers([2 * float(str(row.get("note"))) for row in rows], None)

    def predict_columns(self, columns: Mapping[str, Sequence[object]], rows: int) -> Answers:
        return self.predict([{"note": columns["note"][at]} for at in range(rows)])


class Since(Doubler):
    """A regression of one time field: always 1."""

    def __init__(self) -> None:
        super().__init__()
        self.manifest = replace(self.manifest, inputs=(Field("at", "time", example="2026-11-30"),))

    def predict(self, rows: Sequence[Row]) -> Answers:
        return Answers([1.0] * len(rows), None)

    def predict_columns(self, columns: Mapping[str, Sequence[object]], rows: int) -> Answers:
        for at, text in enumerate(columns["at"]):
            try:
                datetime.fromisoformat(str(text))
            except ValueError:
                raise BadValue(f"{text!r} is no time").at(field="at", row=at) from None
        return Answers([1.0] * rows, None)


class Squarer:
    """A regression of one number: its square."""

    def __init__(self) -> None:
        task = Task("area", "regression", "rmse")
        self.manifest: Manifest = replace(manifest(), task=task, inputs=(Field("side", "number", example=2.0),))

    def predict(self, rows: Sequence[Row]) -> Answers:
        return Answers([float(str(row["side"])) ** 2 for row in rows], None)

    def predict_columns(self, columns: Mapping[str, Sequence[object]], rows: int) -> Answers:
        return self.predict([{"side": columns["side"][at]} for at in range(rows)])


@dataclass
class Shelf:
    """Endpoints in memory. An endpoint that points at no runtime is damaged."""

    runtimes: dict[str, object] = field(default_factory=dict)
    pointers: dict[str, Endpoint] = field(default_factory=dict)
    moves: int = 0

    def deploy(self, name: str, number: int, runtime: object | None, *, model: str = "churn") -> None:
        digest = f"{model}-{number}"
        if runtime is not None:
            self.runtimes[digest] = runtime
        self.pointers = self.pointers | {name: Endpoint(name, model, number, digest, self.moves + 1, AT)}
        self.moves += 1

    def undeploy(self, name: str) -> None:
        self.pointers = {each: pointer for each, pointer in self.pointers.items() if each != name}
        self.moves += 1

    def endpoints(self) -> list[Endpoint]:
        return list(self.pointers.values())

    def generation(self) -> int:
        return self.moves

    def load(self, endpoint: Endpoint) -> Rule:
        if endpoint.digest not in self.runtimes:
            raise Damaged("model.onnx is not what was sealed: /secret/place/model.onnx")
        return self.runtimes[endpoint.digest]  # type: ignore[return-value]


class FakeKeyRing:
    """`predict-key` has the scope `predict`, and so on; `all-key` has every one. Another may have `quotas`. A key
    `acme-1` is of the tenant `acme`, if that has quotas too."""

    def __init__(self, quotas: Mapping[str, tuple[Quota, ...]] | None = None) -> None:
        self.quotas = dict(quotas or {})

    def verify(self, secret: str) -> Key | None:
        scopes: dict[str, frozenset[Scope]] = {
            "all-key": frozenset(("predict", "read", "admin")),
            "predict-key": frozenset(("predict",)),
            "read-key": frozenset(("read",)),
            "admin-key": frozenset(("admin",)),
        }
        if secret in scopes:
            return Key(secret, "test", scopes[secret], "0000", AT)
        return self._key(secret) if secret in self.quotas else None

    def may_be_new(self, _secret: str) -> bool:
        return False

    def limited(self) -> list[Key]:
        return [self._key(name) for name, held in self.quotas.items() if held]

    def _key(self, name: str) -> Key:
        tenant = name.partition("-")[0] if "-" in name else ""
        shared = self.quotas.get(tenant, ())
        scopes: frozenset[Scope] = frozenset(("predict", "read"))
        return Key(name, "shop", scopes, "0000", AT, quotas=self.quotas[name], tenant=tenant, shared=shared)


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> object:
        return json.loads(self.body)


@dataclass
class LiveServer:
    """`call` goes over HTTP; `grpc` is where the second port is."""

    gateway: Gateway
    shelf: Shelf
    port: int
    thread: threading.Thread
    events: list[Event]

    @property
    def grpc(self) -> str:
        return f"127.0.0.1:{self.gateway.grpc_port}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        key: str | None = "all-key",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """One request on a connection of its own. Anything but bytes and text is sent as JSON."""
        sent = dict(headers or {})
        if key is not None:
            sent.setdefault("Authorization", f"Bearer {key}")
        if body is not None and not isinstance(body, bytes | str):
            body = json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            got = {name.lower(): value for name, value in answer.getheaders()}
            return Response(answer.status, got, answer.read())
        finally:
            connection.close()

    def socket(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def raw(self, data: bytes) -> bytes:
        """Send bytes as they are, and read until the server closes or says nothing more."""
        with self.socket() as client:
            client.sendall(data)
            return read_all(client)


def read_all(client: socket.socket) -> bytes:
    """Everything until the other end closes. Times out, and fails, when it does not."""
    parts = []
    try:
        while part := client.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def no_ledger() -> Ledger:
    raise AssertionError("keys without quotas need no ledger")


def inference_shelf() -> Shelf:
    """What tests of the Open Inference Protocol ask: labels, numbers, and a square."""
    shelf = Shelf()
    shelf.deploy("churn", 7, Rule())
    shelf.deploy("price", 2, Doubler(), model="price")
    shelf.deploy("square", 1, Squarer(), model="square")
    return shelf


@contextmanager
def live_server(
    shelf: Shelf | None = None,
    *,
    bounds: Bounds = BOUNDS,
    hosts: Sequence[str] = (),
    unnamed: str | None = None,
    control: Control | None = None,
    places: int | None = None,
    grpc: bool = False,
    quotas: Mapping[str, tuple[Quota, ...]] | None = None,
    ledger: Callable[[], Ledger] = no_ledger,
    rollouts: RolloutStore | None = None,
    shadow: Callable[[Trial, Endpoint], Shadowing] | None = None,
    load: Callable[[Endpoint], Answering] | None = None,
) -> Iterator[LiveServer]:
    """A server with the endpoint `churn` at `churn@1`, unless another shelf is given."""
    if shelf is None:
        shelf = Shelf()
        shelf.deploy("churn", 1, Rule())
    events: list[Event] = []
    gateway = Gateway(
        shelf,
        load or shelf.load,
        lambda: FakeKeyRing(quotas),
        ledger=ledger,
        hosts=hosts,
        unnamed=unnamed,
        bounds=bounds,
        watch=events.append,
        places=places,
        control=control,
        second=SecondPort("127.0.0.1", 0) if grpc else None,
        rollouts=rollouts,
        shadow=shadow,
    )
    with running(gateway, shelf, events) as server:
        yield server


@contextmanager
def running(gateway: Gateway, shelf: Shelf, events: list[Event]) -> Iterator[LiveServer]:
    """In a thread, on a free port."""
    listener = listen("127.0.0.1", 0)
    up = threading.Event()
    thread = threading.Thread(target=gateway.run, args=(listener,), kwargs={"when_ready": up.set})
    thread.start()
    try:
        assert up.wait(PATIENCE), "the server did not start"
        yield LiveServer(gateway, shelf, listener.getsockname()[1], thread, events)
    finally:
        gateway.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server did not stop"


def connections(server: LiveServer) -> list[Connection]:
    """Those that the server has now."""
    return [each for each in list(server.gateway._server.server_state.connections) if isinstance(each, Connection)]


def settled(server: LiveServer, count: int) -> bool:
    """Whether it has so many connections, and none on its way: one that has just come counts twice for a moment."""
    return len(connections(server)) == count and not any(each._tasks for each in server.gateway._server.servers)  # type: ignore[attr-defined]


def eventually(condition: "object", seconds: float = PATIENCE) -> None:
    """Wait until it holds; for what another thread is about to do."""
    wait = threading.Event()
    for _ in range(int(seconds / 0.005)):
        if condition():  # type: ignore[operator]
            return
        wait.wait(0.005)
    raise AssertionError("it never came true")


def samples(server: LiveServer) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """What a server tells Prometheus."""
    from prometheus_client.parser import text_string_to_metric_families

    text = server.call("GET", "/metrics", key="read-key").body.decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
