"""Several workers on one port: they share the work, and none of them is missed for long when it dies."""

import http.client
import json
import os
import signal
import threading
from collections.abc import Iterator
from dataclasses import asdict
from itertools import cycle
from pathlib import Path

import pytest

import aias
from aias.access.keys import Keys
from aias.access.ledger import usage_of
from aias.core.events import Event
from aias.serving.bounds import Bounds
from aias.serving.processes.background import Background, DidNotStart
from aias.serving.processes.orders import Orders
from aias.serving.processes.ports import PortInUse, listen
from aias.serving.processes.supervisor import Supervisor, WorkerFailed
from live_server import PATIENCE, eventually

ROWS = {"n": [float(i % 17) for i in range(80)], "y": ["high" if i % 17 > 8 else "low" for i in range(80)]}
ASKED = 'aias_requests_total{endpoint="m",status="200"'


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    aias.train(ROWS, target="y", name="m", time=600, learners=("linear",), home=home, inline=True).deploy()
    return home


@pytest.fixture(scope="module")
def key(home: Path) -> str:
    keys = Keys.open(home)
    _, secret = keys.create("test", ["predict", "read"])
    keys.close()
    return secret


@pytest.fixture
def server(home: Path, key: str) -> Iterator[Background]:
    with Background(home, workers=2) as running:
        yield running


