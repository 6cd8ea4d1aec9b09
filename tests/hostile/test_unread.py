"""Callers that ask and do not read: what waits for them is bounded, and nothing more is done for them meanwhile."""

import contextlib
import json
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from aias.runtimes.contract import Answers, Row
from aias.serving.connections.connection import Connection
from aias.serving.connections.write_buffers import CUT, WriteBuffers
from live_server import BOUNDS, PATIENCE, LiveServer, Rule, Shelf, connections, eventually, live_server

HEAD = (
    "POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\n"
    "Content-Type: application/json\r\n"
)


class Caller:
    """Has so much to read, and is noted when it is cut; `sent` is what its system has not taken yet."""

    def __init__(self, name: str, unread: int, cut: list[str], sent: int = 0) -> None:
        self.name, self.unread_bytes, self.sent, self._cut = name, unread, sent, cut

    @property
    def untaken_bytes(self) -> int:
        return self.unread_bytes + self.sent

    def cut(self) -> None:
        self._cut.append(self.name)


def test_beyond_the_bound_those_are_cut_that_have_not_read_for_longest() -> None:
    cut, noted = list[str](), list[str]()
    unread = WriteBuffers(1_000, 60, noted.append)
    for name, held in (("a", 400), ("b", 500), ("c", 90), ("d", 300)):
        unread.add(Caller(name, held, cut))

    assert (cut, noted) == (["a"], [CUT])


def test_what_has_been_read_meanwhile_does_not_count() -> None:
    cut = list[str]()
    unread = WriteBuffers(1_000, 60, lambda _code: None)
    slow, gone = Caller("slow", 900, cut), Caller("gone", 900, cut)
    unread.add(slow)
    slow.unread_bytes = 50
    unread.add(gone)
    unread.remove(gone)
    unread.add(Caller("new", 900, cut))

    assert cut == []


def test_one_answer_beyond_the_bound_is_cut_too() -> None:
    cut = list[str]()
    WriteBuffers(1_000, 60, lambda _code: None).add(Caller("huge", 1_001, cut))

    assert cut == ["huge"]


class Watched:
    """Two callers who have stopped reading, at a time that the test tells."""

    def __init__(self) -> None:
        self.now, self.cut, self.noted = 100.0, list[str](), list[str]()
        self.unread = WriteBuffers(1_000_000, 60.0, self.noted.append, lambda: self.now)
        self.still = Caller("still", 900, self.cut, sent=5_000)
        self.slow = Caller("slow", 900, self.cut, sent=5_000)
        for each in (self.still, self.slow):
            self.unread.add(each)

    def pass_seconds(self, seconds: float) -> None:
        self.now += seconds
        self.unread.tidy()


def test_who_reads_nothing_for_too_long_is_cut_and_who_reads_slowly_is_not() -> None:
    scene = Watched()
    for _ in range(10):
        scene.slow.sent -= 1
        scene.pass_seconds(59.0)

    assert (scene.cut, scene.noted) == (["still"], [CUT])
    scene.pass_seconds(1.0)
    scene.pass_seconds(60.1)
    assert scene.cut == ["still", "slow"]


def test_who_has_read_on_has_all_the_time_again() -> None:
    scene = Watched()
    scene.pass_seconds(59.0)
    scene.unread.remove(scene.still)
    scene.unread.add(scene.still)
    scene.pass_seconds(59.0)

    assert scene.cut == ["slow"]


def test_what_is_written_meanwhile_is_no_sign_of_reading() -> None:
    scene = Watched()
    for _ in range(3):
        scene.still.unread_bytes += 25
        scene.pass_seconds(30.0)

    assert "still" in scene.cut


class Counted(Rule):
    runs = 0

    def predict(self, rows: Sequence[Row]) -> Answers:
        type(self).runs += 1
        return super().predict(rows)


def asked(rows: int) -> bytes:
    body = json.dumps([{"age": 50}] * rows).encode()
    return f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body


def on_loop(connection: Connection, what: Callable[[], None]) -> None:
    connection.loop.call_soon_threadsafe(what)


def pause(connection: Connection) -> None:
    on_loop(connection, connection.pause_writing)
    eventually(lambda: connection.flow.write_paused, PATIENCE)


