"""A server that stops: what has begun is finished, and nobody is waited for who does not go on."""

import socket
import threading
from dataclasses import replace

import pytest

from aias.serving.connections import server as loop_server
from live_server import BOUNDS, PATIENCE, LiveServer, Rule, Shelf, connections, eventually, live_server, read_all

BODY = b'[{"age": 50}]'
HEAD = b"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\n"


def test_stopping_finishes_what_has_begun() -> None:
    gate = threading.Event()
    gate.set()
    slow, shelf = Rule(gate=gate), Shelf()
    shelf.deploy("churn", 1, slow)
    with live_server(shelf) as server, server.socket() as asking, server.socket() as sending, server.socket() as idle:
        for _ in range(5):
            assert slow.started.acquire(timeout=PATIENCE)  # the trials at loading
        idle.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert idle.recv(65536).startswith(b"HTTP/1.1 200 ")
        sending.sendall(HEAD + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n")
        assert sending.recv(100).startswith(b"HTTP/1.1 100 ")
        gate.clear()
        csv = b"age\n50\n"
        asking.sendall(HEAD + b"Content-Type: text/csv\r\nContent-Length: %d\r\n\r\n" % len(csv) + csv)
        assert slow.started.acquire(timeout=PATIENCE)

        server.gateway.stop()
        assert not server.gateway.ready
        assert read_all(idle) == b""
        eventually(lambda: not accepts(server))
        assert server.thread.is_alive()
        gate.set()
        sending.sendall(BODY)

        assert read_all(asking).startswith(b"HTTP/1.1 200 ")
        assert read_all(sending).startswith(b"HTTP/1.1 200 ")
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive()


def test_who_is_cut_since_the_time_for_stopping_is_over_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    gate, shelf = threading.Event(), Shelf()
    gate.set()
    slow = Rule(gate=gate)
    shelf.deploy("churn", 1, slow)
    with live_server(shelf, bounds=replace(BOUNDS, drain_seconds=0.2)) as server, server.socket() as asking:
        for _ in range(5):
            assert slow.started.acquire(timeout=PATIENCE)  # the trials at loading
        gate.clear()
        csv = b"age\n50\n"
        asking.sendall(HEAD + b"Content-Type: text/csv\r\nContent-Length: %d\r\n\r\n" % len(csv) + csv)
        assert slow.started.acquire(timeout=PATIENCE)

        server.gateway.stop()
        eventually(lambda: "1 not answered in the time for stopping" in caplog.text)
        gate.set()


def test_stopping_waits_for_the_rest_of_a_body_that_is_answered_as_soon_as_it_is_there() -> None:
    with live_server(bounds=replace(BOUNDS, give_way_seconds=PATIENCE)) as server, server.socket() as sending:
        sending.sendall(HEAD + b"Content-Type: application/json\r\nContent-Length: 13\r\n\r\n" + BODY[:3])
        eventually(lambda: any(each._held == BODY[:3] for each in connections(server)))

        server.gateway.stop()
        eventually(lambda: not accepts(server))
        sending.sendall(BODY[3:])

        assert read_all(sending).startswith(b"HTTP/1.1 200 ")
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive()


@pytest.mark.parametrize(
    "asked",
    [
        HEAD + b"Content-Type: application/json\r\nContent-Length: 13\r\n\r\n" + BODY,
        HEAD.replace(b"all-key", b"no-key") + b"Content-Length: 13\r\n\r\n" + BODY,
        b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=["a prediction", "a refusal", "a probe"],
)
def test_who_asks_again_while_the_server_stops_is_answered_and_told_that_it_was_the_last_time(asked: bytes) -> None:
    with live_server() as server, server.socket() as client:
        for _ in range(2):
            client.sendall(asked)
            first = client.recv(65536)
            assert b"connection: close" not in first
        (connection,) = connections(server)

        def stop() -> None:
            # Nothing else happens on the loop between the two.
            connection.shutdown()
            client.sendall(asked)

        connection.loop.call_soon_threadsafe(stop)
        last = read_all(client)

        assert last.split(b"\r\n")[0] == first.split(b"\r\n")[0]
        assert b"\r\nconnection: close\r\n" in last


def test_who_asks_no_more_while_the_server_stops_is_let_go() -> None:
    with (
        live_server(bounds=replace(BOUNDS, linger_seconds=0.2)) as server,
        server.socket() as client,
        server.socket() as silent,
    ):
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
        eventually(lambda: len(connections(server)) == 2)

        server.gateway.stop()

        assert read_all(client) == read_all(silent) == b""
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive()


def test_who_has_just_come_when_the_server_stops_is_let_go_too() -> None:
    late = list[socket.socket]()
    with live_server(bounds=replace(BOUNDS, linger_seconds=0.2, drain_seconds=10 * PATIENCE)) as server:
        loop = server.gateway._server
        shutdown, (accepting,) = loop.shutdown, loop.servers

        async def shut_down(sockets: list[socket.socket] | None = None) -> None:
            late.append(server.socket())
            accepting._accept()  # type: ignore[attr-defined]
            await shutdown(sockets)

        loop.shutdown = shut_down  # type: ignore[method-assign]
        server.gateway.stop()
        eventually(lambda: late)

        with late[0] as client:
            assert read_all(client) == b""
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive()


def test_a_server_hears_at_once_that_it_is_to_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_server, "_DATE_SECONDS", 10 * PATIENCE)
    with live_server() as server:
        pass

    assert not server.thread.is_alive()


def test_who_does_not_finish_while_the_server_stops_is_cut() -> None:
    with live_server(bounds=replace(BOUNDS, drain_seconds=0.3)) as server, server.socket() as stuck:
        stuck.sendall(HEAD + b"Content-Length: 13\r\n\r\n[")
        eventually(lambda: "aias_open_connections 2.0" in server.call("GET", "/metrics").body.decode())
        server.gateway.stop()
        server.thread.join(PATIENCE)
        assert not server.thread.is_alive()


def accepts(server: LiveServer) -> bool:
    try:
        server.socket().close()
    except ConnectionRefusedError:
        return False
    return True