def call(url: str, key: str, path: str = "/predict/m", body: bytes | None = b'[{"n": 15}]') -> tuple[int, bytes]:
    """One request on a connection of its own, which the kernel gives to either worker."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE)
    try:
        connection.request("POST" if body else "GET", path, body, {"Authorization": f"Bearer {key}"})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def counted(url: str, key: str) -> float:
    text = call(url, key, "/metrics", None)[1].decode()
    return next((float(line.split()[-1]) for line in text.splitlines() if line.startswith(ASKED)), 0.0)


def children(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_two_workers_answer_on_one_port_and_count_together(server: Background, key: str) -> None:
    shown = []
    for at in range(1, 31):
        status, body = call(server.url, key)
        assert (status, json.loads(body)[0]["prediction"]) == (200, "high")
        if at % 5 == 0:
            shown.append(counted(server.url, key))

    assert len(children(server.pid)) == 2
    assert shown == sorted(shown)
    # The other worker writes its counts down once a second.
    eventually(lambda: counted(server.url, key) == 30)


def test_a_worker_that_is_killed_comes_back_and_no_call_is_refused_meanwhile(server: Background, key: str) -> None:
    for _ in range(20):
        assert call(server.url, key)[0] == 200
    before = counted(server.url, key)
    victim = children(server.pid)[0]

    os.kill(victim, signal.SIGKILL)
    statuses = [call(server.url, key)[0] for _ in range(30)]
    eventually(lambda: len(set(children(server.pid)) - {victim}) == 2)

    assert statuses == [200] * 30
    eventually(lambda: "serve.worker-died" in [event.name for event in server.events])
    assert counted(server.url, key) >= before > 0


def test_a_worker_that_starts_while_the_home_is_away_makes_no_other_and_answers_once_it_is_back(tmp_path: Path) -> None:
    home, away = tmp_path / "home", tmp_path / "away"
    aias.train(ROWS, target="y", name="m", time=600, learners=("linear",), home=home, inline=True).deploy()
    keys = Keys.open(home)
    key = keys.create("test", ["predict"])[1]
    keys.close()
    with Background(home, workers=2) as server:
        home.rename(away)
        home.mkdir()  # where a disk was mounted
        victim, other = children(server.pid)
        os.kill(victim, signal.SIGKILL)
        eventually(lambda: any(f"{home / 'aias.db'} has gone" in event.message for event in server.events))
        meanwhile = {call(server.url, key)[0] for _ in range(30)}
        assert not [*home.iterdir()]
        home.rmdir()
        away.rename(home)
        os.kill(other, signal.SIGKILL)

        assert (meanwhile, {call(server.url, key)[0] for _ in range(30)}) == ({200}, {200})


def test_told_to_stop_all_workers_finish_what_they_have_begun(home: Path, key: str) -> None:
    with Background(home, workers=2) as running:
        workers = children(running.pid)
        host, port = running.url.removeprefix("http://").split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        connection.putrequest("POST", "/predict/m")
        connection.putheader("Authorization", f"Bearer {key}")
        connection.putheader("Content-Length", "11")
        connection.endheaders()
        connection.send(b'[{"n"')
        eventually(lambda: "aias_open_connections 2.0" in call(running.url, key, "/metrics", None)[1].decode())
        os.kill(running.pid, signal.SIGTERM)
        connection.send(b": 15}]")
        response = connection.getresponse()
        assert response.status == 200
        response.read()
        running.exit_status = running._process.wait(PATIENCE)

    assert running.exit_status == 0
    assert not [pid for pid in workers if Path(f"/proc/{pid}").exists()]


def test_workers_do_not_outlive_their_supervisor(home: Path, key: str) -> None:
    with Background(home, workers=2) as running:
        workers = children(running.pid)
        os.kill(running.pid, signal.SIGKILL)
        running.exit_status = running._process.wait(PATIENCE)

    eventually(lambda: not [pid for pid in workers if Path(f"/proc/{pid}/cmdline").exists()])


def test_a_port_that_workers_share_is_taken_for_everybody_else(server: Background, home: Path) -> None:
    port = int(server.url.rpartition(":")[2])

    with pytest.raises(PortInUse):
        listen("127.0.0.1", port)
    with pytest.raises(DidNotStart, match=str(port)), Background(home, port=port, workers=2):
        pass


def test_a_worker_that_cannot_start_is_told_and_leaves_nothing_running(tmp_path: Path) -> None:
    bounds = asdict(Bounds()) | {"header_bytes": -1}
    orders = Orders(str(tmp_path), [], False, bounds, 1, 0, str(tmp_path))  # type: ignore[arg-type]
    told: list[Event] = []
    supervisor = Supervisor(orders, workers=2, listen=lambda: listen("127.0.0.1", 0, shared=True), announce=told.append)

    failed: list[Exception] = []

    def run() -> None:
        try:
            supervisor.run(lambda: None)
        except WorkerFailed as fault:
            failed.append(fault)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(PATIENCE)

    assert "did not start" in str(failed[0])
    assert not [pid for pid in supervisor.pids if Path(f"/proc/{pid}/cmdline").exists()]


def test_a_quota_holds_whichever_worker_is_asked(server: Background, home: Path) -> None:
    keys = Keys.open(home)
    made, secret = keys.create("shop", ["predict"], quotas=["25/month"])
    keys.close()
    eventually(lambda: call(server.url, secret)[0] != 401)
    before = usage_of(home, [made])[0][1].used

    statuses: list[int] = []
    eventually(lambda: statuses.append(call(server.url, secret)[0]) or len(statuses) - statuses.count(401) == 40)
    statuses = [each for each in statuses if each != 401]  # of a worker that has not heard of the key yet

    assert 1 <= before <= 2
    assert statuses.count(200) == 25 - before
    assert statuses.count(429) == 40 - statuses.count(200)
    assert usage_of(home, [made])[0][1].left == 0


def test_a_tenants_quota_holds_for_all_of_its_keys_whichever_worker_is_asked(server: Background, home: Path) -> None:
    keys = Keys.open(home)
    keys.create_tenant("acme", ["25/month"])
    secrets = [keys.create(name, ["predict"], tenant="acme")[1] for name in ("one", "two")]
    keys.close()
    statuses: list[int] = []
    turns = cycle(secrets)

    eventually(lambda: statuses.append(call(server.url, next(turns))[0]) or len(statuses) - statuses.count(401) == 40)

    assert statuses.count(200) == 25
    assert statuses.count(429) == 15
