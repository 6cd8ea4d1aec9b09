"""Which connections count together when there is no more room."""

import asyncio
import contextlib
import json
import socket
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
import uvloop

from aias.serving.bounds import whose
from aias.serving.connections.accepting import Accepting
from aias.serving.connections.connection_limit import ConnectionLimit
from aias.serving.connections.last_words import LastWords
from aias.serving.connections.timeouts import Bounded
from aias.serving.http.routes import Envelopes
from aias.serving.observability.metrics import Metrics
from aias.serving.observability.recording import Recording
from aias.serving.protocols.native import Native
from aias.serving.protocols.open_inference import OpenInference
from live_server import BOUNDS, PATIENCE


class Held(Bounded):
    """A connection that was answered a moment ago."""

    waits_since = 0.0

    def __init__(self, address: str, serial: int) -> None:
        self.client, self.serial, self.has_gone = (address, 50_000), serial, False

    def give_way(self) -> None:
        self.has_gone = True


@pytest.mark.parametrize(
    ("address", "has_room"),
    [("2001:db8:0:1:ffff::9", False), ("2001:db8:0:2::1", True), ("::ffff:192.0.2.7", True), ("192.0.2.7", True)],
)
def test_addresses_of_one_ipv6_network_share_one_share_of_the_connections(address: str, *, has_room: bool) -> None:
    held = [Held(f"2001:db8:0:1::{at}", at) for at in range(4)]
    limit = ConnectionLimit(held, replace(BOUNDS, connections=4), last_words(), clock=lambda: 0.0)

    assert limit.has_room(0, (address, 50_000, 0, 0)) == has_room
    assert [each.has_gone for each in held] == [has_room, False, False, False]


def test_addresses_of_ipv4_count_each_and_so_do_link_local_ones_however_they_are_written() -> None:
    assert whose("192.0.2.1") != whose("192.0.2.2")
    assert whose("::ffff:192.0.2.1") != whose("::ffff:192.0.2.2")
    assert whose("fe80::1%eth0") == whose("fe80::2")


def answered(limit: ConnectionLimit, asked: str) -> tuple[int, dict[str, str], bytes]:
    client, accepted = socket.socketpair()
    with client:
        client.sendall(asked.encode())
        assert limit.refuse(accepted)
        head, _, body = client.recv(10_000).partition(b"\r\n\r\n")
    lines = (line.decode().partition(": ") for line in head.split(b"\r\n")[1:])
    return int(head.split()[1]), {name: value for name, _, value in lines}, body


@pytest.mark.parametrize(
    ("path", "status", "refused"), [("/health/live", 200, 0), ("/v2/health/live", 200, 0), ("/health", 503, 1)]
)
def test_whoever_there_is_no_connection_for_hears_that_the_process_is_alive(
    path: str, status: int, refused: int
) -> None:
    metrics = Metrics()
    limit = ConnectionLimit([], BOUNDS, last_words(metrics))

    assert answered(limit, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")[0] == status
    assert metrics.refusals["serving.too-many-connections", "", ""] == refused
    assert metrics.requests["", "", 503] == refused


@pytest.mark.parametrize("asked", ["", "X-Request-ID: mine-7 \r\n"])
def test_whoever_there_is_no_connection_for_hears_it_as_its_protocol_says_it(asked: str) -> None:
    limit = ConnectionLimit([], BOUNDS, last_words())
    status, headers, body = answered(limit, f"POST /predict/churn?a=1 HTTP/1.1\r\n{asked}Host: localhost\r\n\r\n")
    problem = json.loads(body)["error"]

    assert (status, headers["retry-after"], headers["connection"]) == (503, "1", "close")
    assert problem["code"] == "serving.too-many-connections"
    assert problem["retry_after_seconds"] == 1.0
    assert problem["hint"]
    assert problem["request_id"] == headers["x-request-id"]
    assert headers["x-request-id"] == ("mine-7" if asked else "given-0")
    assert isinstance(json.loads(answered(limit, "GET /v2/models HTTP/1.1\r\n\r\n")[2])["error"], str)
    assert answered(limit, "HEAD /predict/churn HTTP/1.1\r\n\r\n")[2] == b""


def test_a_peer_of_grpc_counts_like_its_address() -> None:
    pytest.importorskip("grpc", reason="needs the extra `grpc`")
    from aias.serving.grpc.server import _whose

    assert _whose("ipv6:%5B2001:db8::1%5D:52110") == _whose("ipv6:[2001:db8::2]:7") == whose("2001:db8::3")
    assert _whose("ipv4:192.0.2.1:52110") == "192.0.2.1"


def last_words(metrics: Metrics | None = None) -> LastWords:
    envelopes = Envelopes({"": Native.envelope, "/v2": OpenInference.envelope})
    return LastWords(Recording(metrics or Metrics()), envelopes, map("given-{}".format, count()).__next__)


class Arriving(asyncio.Protocol):
    """One of `there` from when it is made; the first brings another along."""

    def __init__(self, there: list[object], bring: Callable[[], None]) -> None:
        self._there, self._bring = there, bring

    def connection_made(self, _transport: object) -> None:
        self._there.append(self)
        if len(self._there) == 1:
            self._bring()


def test_who_comes_while_another_is_on_its_way_in_has_the_place_that_is_left() -> None:
    there = list[object]()
    limit = ConnectionLimit(there, replace(BOUNDS, connections=2), last_words())  # type: ignore[arg-type]

    async def until_both_are_in(listener: socket.socket, clients: contextlib.ExitStack) -> None:
        def bring() -> None:
            clients.enter_context(socket.create_connection(listener.getsockname()))

        accepting = Accepting(listener, lambda _: Arriving(there, bring), limit)
        bring()
        async with asyncio.timeout(PATIENCE):
            while len(there) < 2:
                await asyncio.sleep(0)
        accepting.close()

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        contextlib.ExitStack() as clients,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        runner.run(until_both_are_in(listener, clients))