def test_nothing_is_begun_for_a_caller_who_has_an_answer_to_read_and_it_goes_on_when_that_is_read() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Counted())
    with live_server(shelf) as server, server.socket() as client:
        client.sendall(asked(1))
        came = client.makefile("rb")
        assert status_of(came) == 200
        [mine] = connections(server)
        pause(mine)
        before = Counted.runs
        client.sendall(asked(1) + asked(1))
        eventually(lambda: mine._unbegun is not None, PATIENCE)
        assert server.call("POST", "/predict/churn", [{"age": 50}]).status == 200
        meanwhile = Counted.runs - before
        on_loop(mine, mine.resume_writing)

        assert [status_of(came), status_of(came)] == [200, 200]
        assert meanwhile == 1


def test_a_caller_who_goes_before_it_has_read_leaves_nothing_behind() -> None:
    with live_server() as server:
        with server.socket() as client:
            client.sendall(asked(1))
            assert status_of(client.makefile("rb")) == 200
            [mine] = connections(server)
            pause(mine)
            client.sendall(asked(1))
            eventually(lambda: mine._unbegun is not None, PATIENCE)
        eventually(lambda: not connections(server), PATIENCE)

        assert mine._unbegun is None
        assert mine.cycle is None
        assert server.call("POST", "/predict/churn", [{"age": 50}]).status == 200


def test_many_who_ask_for_much_and_read_nothing_do_not_fill_the_memory() -> None:
    bound = 1_000_000
    with live_server(bounds=replace(BOUNDS, unread_bytes=bound)) as server, contextlib.ExitStack() as held:
        for _ in range(6):
            known = connections(server)
            client = held.enter_context(server.socket())
            eventually(lambda known=known: [*{*connections(server)} - {*known}], PATIENCE)
            [new] = {*connections(server)} - {*known}
            # So that the system takes little of an answer, which is more than half a megabyte.
            new.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
            client.sendall(asked(9_999))
            eventually(lambda: noted(server) or all(each.flow.write_paused for each in connections(server)), PATIENCE)
            eventually(lambda: 0 < sum(each.unread_bytes for each in connections(server)) <= bound, PATIENCE)

        assert noted(server) > 0


def test_who_stops_in_the_midst_of_an_answer_is_cut() -> None:
    with live_server(bounds=replace(BOUNDS, unread_seconds=0.2)) as server, server.socket() as client:
        eventually(lambda: connections(server), PATIENCE)
        [mine] = connections(server)
        mine.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        client.sendall(asked(9_999))
        eventually(lambda: noted(server) == 1, PATIENCE)
        eventually(lambda: not connections(server), PATIENCE)

        assert server.call("POST", "/predict/churn", [{"age": 50}]).status == 200


def noted(server: LiveServer) -> int:
    return server.gateway.metrics.refusals[CUT, "", ""]


def status_of(came: "socket.SocketIO") -> int:
    """Of the next answer, which is read to its end."""
    status = int(came.readline().split()[1])
    headers = dict(line.rstrip().lower().split(b": ", 1) for line in iter(came.readline, b"\r\n"))
    came.read(int(headers[b"content-length"]))
    return status


ALIVE = b"GET /health/ready HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.mark.parametrize(("idle", "left"), [(0, 1), (1, 2)])
def test_when_all_connections_are_in_use_who_reads_nothing_gives_way_but_whoever_idles_before(
    idle: int, left: int
) -> None:
    bounds = replace(BOUNDS, connections=2 + idle, give_way_seconds=1e-6, header_seconds=1_000.0)
    with live_server(bounds=bounds) as server, contextlib.ExitStack() as sockets:
        for _ in range(2):
            known = connections(server)
            client = sockets.enter_context(server.socket())
            client.sendall(ALIVE)
            assert client.recv(1000).startswith(b"HTTP/1.1 200 ")
            [new] = {*connections(server)} - {*known}
            pause(new)
            client.sendall(ALIVE)
            eventually(lambda new=new: new._unbegun is not None, PATIENCE)
        idling = [sockets.enter_context(server.socket()) for _ in range(idle)]
        eventually(lambda: len(connections(server)) == 2 + idle, PATIENCE)
        eventually(lambda: lets_in(server), PATIENCE)

        assert sum(each.flow.write_paused for each in connections(server)) == left
        assert [each.recv(10) for each in idling] == [b""] * idle


def lets_in(server: LiveServer) -> bool:
    with server.socket() as newcomer:
        newcomer.sendall(ALIVE)
        return newcomer.recv(1000).startswith(b"HTTP/1.1 200 ")
