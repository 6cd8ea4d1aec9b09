"""Requests that are answered as they come: like all others, whoever sends them and in however many pieces."""

import json
import socket
from itertools import pairwise

import pytest

from aias.core.events import nobody
from aias.serving.http.heads import Heads
from aias.serving.http.messages import Reply
from aias.serving.http.routes import Route, RouteTable
from aias.serving.survival.isolated_versions import IsolatedVersions
from live_server import BOUNDS, Joined, LiveServer, Shelf, eventually, live_server, read_all

BODY = b'[{"age": 50}]'


def head(length: int, *more: str, path: str = "/predict/churn", key: str = "all-key") -> bytes:
    first = [f"POST {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {key}"]
    return "\r\n".join([*first, "Content-Type: application/json", *more, f"Content-Length: {length}", "", ""]).encode()


def answer_of(client: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """One response, to its last byte."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536)
    top, _, body = data.partition(b"\r\n\r\n")
    first, *lines = top.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    while len(body) < int(headers["content-length"]):
        body += client.recv(65536)
    assert len(body) == int(headers["content-length"])
    return int(first.split()[1]), headers, body


def told(body: bytes) -> list[str]:
    return [each["prediction"] for each in json.loads(body)]


def test_a_request_that_is_repeated_is_answered_like_the_first(server: LiveServer) -> None:
    with server.socket() as client:
        answers = []
        for age in (50, 20, 50):
            body = b'[{"age": %d}]' % age
            client.sendall(head(len(body)) + body)
            answers.append(answer_of(client))

    assert [told(body) for _, _, body in answers] == [["yes"], ["no"], ["yes"]]
    assert all("date" in headers and headers["x-aias-version"] == "churn@1" for _, headers, _ in answers)
    assert len({headers["x-request-id"] for _, headers, _ in answers}) == 3


@pytest.mark.parametrize("cuts", [[10], [150], [-5], [-len(BODY)], [20, 170, -3]])
def test_a_request_may_come_in_pieces(server: LiveServer, cuts: list[int]) -> None:
    whole = head(len(BODY)) + BODY
    places = [0, *(cut % len(whole) for cut in cuts), len(whole)]
    with server.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for _ in range(2):
            for start, stop in pairwise(places):
                client.sendall(whole[start:stop])
            status, _, body = answer_of(client)
            assert (status, told(body)) == (200, ["yes"])


def test_many_at_once_on_one_connection_are_answered_in_their_order(server: LiveServer) -> None:
    ages = [20 + 5 * at for at in range(12)]
    bodies = [b'[{"age": %d}]' % age for age in ages]
    with server.socket() as client:
        client.sendall(b"".join(head(len(body), f"X-Request-Id: r{at}") + body for at, body in enumerate(bodies)))
        data = b""
        while data.count(b"prediction") < len(ages):
            data += client.recv(65536)

    assert [data.index(b"x-request-id: r%d\r" % at) for at in range(12)] == sorted(
        data.index(b"x-request-id: r%d\r" % at) for at in range(12)
    )
    assert data.count(b'"prediction":"yes"') == sum(age >= 40 for age in ages)


@pytest.mark.parametrize("how", ["apart", "quarantined"])
def test_a_version_that_runs_apart_or_not_at_all_sends_no_other_the_long_way(how: str) -> None:
    with live_server() as server:
        application = server.gateway.application
        pairs = [(b"host", b"localhost"), (b"authorization", b"Bearer all-key")]
        known = application.heads.of(b"/predict/churn", pairs)
        assert known is not None
        application.isolated = IsolatedVersions(lambda _version: (), bounds=BOUNDS, watch=nobody)
        answered = {}
        for version in ("other@1", "churn@1"):
            held: dict[str, frozenset[str]] = {"apart": frozenset(), "quarantined": frozenset()}
            application.isolated.set(**held | {how: frozenset((version,))})
            answered[version] = application.at_once(known, BODY, ())

    assert answered["other@1"] is not None
    assert answered["churn@1"] is None


def test_a_head_that_is_known_opens_nothing_for_another_key(server: LiveServer) -> None:
    with server.socket() as client:
        for _ in range(2):
            client.sendall(head(len(BODY)) + BODY)
            assert answer_of(client)[0] == 200
        client.sendall(head(len(BODY), key="read-key") + BODY)
        assert answer_of(client)[0] == 403
        client.sendall(head(len(BODY), key="mistyped") + BODY)
        assert answer_of(client)[0] == 401


@pytest.mark.parametrize("before", [b"", b"\r\n\r\n"])
def test_no_head_is_learned_from_one_that_came_in_pieces(server: LiveServer, before: bytes) -> None:
    """The first piece could look like a head and its body: what is remembered would then open for anybody."""
    found = before or b"POS"
    body = BODY.ljust(40)
    whole = before + head(len(body)) + body
    first = len(found) + len(body)
    with server.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sendall(whole[:first])
        eventually(lambda: _has_read(server))
        client.sendall(whole[first:])
        assert answer_of(client)[0] == 200

    assert server.gateway.application.heads.recall(found) is None
    with server.socket() as client:
        client.sendall(found + body)
        client.shutdown(socket.SHUT_WR)
        assert b" 200 " not in read_all(client)


def _has_read(server: LiveServer) -> bool:
    return any(each._read for each in list(server.gateway._server.server_state.connections))


def test_a_key_that_is_taken_away_opens_nothing_though_its_head_is_known() -> None:
    class Empty:
        def verify(self, _secret: str) -> None:
            return None

        def may_be_new(self, _secret: str) -> bool:
            return False

    with live_server() as running, running.socket() as client:
        for _ in range(2):
            client.sendall(head(len(BODY)) + BODY)
            assert answer_of(client)[0] == 200
        running.gateway.access.ring = Empty()
        client.sendall(head(len(BODY)) + BODY)

        assert answer_of(client)[0] == 401


def test_a_bad_key_is_refused_before_the_body_has_come(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(head(len(BODY), key="mistyped") + BODY[:3])

        assert answer_of(client)[0] == 401


def test_a_bad_row_is_the_same_fault_at_once(server: LiveServer) -> None:
    body = b'[{"aeg": 50}]'
    with server.socket() as client:
        for _ in range(2):
            client.sendall(head(len(body)) + body)
            status, _, told_of = answer_of(client)
            assert (status, json.loads(told_of)["error"]["code"]) == (422, "data.bad-value")


def test_a_connection_that_its_client_wants_closed_is_closed(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(head(len(BODY), "Connection: close") + BODY)
        status, headers, _ = answer_of(client)

        assert (status, headers["connection"]) == (200, "close")
        assert client.recv(10) == b""


def test_an_endpoint_that_moves_is_followed_by_known_heads() -> None:
    shelf = Shelf()
    shelf.deploy("churn", 1, Joined())
    with live_server(shelf) as running, running.socket() as client:
        client.sendall(head(len(BODY)) + BODY)
        assert answer_of(client)[1]["x-aias-version"] == "churn@1"
        shelf.deploy("churn", 2, Joined(0.9))
        running.gateway.router.refresh()
        client.sendall(head(len(BODY)) + BODY)

        assert answer_of(client)[1]["x-aias-version"] == "churn@2"


@pytest.mark.parametrize(
    ("named", "wanted"),
    [(b"Host: evil.example\r\n", 421), (b"Host: localhost\r\nOrigin: http://evil.example\r\n", 403)],
)
def test_who_may_not_call_is_refused_each_time(named: bytes, wanted: int) -> None:
    asked = b"POST /predict/churn HTTP/1.1\r\n" + named + b"Authorization: Bearer all-key\r\n"
    asked += b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    shelf = Shelf()
    shelf.deploy("churn", 1, Joined())
    with live_server(shelf) as running, running.socket() as client:
        for _ in range(3):
            client.sendall(asked)
            assert answer_of(client)[0] == wanted


def _anybody(_headers: object) -> None:
    """May call."""


def heads() -> Heads:
    def nothing(_request: object) -> Reply:
        return Reply(b"")

    routes = [Route("POST", "/predict/{endpoint}", "predict", nothing), Route("POST", "/other", "predict", nothing)]
    return Heads(RouteTable(routes), dict, lambda headers: b"csv" in headers.get(b"content-type", b""), _anybody)


@pytest.mark.parametrize(
    ("url", "more"),
    [
        (b"/other", []),
        (b"/nothing", []),
        (b"/predict/churn", [(b"transfer-encoding", b"chunked")]),
        (b"/predict/churn", [(b"expect", b"100-continue")]),
        (b"/predict/churn", [(b"connection", b"close")]),
        (b"/predict/churn", [(b"content-encoding", b"gzip")]),
        (b"/predict/churn", [(b"content-encoding", b"odd")]),
        (b"/predict/churn", [(b"content-type", b"text/csv")]),
    ],
)
def test_what_asks_for_more_than_an_answer_goes_the_long_way(url: bytes, more: list[tuple[bytes, bytes]]) -> None:
    found = heads().of(url, [(b"content-length", b"3"), *more])

    assert found is None or not found.plain
