"""Answers in pieces, through the same door as every other: they hold a place until they end."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from aias.serving.http.messages import Reply, Request
from aias.serving.http.routes import Route, RouteTable
from aias.serving.http.streams import AHEAD_MAX
from live_server import BOUNDS, PATIENCE, LiveServer, eventually, live_server, read_all

HEAD = b"POST /talk/churn HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer all-key\r\nConnection: close\r\n"
ASK = HEAD + b"Content-Length: 1\r\n\r\n?"


class Talk:
    """A handler whose answer comes in pieces; each waits for `go_on`."""

    def __init__(self, pieces: int, *, breaks: bool = False) -> None:
        self.pieces, self.breaks = pieces, breaks
        self.go_on, self.closed, self.made = threading.Semaphore(0), threading.Event(), 0

    def answer(self, _request: Request) -> Reply:
        return Reply(b"", media_type=b"text/event-stream", pieces=self.talk())

    def talk(self) -> Iterator[bytes]:
        try:
            for at in range(self.pieces):
                assert self.go_on.acquire(timeout=PATIENCE)
                self.made += 1
                yield b"piece %d\n" % at
            if self.breaks:
                raise ValueError("it broke off")
        finally:
            self.closed.set()


@contextmanager
def talking(talk: Talk) -> Iterator[LiveServer]:
    with live_server(bounds=replace(BOUNDS, inline_row_seconds=1e-12), places=1) as server:
        application = server.gateway.application
        route = Route("POST", "/talk/{endpoint}", "predict", talk.answer)
        application.table = RouteTable([*application.table.routes, route])
        yield server


def test_pieces_are_sent_as_they_are_made_and_the_place_is_held_until_the_last() -> None:
    talk = Talk(3)
    with talking(talk) as server, server.socket() as client:
        batcher = server.gateway.executor.batcher
        client.sendall(ASK)
        talk.go_on.release()
        said = b""
        while b"piece 0" not in said:
            said += client.recv(4096)
        assert batcher.running == 1
        talk.go_on.release(2)
        said += read_all(client)
        eventually(lambda: batcher.running == 0)

    assert said.startswith(b"HTTP/1.1 200 ")
    assert b"content-type: text/event-stream" in said
    assert b"transfer-encoding: chunked" in said.lower()
    assert said.index(b"piece 0") < said.index(b"piece 1") < said.index(b"piece 2")
    assert said.endswith(b"0\r\n\r\n")


def test_who_hangs_up_ends_the_making_of_pieces() -> None:
    talk = Talk(1_000_000)
    talk.go_on.release(1_000_000)
    with talking(talk) as server:
        with server.socket() as client:
            client.sendall(ASK)
            assert client.recv(100)
        assert talk.closed.wait(PATIENCE)
        eventually(lambda: server.gateway.executor.batcher.running == 0)

    assert talk.made < 1_000_000


def test_a_caller_that_does_not_read_holds_up_the_making() -> None:
    talk = Talk(100_000)
    talk.go_on.release(100_000)
    pieces = talk.talk
    talk.talk = lambda: (piece * 10_000 for piece in pieces())  # type: ignore[method-assign]
    with talking(talk) as server, server.socket() as client:
        client.sendall(ASK)
        eventually(lambda: talk.made > AHEAD_MAX)
        made = -1
        while made != talk.made:
            made = talk.made
            threading.Event().wait(0.3)
        client.close()
        assert talk.closed.wait(PATIENCE)

    assert made < 10_000


def test_an_answer_that_breaks_off_is_cut_and_its_place_is_free_again() -> None:
    talk = Talk(1, breaks=True)
    talk.go_on.release()
    with talking(talk) as server, server.socket() as client:
        client.sendall(ASK)
        said = read_all(client)
        eventually(lambda: server.gateway.executor.batcher.running == 0)
        assert server.call("POST", "/predict/churn", [{"age": 50}]).status == 200

    assert b"piece 0" in said
    assert not said.endswith(b"0\r\n\r\n")


def test_a_handler_that_fails_before_its_first_piece_is_told_as_ever() -> None:
    talk = Talk(0)
    talk.answer = lambda _request: 1 / 0  # type: ignore[method-assign, assignment, return-value]
    with talking(talk) as server:
        assert server.call("POST", "/talk/churn", b"?").status == 500
