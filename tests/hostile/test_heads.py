"""Heads that lie, overflow or smuggle, and requests in pieces. After each, the server still answers."""

import gzip

import pytest

from live_server import LiveServer, read_all
from raw_requests import BODY, KEY, POST, closing, status


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 13\r\nContent-Length: 13\r\n",
        b"Content-Length: 13\r\nContent-Length: 14\r\n",
        b"Content-Length: 13\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 13\r\n",
        b"Transfer-Encoding: chunked, identity\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: gzip\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: +13\r\n",
        b"Content-Length: 13, 13\r\n",
        b"Content-Length: 0x0d\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Content-Length : 13\r\n",
        b"X-Folded: a\r\n b\r\nContent-Length: 13\r\n",
        b"X-Nul: a\x00b\r\nContent-Length: 13\r\n",
        b"X-Bare: a\rb\r\nContent-Length: 13\r\n",
        b"Host: evil.example\r\nContent-Length: 13\r\n",
        b"Authorization: Bearer all-key\r\nContent-Length: 13\r\n",
        b"no colon\r\nContent-Length: 13\r\n",
    ],
)
def test_a_head_that_two_parsers_could_read_differently_is_refused(server: LiveServer, head: bytes) -> None:
    answer = server.raw(POST + b"Connection: close\r\n" + head + b"\r\n" + BODY)

    assert status(answer) == 400
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"Content-Length: 13\r\nContent-Length: 13\r\n", b"Duplicate Content-Length"),
        (b"Content-Length: 13\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding"),
        (b"no colon\r\n", b"Invalid header token"),
    ],
)
def test_what_is_wrong_with_a_head_is_said(server: LiveServer, head: bytes, why: bytes) -> None:
    assert why in server.raw(POST + head + b"\r\n" + BODY)


@pytest.mark.parametrize("between", [b", ", b"\r\nTransfer-Encoding: "])
def test_a_coding_that_only_a_proxy_would_undo_is_refused(server: LiveServer, between: bytes) -> None:
    packed, codings = gzip.compress(BODY), b"Transfer-Encoding: gzip" + between + b"chunked\r\n"

    answer = server.raw(closing(codings, length=None) + chunk(packed) + chunk(b""))

    assert status(answer) == 501
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize("version", [b"0.9", b"2.0", b"1.2"])
def test_another_version_of_http_is_not_answered_as_this_one(server: LiveServer, version: bytes) -> None:
    head = closing().replace(b"HTTP/1.1", b"HTTP/" + version)

    assert status(server.raw(head + BODY)) == 400


def test_who_speaks_http_1_0_is_not_told_to_go_on(server: LiveServer) -> None:
    head = closing(b"Expect: 100-continue\r\n").replace(b"HTTP/1.1", b"HTTP/1.0")

    answer = server.raw(head + BODY)

    assert status(answer) == 200
    assert answer.count(b"HTTP/1.1 ") == 1


def test_a_smuggled_request_is_not_answered(server: LiveServer) -> None:
    inner = b"GET /metrics HTTP/1.1\r\n" + KEY + b"\r\n"
    head = POST + b"Transfer-Encoding: chunked\r\nContent-Length: %d\r\n\r\n" % (5 + len(inner))

    answer = server.raw(head + b"0\r\n\r\n" + inner)

    assert answer.count(b"HTTP/1.1 ") == 1
    assert status(answer) == 400


@pytest.mark.parametrize("target", [b"*", b"predict/churn", b"localhost:80", b"ftp://localhost/predict/churn"])
def test_only_a_path_or_a_whole_url_is_a_target(server: LiveServer, target: bytes) -> None:
    assert status(server.raw(b"GET " + target + b" HTTP/1.1\r\n" + KEY + b"\r\n")) == 400


def test_a_tunnel_is_refused(server: LiveServer) -> None:
    assert status(server.raw(b"CONNECT localhost:80 HTTP/1.1\r\n" + KEY + b"\r\n")) == 400


@pytest.mark.parametrize("target", [b"/predict/chu\x00rn", b"/predict/churn\x7f", b"/predict/\xff"])
def test_a_target_with_odd_bytes_finds_nothing(server: LiveServer, target: bytes) -> None:
    answer = server.raw(b"GET " + target + b" HTTP/1.1\r\nConnection: close\r\n" + KEY + b"\r\n")

    assert status(answer) in (400, 404)


@pytest.mark.parametrize(
    "head",
    [
        b"X-Long: " + b"a" * 9_000 + b"\r\n",
        b"X-" + b"a" * 9_000 + b": 1\r\n",
        b"".join(b"X-%d: %s\r\n" % (at, b"a" * 200) for at in range(60)),
        b"".join(b"X-%d: 1\r\n" % at for at in range(200)),
    ],
)
def test_headers_have_a_bound(server: LiveServer, head: bytes) -> None:
    assert status(server.raw(b"GET /health/live HTTP/1.1\r\n" + KEY + head + b"\r\n")) == 431


