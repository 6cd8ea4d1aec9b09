"""What a request says of itself before its body: its target as a whole URL, and headers that came twice."""

import pytest

from live_server import LiveServer

BODY = b'[{"age": 50}]'


def ask(server: LiveServer, target: str, *, host: str = "127.0.0.1", more: str = "", body: bytes = BODY) -> bytes:
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer all-key\r\nContent-Length: {len(body)}\r\n"
        f"{more}\r\n"
    )
    with server.socket() as client:
        client.sendall(head.encode() + body)
        return client.recv(65_536)


@pytest.mark.parametrize("target", ["http://127.0.0.1/predict/churn", "HTTP://localhost:8000/predict/churn"])
def test_a_target_that_is_a_whole_url_is_answered_as_its_path_is(server: LiveServer, target: str) -> None:
    whole, path = ask(server, target), ask(server, "/predict/churn")

    assert whole.startswith(b"HTTP/1.1 200 ")
    assert whole.partition(b"\r\n\r\n")[2] == path.partition(b"\r\n\r\n")[2]


def test_one_that_is_not_answered_at_once_is_found_too(server: LiveServer) -> None:
    got = server.raw(b"GET http://127.0.0.1/health/live?x=1 HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")

    assert got.startswith(b"HTTP/1.1 200 ")


def test_the_host_of_the_target_is_the_one_that_counts(server: LiveServer) -> None:
    ours, foreign = "http://127.0.0.1/predict/churn", "http://evil.example/predict/churn"

    assert ask(server, ours, host="evil.example").startswith(b"HTTP/1.1 200 ")
    assert ask(server, foreign).startswith(b"HTTP/1.1 421 ")
    assert ask(server, "http://127.0.0.1@evil.example/predict/churn").startswith(b"HTTP/1.1 421 ")


@pytest.mark.parametrize("target", ["ftp://127.0.0.1/predict/churn", "http:///predict/churn", "*", "churn"])
def test_what_is_neither_a_path_nor_an_http_url_is_refused(server: LiveServer, target: str) -> None:
    assert ask(server, target).startswith(b"HTTP/1.1 400 ")


def test_who_asks_what_the_whole_server_takes_is_told(server: LiveServer) -> None:
    answer = server.raw(b"OPTIONS * HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")

    said, _, body = answer.partition(b"\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200 ") and b"allow: GET, HEAD, POST" in said
    assert body == b""


@pytest.mark.parametrize(
    ("head", "status"),
    [("HEAD * HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", b"400"), (f"HEAD / HTTP/1.1\r\nX: {'x' * 99_999}\r\n\r\n", b"431")],
)
def test_who_asks_for_the_head_of_an_answer_gets_no_body_either_where_it_is_refused(
    server: LiveServer, head: str, status: bytes
) -> None:
    answer = server.raw(head.encode())

    said, _, body = answer.partition(b"\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 " + status) and b"connection: close" in said
    assert body == b""


@pytest.mark.parametrize("name", [
    "X-Priority", "X-Deadline-Ms", "X-Aias-Sticky", "Sec-Fetch-Site", "X-Amzn-SageMaker-Target-Model",
    "X-Amzn-SageMaker-Target-Variant",
])  # fmt: skip
def test_a_wish_that_came_twice_is_refused(server: LiveServer, name: str) -> None:
    got = ask(server, "/predict/churn", more=f"{name}: high\r\n{name}: low\r\n")

    assert got.startswith(b"HTTP/1.1 400 ")
    assert f"`{name.lower()}` came twice".encode() in got


def test_of_other_headers_no_line_is_lost(server: LiveServer) -> None:
    twice = "Accept: text/x-none\r\nAccept: application/json\r\n"
    swapped = "Accept: application/json\r\nAccept: text/x-none\r\n"

    assert ask(server, "/predict/churn", more=twice).startswith(b"HTTP/1.1 200 ")
    assert ask(server, "/predict/churn", more=swapped).startswith(b"HTTP/1.1 200 ")


def test_half_of_a_surrogate_pair_is_named_in_the_refusal(server: LiveServer) -> None:
    got = ask(server, "/predict/churn", body=b'[{"age": "\\ud800"}]')

    assert b"half of a surrogate pair" in got
