"""Many small requests on one connection, sent without waiting for answers: each takes a hundred times its bytes once it
is understood, and needs no key for that."""

import socket
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from aias.serving.connections import connection
from live_server import BOUNDS, LiveServer, Rule, Shelf, connections, eventually, live_server
from raw_requests import BODY, KEY, POST

ALIVE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
MANY = 3_000
THREADS = replace(BOUNDS, inline_row_seconds=1e-12)
WAITING_MAX = 64
"""Requests that are understood, and wait behind one that is answered."""


def waiting(server: LiveServer) -> int:
    return max((len(each.pipeline) for each in connections(server)), default=0)


def read_answers(client: socket.socket, count: int, look: Callable[[], object] = lambda: None) -> bytes:
    """So many, and no more; the last piece of them."""
    seen, before = 0, b""
    while seen < count:
        look()
        piece = client.recv(1 << 12)
        assert piece, f"closed after {seen} answers"
        # One may begin at the end of a piece.
        seen += (before + piece).count(b"HTTP/1.1 200")
        before = piece[-11:]
    return piece


def test_of_very_many_requests_in_one_go_a_few_wait_and_all_are_answered() -> None:
    with live_server() as server, server.socket() as client:
        sender, most = threading.Thread(target=client.sendall, args=(ALIVE * MANY,)), [0]
        sender.start()

        read_answers(client, MANY, lambda: most.append(waiting(server)))

        sender.join()
        assert max(most) <= WAITING_MAX
        client.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY)
        assert b"yes" in read_answers(client, 1)


@pytest.mark.parametrize("cut", [0, 7, 1_500])
def test_who_waits_behind_a_run_is_answered_after_it_in_order_to_the_last(cut: int) -> None:
    """The last of them are not there until later."""
    gate, slow, shelf = threading.Event(), Rule(), Shelf()
    shelf.deploy("churn", 1, slow)
    asked = b"".join(
        POST + b"X-Request-Id: %d\r\nContent-Length: %d\r\n\r\n" % (at, len(BODY)) + BODY for at in range(200)
    )
    with live_server(shelf, bounds=THREADS) as server, server.socket() as client:
        slow.gate = gate
        client.sendall(asked[: len(asked) - cut])
        slow.started.acquire()
        gate.set()
        client.sendall(asked[len(asked) - cut :])
        client.shutdown(socket.SHUT_WR)
        told = b""
        while piece := client.recv(1 << 16):
            assert waiting(server) <= WAITING_MAX
            told += piece

    names = [each.partition(b"\r\n")[0] for each in told.split(b"x-request-id: ")[1:]]
    assert names == [b"%d" % at for at in range(200)]


def test_who_asks_for_much_behind_a_run_that_goes_on_is_heard_to_the_end_of_it() -> None:
    gate, slow, shelf = threading.Event(), Rule(), Shelf()
    shelf.deploy("churn", 1, slow)
    with live_server(shelf, bounds=THREADS) as server, server.socket() as client:
        slow.gate = gate
        client.sendall(POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY + ALIVE * 500)
        slow.started.acquire()
        eventually(lambda: waiting(server) > 0)
        assert waiting(server) <= WAITING_MAX
        gate.set()
        read_answers(client, 501)


def test_a_server_that_stops_answers_what_waits_as_bytes_too_and_says_so_in_the_last_answer() -> None:
    gate, slow, shelf = threading.Event(), Rule(), Shelf()
    shelf.deploy("churn", 1, slow)
    with live_server(shelf, bounds=THREADS) as server, server.socket() as client:
        slow.gate = gate
        client.sendall((POST + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY) * 60)
        slow.started.acquire()
        eventually(lambda: any(each._behind for each in connections(server)))
        server.gateway.stop()
        eventually(lambda: all(each._stops for each in connections(server)))
        gate.set()
        told = b""
        while piece := client.recv(1 << 16):
            told += piece

    answers = told.split(b"HTTP/1.1 200")[1:]
    assert [b"connection: close" in each.lower() for each in answers] == [False] * 59 + [True]


@pytest.mark.parametrize("bytes_", [len(BODY), 5_000])
def test_a_server_whose_time_for_stopping_runs_out_answers_what_it_has_understood_and_resets_nobody(
    bytes_: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of long bodies the last that was understood is hardly ever whole."""
    asked = POST + b"Content-Length: %d\r\n\r\n" % bytes_ + BODY.ljust(bytes_)
    monkeypatch.setattr(connection, "HEARD_SHARE", 1e-6)
    gate, slow, shelf = threading.Event(), Rule(), Shelf()
    shelf.deploy("churn", 1, slow)
    with live_server(shelf, bounds=THREADS) as server, server.socket() as client:
        slow.gate = gate
        sender = threading.Thread(target=client.sendall, args=(asked * 5_000,))
        sender.start()
        slow.started.acquire()
        eventually(lambda: any(each._behind for each in connections(server)))
        server.gateway.stop()
        eventually(lambda: all(each._stops and not each._behind for each in connections(server)))
        gate.set()
        told = b""
        while piece := client.recv(1 << 16):
            told += piece
        sender.join()

    answers = told.split(b"HTTP/1.1 200")[1:]
    assert len(answers) <= WAITING_MAX + 1
    assert [b"connection: close" in each.lower() for each in answers] == [False] * (len(answers) - 1) + [True]


def test_what_has_blank_lines_in_its_body_is_one_request() -> None:
    body = b"age\r\n" + b"\r\n" * 3_000 + b"50\r\n" + b"\r\n" * 3_000
    head = b"POST /predict/churn HTTP/1.1\r\n" + KEY + b"Content-Type: text/csv\r\nAccept: application/json\r\n"
    with live_server() as server, server.socket() as client:
        client.sendall((head + b"Content-Length: %d\r\n\r\n" % len(body) + body) * 3)
        assert b"yes" in read_answers(client, 3)