def test_a_target_has_a_bound(server: LiveServer) -> None:
    assert status(server.raw(b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n" + KEY + b"\r\n")) == 431


@pytest.mark.parametrize("line", [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_another_protocol_is_told_so(server: LiveServer, line: bytes) -> None:
    assert status(server.raw(line + b"\r\n\r\n")) == 400


OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"


@pytest.mark.parametrize("offer", [OFFER, b"Connection: upgrade\r\nUpgrade: websocket\r\n"])
def test_an_offer_to_speak_something_else_is_passed_over_and_its_body_read(server: LiveServer, offer: bytes) -> None:
    """As Java's client makes one with the first request of each connection."""
    sized = POST + offer + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
    chunked = POST + offer + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(BODY) + chunk(b"")
    asked = b"GET /health/live HTTP/1.1\r\n" + KEY + offer + b"\r\n"

    for first in (sized, chunked, asked):
        whole = first + sized + closing() + BODY
        for pieces in ((whole,), (whole[:30], whole[30 : len(first) - 4], whole[len(first) - 4 :])):
            with server.socket() as client:
                for piece in pieces:
                    client.sendall(piece)
                answer = read_all(client)
            assert [each[:3] for each in answer.split(b"HTTP/1.1 ")[1:]] == [b"200"] * 3
    assert server.raw(sized + closing() + BODY).count(b'"prediction"') == 2


def test_an_offer_is_no_way_around_what_is_said_of_the_connection(server: LiveServer) -> None:
    asked = b"GET /health/live HTTP/1.1\r\n" + KEY + OFFER.replace(b"Upgrade,", b"Upgrade, close,") + b"\r\n"

    assert server.raw(asked + asked).count(b"HTTP/1.1 ") == 1
    twice = POST + OFFER + b"Content-Length: 13\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(BODY) + chunk(b"")
    assert status(server.raw(twice)) == 400


def test_a_request_without_a_host_is_refused(server: LiveServer) -> None:
    assert status(server.raw(b"GET /health/live HTTP/1.1\r\nConnection: close\r\n\r\n")) == 400


def test_http_1_0_is_answered_and_closed(server: LiveServer) -> None:
    assert status(server.raw(b"GET /health/live HTTP/1.0\r\nHost: localhost\r\n\r\n")) == 200


def test_who_speaks_1_0_need_not_name_the_host(server: LiveServer) -> None:
    assert status(server.raw(b"GET /health/live HTTP/1.0\r\n\r\n")) == 200
    head = closing().replace(b"HTTP/1.1", b"HTTP/1.0")
    assert status(server.raw(head.replace(b"Host: localhost\r\n", b"") + BODY)) == 200
    assert status(server.raw(head.replace(b"localhost", b"evil") + BODY)) == 421


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


# Several pieces


def test_a_body_in_chunks_is_a_body(server: LiveServer) -> None:
    chunks = b"".join(b"%x\r\n%b\r\n" % (1, BODY[at : at + 1]) for at in range(len(BODY))) + b"0\r\n\r\n"

    answer = server.raw(closing(b"Transfer-Encoding: chunked\r\n", length=None) + chunks)

    assert status(answer) == 200


def test_a_trailer_is_no_header(server: LiveServer) -> None:
    head = b"POST /predict/churn HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
    chunks = b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    key = b"Authorization: Bearer all-key\r\n"

    assert status(server.raw(head + chunks + key + b"\r\n")) == 401
    assert status(server.raw(head + key + chunks + b"Authorization: none\r\n\r\n")) == 200


def test_three_megabytes_of_six_byte_chunks_cost_no_more_than_their_body(server: LiveServer) -> None:
    answer = server.raw(closing(b"Transfer-Encoding: chunked\r\n", length=None) + b"1\r\n \r\n" * 500_000)

    assert status(answer) == 413


def test_a_client_that_asks_first_is_told_to_go_on(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(closing(b"Expect: 100-continue\r\n"))
        assert client.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(BODY)
        assert status(client.recv(65536)) == 200


def test_a_client_that_asks_first_is_refused_before_it_sends(server: LiveServer) -> None:
    with server.socket() as client:
        client.sendall(closing(b"Expect: 100-continue\r\n", length=10_000_000))
        assert status(client.recv(65536)) == 413


def test_requests_in_one_go_are_answered_in_their_order(server: LiveServer) -> None:
    ages = [50, 20, 60, 10]
    bodies = [b'{"age": %d}' % age for age in ages]
    sent = b"".join(POST + b"Content-Length: %d\r\n\r\n" % len(body) + body for body in bodies)

    answer = server.raw(sent + b"GET /health/live HTTP/1.1\r\nConnection: close\r\n" + KEY + b"\r\n")

    assert answer.count(b"HTTP/1.1 200 ") == 5
    labels = [part[:3] for part in answer.split(b'"prediction":"')[1:]]
    assert labels == [b"yes", b'no"', b"yes", b'no"']


def test_what_follows_a_refused_head_is_not_answered(server: LiveServer) -> None:
    answer = server.raw(POST + b"Content-Length: x\r\n\r\n" + b"GET /health/live HTTP/1.1\r\n" + KEY + b"\r\n")

    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(
    "how",
    [b"Content-Length: 13 \r\n\r\n" + BODY, b"Transfer-Encoding: chunked \r\n\r\nd\r\n" + BODY + b"\r\n0\r\n\r\n"],
)
def test_blanks_around_a_value_are_none_of_it(server: LiveServer, how: bytes) -> None:
    said = (b"Host: localhost \t", b"X-Deadline-Ms:\t99000 ", b"X-Priority:high ", b"X-Request-Id: mine ", b"Expect:  ")
    lines = [b"POST /predict/churn HTTP/1.1", b"Authorization: Bearer all-key ", *said, b"Connection: close ", how]
    answer = server.raw(b"\r\n".join(lines))

    assert status(answer) == 200
    assert b"\r\nx-request-id: mine\r\n" in answer
