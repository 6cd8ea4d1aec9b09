"""Who gives way when all connections are in use, and what is told to those for whom there is none."""

import contextlib
import select
import socket
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import pytest

from aias.serving.batching.costs import Cost
from live_server import (
    BOUNDS,
    PATIENCE,
    Joined,
    LiveServer,
    Shelf,
    connections,
    eventually,
    live_server,
    read_all,
    settled,
)  # fmt: skip

BODY = b'[{"age": 50}]'
HEAD = b"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\n"


def test_at_the_bound_the_longest_idle_connection_gives_way() -> None:
    with (
        live_server(bounds=replace(BOUNDS, connections=20, give_way_seconds=1e-6)) as server,
        contextlib.ExitStack() as sockets,
    ):
        idle = [sockets.enter_context(server.socket()) for _ in range(30)]
        statuses = {server.call("POST", "/predict/churn", [{"age": 50}]).status for _ in range(20)}
        first_said = read_all(idle[0])

    assert statuses == {200}
    assert first_said == b""


def test_who_was_answered_and_dawdles_over_the_next_head_gives_way_too() -> None:
    alive = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with (
        live_server(bounds=replace(BOUNDS, connections=3, give_way_seconds=1e-6)) as server,
        contextlib.ExitStack() as sockets,
    ):
        for _ in range(3):
            dawdling = sockets.enter_context(server.socket())
            dawdling.sendall(alive)
            assert dawdling.recv(1000).startswith(b"HTTP/1.1 200 ")
            dawdling.sendall(alive[:20])
        # Where there is no more room one of them may give way already.
        eventually(lambda: phases(server) in (["HEAD"] * 2, ["HEAD"] * 3))
        with server.socket() as late:
            late.sendall(alive)
            assert late.recv(1000).startswith(b"HTTP/1.1 200 ")


def test_who_was_refused_and_dawdles_over_its_body_gives_way_too() -> None:
    model, shelf = Joined(), Shelf()
    shelf.deploy("churn", 1, model)
    bounds = replace(BOUNDS, connections=3, give_way_seconds=1e-6, inline_row_seconds=1e-12)
    with live_server(shelf, bounds=bounds, places=1) as server, contextlib.ExitStack() as sockets:
        # Too long for anybody in a hurry, whatever is left of the run before.
        server.gateway.router.find("churn").flow.cost = Cost(0.001, 0.1)
        model.stall.clear()
        sockets.callback(model.stall.set)
        running = sockets.enter_context(server.socket())
        running.sendall(HEAD + b"Content-Length: 13\r\n\r\n" + BODY)
        eventually(lambda: server.gateway.executor.batcher.running == 1)
        for there in (1, 2):
            eventually(lambda there=there: settled(server, there))
            refused = sockets.enter_context(server.socket())
            refused.sendall(HEAD + b"X-Deadline-Ms: 1\r\nContent-Length: 9999\r\n\r\n")
            assert refused.recv(1000).startswith(b"HTTP/1.1 503 ")
        assert phases(server) == ["ANSWER", "BODY", "BODY"]
        with server.socket() as late:
            late.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert late.recv(1000).startswith(b"HTTP/1.1 200 ")
        model.stall.set()
        assert running.recv(1000).startswith(b"HTTP/1.1 200 ")


def phases(server: LiveServer) -> list[str]:
    """What each connection is at."""
    return sorted(each._phase.name for each in connections(server))


def refused(server: LiveServer, asked: bytes) -> bytes:
    """The body of what one is told for whom there is no connection."""
    with server.socket() as late:
        late.sendall(asked)
        head, _, body = read_all(late).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ") and b"\r\nretry-after: 1\r\n" in head
    return body


def test_when_all_are_busy_the_next_is_told_so() -> None:
    with live_server(bounds=replace(BOUNDS, connections=3)) as server, contextlib.ExitStack() as sockets:
        for head in (HEAD, HEAD, HEAD.replace(b"all-key", b"predict-key")):
            busy = sockets.enter_context(server.socket())
            busy.sendall(head + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n")
            assert busy.recv(100).startswith(b"HTTP/1.1 100 ")
        for path, error in ((b"/predict/churn", b'{"code":'), (b"/v2/models/churn/infer", b'"too many')):
            told = partial(refused, server, b"POST %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
            # Who is looked at before its request has come is told in the usual dialect.
            eventually(lambda told=told, error=error: told().startswith(b'{"error":' + error), PATIENCE)


def test_an_address_with_more_than_its_share_of_connections_gives_way_to_others() -> None:
    alive = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"

    def ask(server: LiveServer, held: ExitStack, address: str) -> bytes:
        """On a connection that stays."""
        client = held.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE, (address, 0)))
        client.sendall(alive)
        return client.recv(1000)[:12]

    # Who was answered a moment ago gives way to nobody else.
    with live_server(bounds=replace(BOUNDS, connections=4, give_way_seconds=PATIENCE)) as server, ExitStack() as held:
        assert [ask(server, held, "127.0.0.2") for _ in range(4)] == [b"HTTP/1.1 200"] * 4
        eventually(lambda: phases(server) == ["IDLE"] * 4)
        assert ask(server, held, "127.0.0.2") == b"HTTP/1.1 503"
        assert ask(server, held, "127.0.0.1") == b"HTTP/1.1 200"
        # Three of four are its share.
        assert ask(server, held, "127.0.0.1") == b"HTTP/1.1 503"
        assert server.gateway.metrics.refusals["serving.gave-way", "", ""] == 1


def test_who_idles_gives_way_but_not_to_an_address_with_its_share() -> None:
    with live_server(bounds=replace(BOUNDS, connections=4, give_way_seconds=1e-6)) as server, ExitStack() as held:

        def come(address: str) -> socket.socket:
            return held.enter_context(socket.create_connection(("127.0.0.1", server.port), PATIENCE, (address, 0)))

        alone, crowd = come("127.0.0.1"), list[socket.socket]()
        for there in range(4):
            # One after the other: who is still on the way counts for no address.
            eventually(lambda there=there: settled(server, there + 1))
            crowd.append(come("127.0.0.2"))
        assert read_all(crowd[0]) == b""
        alone.sendall(b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert alone.recv(1000).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("how", [b"Content-Length: 13\r\n\r\n[", b"Transfer-Encoding: chunked\r\n\r\n1\r\n[\r\n"])
def test_bodies_of_one_key_that_do_not_come_take_no_more_than_its_share_of_connections(how: bytes) -> None:
    with live_server(bounds=replace(BOUNDS, connections=8, give_way_seconds=0.05)) as server, ExitStack() as sockets:
        slow = [sockets.enter_context(server.socket()) for _ in range(7)]
        for each in slow:
            each.sendall(HEAD + b"Content-Type: application/json\r\n" + how)

        ready = select.select(slow, [], [], PATIENCE)[0]

        [refused] = [read_all(each) for each in ready]
        assert refused.startswith(b"HTTP/1.1 429 ")
        assert b"retry-after: 1\r\n" in refused
        assert b"serving.too-many-at-once" in refused
        assert server.call("POST", "/predict/churn", BODY, key="predict-key").status == 200


def test_who_has_been_refused_and_lingers_gives_way() -> None:
    bounds = replace(BOUNDS, connections=1, give_way_seconds=0.05, linger_seconds=1e6)
    with live_server(bounds=bounds) as server, server.socket() as refused:
        refused.sendall(b"NONSENSE\r\n\r\n")
        assert refused.recv(65536).startswith(b"HTTP/1.1 400 ")

        eventually(lambda: server.call("GET", "/health/ready").status == 200)
