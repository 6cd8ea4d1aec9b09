"""Newcomers that are refused before anything is made for them."""

import socket
from collections.abc import Callable, Iterator

import pytest

from aias.serving.refusals import Overloaded
from aias.serving.room import Room
from raw_requests import BODY, POST
from serving_house import BOUNDS, House, eventually, house, read_all

WHOLE = POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
SAID = b"HTTP/1.1 503 Busy\r\ncontent-length: 2\r\n\r\nno"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A caller's and the server's."""
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with ours, theirs:
        ours.settimeout(5)
        yield ours, theirs


def room(again: Callable[[], Callable[[bytes], bytes | None] | None]) -> Room:
    return Room([], BOUNDS, lambda _code: None, again=again)


def test_a_newcomer_whose_like_was_refused_is_told_so_and_that_it_is_the_end(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    caller, accepted = ends
    caller.sendall(WHOLE)

    assert room(lambda: lambda data: SAID if data == WHOLE else None).turns_away(accepted)
    assert read_all(caller) == SAID.replace(b"Busy\r\n", b"Busy\r\nconnection: close\r\n")


@pytest.mark.parametrize("sent", [b"", WHOLE])
def test_who_has_not_asked_yet_or_asks_for_something_else_loses_no_byte(
    ends: tuple[socket.socket, socket.socket], sent: bytes
) -> None:
    caller, accepted = ends
    caller.sendall(sent)

    assert not room(lambda: lambda _data: None).turns_away(accepted)
    assert not room(lambda: None).turns_away(accepted)
    caller.sendall(b".")
    assert accepted.recv(65_536) == sent + b"."


def test_who_has_gone_meanwhile_is_turned_away_too(ends: tuple[socket.socket, socket.socket]) -> None:
    caller, accepted = ends
    caller.sendall(WHOLE)
    caller.close()

    assert room(lambda: lambda _data: SAID).turns_away(accepted)


def refuses(server: House) -> None:
    """As if a request had just been refused, and the moment did not pass."""
    application = server.gateway.application
    with server.socket() as client:
        client.sendall(WHOLE)
        assert client.recv(65_536).startswith(b"HTTP/1.1 200")
    head = application.heads.recall(WHOLE[: -len(BODY)])
    assert head is not None
    application.echoes._clock = lambda: 0.0
    request = application.request(head, None)
    application.refused(head, request, Overloaded(), more=(), started=0.0)


def test_a_server_that_refuses_turns_a_newcomer_away_that_asks_the_same_and_hears_one_that_asks_otherwise() -> None:
    with house() as server:
        refuses(server)

        def turned_away() -> bool:
            # One that is accepted before its request has come gets a connection, and the same answer on that.
            with server.socket() as client:
                client.sendall(WHOLE)
                answer = client.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 503")
            return b"\r\nconnection: close\r\n" in answer

        eventually(turned_away)
        with server.socket() as client:
            client.sendall(WHOLE.replace(b"Length: 13", b"Length: 12")[:-1])
            assert client.recv(65_536).startswith(b"HTTP/1.1 400")
        assert server.gateway.metrics.refusals["serving.overloaded", "", ""] >= 2
