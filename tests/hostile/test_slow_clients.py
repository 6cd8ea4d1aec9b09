"""Clients that take their time: each is cut off at its deadline, and nobody else waits for it."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from aias.serving.bounds import within_descriptors
from live_server import BOUNDS, PATIENCE, Joined, LiveServer, Shelf, connections, eventually, live_server, read_all

BODY = b'[{"age": 50}]'
HEAD = b"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\n"


HASTY = replace(BOUNDS, body_idle_seconds=0.3, body_seconds=0.8, keep_alive_seconds=0.3, linger_seconds=0.2)


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    """It waits for headers, and for nothing else."""
    with live_server(bounds=HASTY) as running:
        yield running


@pytest.fixture(scope="module")
def hasty() -> Iterator[LiveServer]:
    with live_server(bounds=replace(HASTY, header_seconds=0.3)) as running:
        yield running


def drip(client: socket.socket, piece: bytes, *, every_seconds: float) -> bytes:
    """Send it over and over until the server has had enough, and return what it said."""
    client.settimeout(every_seconds)
    said, until = b"", time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with contextlib.suppress(OSError):
            client.sendall(piece)
        try:
            part = client.recv(65536)
        except TimeoutError:
            continue
        except ConnectionResetError:
            return said
        if not part:
            return said
        said += part
    pytest.fail("the server never cut this client off")


def test_a_silent_connection_is_cut(hasty: LiveServer) -> None:
    with hasty.socket() as client:
        assert read_all(client).startswith(b"HTTP/1.1 408 ")


def test_who_is_refused_and_goes_on_sending_is_heard_for_longer_but_not_for_ever() -> None:
    bounds = replace(BOUNDS, linger_seconds=PATIENCE, body_idle_seconds=2 * PATIENCE)
    with live_server(bounds=bounds) as server, server.socket() as client:
        client.sendall(HEAD + b"Content-Length: 1000000000000\r\n\r\n")
        assert client.recv(65536).startswith(b"HTTP/1.1 413 ")
        (refused,) = connections(server)
        began = refused._moved_at

        def has_heard() -> bool:
            client.sendall(b"[")
            return refused._moved_at > began

        eventually(has_heard)
        loop = refused.loop
        loop.call_soon_threadsafe(refused.sweep, began + PATIENCE + 0.0005)
        last = refused._moved_at
        eventually(lambda: has_heard() and refused._moved_at > last)
        loop.call_soon_threadsafe(refused.sweep, began + 2 * PATIENCE + 0.001)
        eventually(lambda: not connections(server))


def test_headers_that_trickle_are_cut(hasty: LiveServer) -> None:
    with hasty.socket() as client:
        client.sendall(b"GET /")
        said = drip(client, b"a", every_seconds=0.05)

    assert said.startswith(b"HTTP/1.1 408 ")


def test_header_after_header_is_cut(hasty: LiveServer) -> None:
    with hasty.socket() as client:
        client.sendall(HEAD)
        said = drip(client, b"X-More: 1\r\n", every_seconds=0.05)

    assert said.startswith(b"HTTP/1.1 408 ")


def test_a_half_sent_body_is_cut(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(HEAD + b"Content-Length: 13\r\n\r\n" + BODY[:5])
        said = read_all(client)

    assert said.startswith(b"HTTP/1.1 408 ")
    assert b"serving.body-too-slow" in said


def test_a_body_that_trickles_steadily_is_cut_too(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(HEAD + b"Content-Length: 10000\r\n\r\n")
        said = drip(client, b" ", every_seconds=0.05)

    assert said.startswith(b"HTTP/1.1 408 ")


def test_chunks_that_never_end_are_cut(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        said = drip(client, b"1\r\n \r\n", every_seconds=0.05)

    assert said.startswith(b"HTTP/1.1 408 ")


def test_a_connection_that_asks_no_more_is_closed_without_a_word(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(HEAD + b"Content-Length: 13\r\n\r\n" + BODY)
        said = read_all(client)

    assert said.count(b"HTTP/1.1 ") == 1
    assert said.startswith(b"HTTP/1.1 200 ")


def test_who_goes_on_sending_after_a_refusal_is_cut(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(b"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.settimeout(0.02)
        said, cut, until = b"", False, time.monotonic() + PATIENCE
        while not cut and time.monotonic() < until:
            try:
                client.sendall(b"1\r\n \r\n")
            except OSError:
                cut = True
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                said += client.recv(65536)
            threading.Event().wait(0.02)

    assert said.startswith(b"HTTP/1.1 401 ")
    assert cut


def test_a_client_that_hangs_up_halfway_leaves_nothing_behind(server: LiveServer) -> None:
    for _ in range(20):
        with server.socket() as client:
            client.sendall(HEAD + b"Content-Length: 1000\r\n\r\n" + b" " * 500)
    eventually(lambda: "aias_open_connections 1.0" in server.call("GET", "/metrics").body.decode())


def test_five_hundred_idle_sockets_hold_up_nobody() -> None:
    with live_server() as server, contextlib.ExitStack() as sockets:
        for at in range(500):
            idle = sockets.enter_context(server.socket())
            idle.sendall((b"", b"POST /predict/churn HT", HEAD + b"Content-Length: 9\r\n\r\n[")[at % 3])
        statuses = {server.call("POST", "/predict/churn", [{"age": 50}]).status for _ in range(50)}

    assert statuses == {200}


def test_beside_five_hundred_that_dawdle_everybody_else_is_answered() -> None:
    bounds = within_descriptors(replace(BOUNDS, connections=2 * 500 + 64))
    starts = (b"GET /", HEAD + b"Content-Length: 10000\r\n\r\n", b"")
    with live_server(bounds=bounds) as server, contextlib.ExitStack() as held:
        slow = [held.enter_context(server.socket()) for _ in range(500)]
        for at, client in enumerate(slow):
            client.sendall(starts[at % 3])

        statuses = []
        for at in range(50):
            for client in slow[at::50]:
                client.sendall(b"a")
            statuses.append(server.call("POST", "/predict/churn", [{"age": 50}]).status)

    assert statuses == [200] * 50


@contextlib.contextmanager
def busy() -> Iterator[tuple[LiveServer, Joined]]:
    """A server with one place, which is taken until `stall` is set."""
    shelf, model = Shelf(), Joined()
    shelf.deploy("churn", 1, model)
    with live_server(shelf, bounds=replace(BOUNDS, inline_row_seconds=1e-12), places=1) as server:
        model.stall.clear()
        try:
            yield server, model
        finally:
            model.stall.set()


IN_CHUNKS = b"Transfer-Encoding: chunked\r\n\r\nd\r\n" + BODY + b"\r\n"
WHOLE = HEAD + b"Content-Length: 13\r\n\r\n" + BODY


def final(said: bytes) -> bytes:
    """What was said, without the answers that are none yet."""
    return said.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b"")


@pytest.mark.parametrize("http", [b"HTTP/1.1", b"HTTP/1.0"])
def test_who_sends_no_more_but_waits_is_answered(http: bytes) -> None:
    with busy() as (server, model), server.socket() as running, server.socket() as waiting:
        batcher = server.gateway.executor.batcher
        for each, full in ((running, lambda: batcher.running == 1), (waiting, lambda: batcher.waiting == 1)):
            each.sendall(WHOLE.replace(b"HTTP/1.1", http))
            eventually(full)
            each.shutdown(socket.SHUT_WR)
        threading.Event().wait(5 * BOUNDS.sweep_seconds)
        model.stall.set()

        for each in (running, waiting):
            said = read_all(each)
            assert final(said).startswith(b"HTTP/1.1 200 ")
            assert (said != final(said)) == (http == b"HTTP/1.1")


def test_all_that_was_asked_before_the_end_is_answered_and_what_is_not_whole_is_not() -> None:
    with busy() as (server, model), server.socket() as client:
        client.sendall(WHOLE + WHOLE + WHOLE[:-1])
        client.shutdown(socket.SHUT_WR)
        eventually(lambda: server.gateway.executor.batcher.running == 1)
        model.stall.set()

        assert final(read_all(client)).count(b"HTTP/1.1 200 ") == 2


@pytest.mark.parametrize("much", [HEAD + b"Content-Length: 13\r\n\r\n", WHOLE[:-1], HEAD + IN_CHUNKS])
def test_who_sends_no_more_before_the_body_is_whole_is_told_so(much: bytes) -> None:
    with live_server() as server, server.socket() as client:
        client.sendall(much)
        client.shutdown(socket.SHUT_WR)
        said = read_all(client)

    assert said.startswith(b"HTTP/1.1 400 ") and said.count(b"HTTP/1.1 ") == 1
    assert b'"the body ended before it was whole"' in said


def test_who_has_gone_altogether_leaves_the_queue() -> None:
    with busy() as (server, _), server.socket() as running:
        batcher = server.gateway.executor.batcher
        running.sendall(WHOLE)
        eventually(lambda: batcher.running == 1)
        with server.socket() as gone:
            gone.sendall(WHOLE)
            eventually(lambda: batcher.waiting == 1)

        eventually(lambda: batcher.waiting == 0)


def test_a_tiny_model_answers_who_sends_no_more(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(WHOLE + WHOLE)
        client.shutdown(socket.SHUT_WR)

        assert read_all(client).count(b"HTTP/1.1 200 ") == 2


def test_a_refusal_that_does_not_wait_for_the_body_says_that_the_connection_ends(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(b"POST /predict/nobody HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n[")
        said = read_all(client)

    assert said.startswith(b"HTTP/1.1 401 ")
    assert said.lower().count(b"\r\nconnection: close\r\n") == 1


IN_TIME = HEAD + b"X-Deadline-Ms: 20\r\nContent-Type: application/json\r\nContent-Length: 13\r\n"


def test_a_body_that_comes_after_its_deadline_is_not_answered() -> None:
    with live_server(bounds=replace(BOUNDS, give_way_seconds=PATIENCE)) as server, server.socket() as client:
        client.sendall(IN_TIME + b"\r\n" + BODY[:3])
        eventually(lambda: any(each._held == BODY[:3] for each in connections(server)))
        [waits] = connections(server)
        eventually(lambda: time.monotonic() > waits._began_at + 0.03)

        client.sendall(BODY[3:])

        answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 504 ")
        assert b"serving.too-late" in answer
        # The connection goes on.
        client.sendall(HEAD + b"Content-Type: application/json\r\nContent-Length: 13\r\n\r\n" + BODY)
        assert client.recv(65536).startswith(b"HTTP/1.1 200 ")


def test_a_body_that_does_not_come_is_not_waited_for_beyond_its_deadline() -> None:
    with live_server() as server, server.socket() as client:
        client.sendall(IN_TIME + b"Expect: 100-continue\r\n\r\n")

        answer = read_all(client)

        assert b"HTTP/1.1 504 " in answer
        assert b"connection: close" in answer


def test_a_fault_in_looking_after_requests_does_not_end_that() -> None:
    with live_server(bounds=replace(HASTY, header_seconds=0.3)) as server:
        expire, faults = server.gateway._server._expire, list[int]()

        def broken() -> None:
            faults.append(1)
            raise RuntimeError("it is broken")

        server.gateway._server._expire = broken
        eventually(lambda: faults)
        server.gateway._server._expire = expire
        with server.socket() as client:
            assert read_all(client).startswith(b"HTTP/1.1 408 ")
