"""What a connection hears that ends before the application could answer: as the application would have said it."""

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from live_server import BOUNDS, LiveServer, eventually, live_server, read_all, samples
from raw_requests import status

KEYED = b"Host: localhost\r\nAuthorization: Bearer all-key\r\nX-Request-Id: mine-7\r\n"
LONG = b"X-Long: " + b"a" * 100_000 + b"\r\n"
CUT = b"Content-Length: 100\r\n\r\n[{"

FAULTS = {
    "headers-too-large": (431, LONG + b"\r\n"),
    "body-too-large": (413, b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 1_000_000),
    "bad-request": (400, b"Transfer-Encoding: chunked\r\n\r\nno length\r\n"),
    "body-too-slow": (408, CUT),
}


@pytest.fixture(scope="module")
def server() -> Iterator[LiveServer]:
    bounds = replace(BOUNDS, body_idle_seconds=0.3, linger_seconds=0.2, header_bytes=20_000)
    with live_server(bounds=bounds) as running:
        yield running


def said(server: LiveServer, data: bytes) -> tuple[int, dict[str, str], dict[str, object]]:
    head, _, body = server.raw(data).partition(b"\r\n\r\n")
    lines = (line.decode().lower().partition(": ") for line in head.split(b"\r\n")[1:])
    return status(head), {name: value for name, _, value in lines}, json.loads(body)


@pytest.mark.parametrize("code", sorted(FAULTS))
@pytest.mark.parametrize(
    "path", ["/predict/churn", "/keys", "/v2/models/churn/infer", "/v1/embeddings", "/invocations"]
)
def test_every_protocol_hears_it_in_its_own_form_with_a_hint_and_the_request_s_name(
    server: LiveServer, path: str, code: str
) -> None:
    expected, rest = FAULTS[code]
    got, headers, body = said(server, b"POST %b HTTP/1.1\r\n" % path.encode() + KEYED + rest)

    assert (got, headers["content-type"], headers["connection"]) == (expected, "application/json", "close")
    assert headers["x-request-id"] == "mine-7"
    problem = body.get("error", body)
    if path.startswith("/v2"):
        assert isinstance(problem, str)
        assert problem.endswith(")")
    elif path == "/invocations":
        assert set(body) == {"error_code", "message"}
        assert str(body["message"]).endswith(")")
    else:
        assert isinstance(problem, dict)
        assert problem["code"] == f"serving.{code}"
        if path.startswith("/v1"):
            assert problem["type"] == "invalid_request_error"
        else:
            assert problem["hint"]
            assert problem["request_id"] == headers["x-request-id"]


def test_whose_name_is_not_known_gets_one(server: LiveServer) -> None:
    (_, first, body), (_, second, _) = (said(server, b"GET / HTTP/1.1\r\n" + LONG) for _ in range(2))

    assert body["error"]["request_id"] == first["x-request-id"] != second["x-request-id"]  # type: ignore[index]


def counted(server: LiveServer, reason: str, answered: int) -> tuple[float, float, float]:
    found = samples(server)
    refused = (("endpoint", ""), ("reason", reason), ("version", ""))
    return (
        found.get(("aias_refusals_total", refused), 0),
        *(
            found.get(("aias_requests_total", (("endpoint", ""), ("status", each), ("version", ""))), 0)
            for each in (str(answered), "499")
        ),
    )


@pytest.mark.parametrize("code", sorted(FAULTS))
def test_they_are_counted_once_among_the_requests_with_the_status_that_was_told(code: str) -> None:
    expected, rest = FAULTS[code]
    bounds = replace(BOUNDS, body_idle_seconds=0.3, linger_seconds=0.2, header_bytes=20_000)
    with live_server(bounds=bounds) as server:
        server.raw(b"POST /keys HTTP/1.1\r\n" + KEYED + rest)
        eventually(lambda: counted(server, f"serving.{code}", expected)[1] > 0)

        assert counted(server, f"serving.{code}", expected) == (1, 1, 0)


def test_a_body_that_ends_too_soon_is_counted_as_what_it_is_told(server: LiveServer) -> None:
    before = counted(server, "serving.bad-request", 400)
    with server.socket() as client:
        client.sendall(b"POST /keys HTTP/1.1\r\n" + KEYED + CUT)
        client.shutdown(1)
        heard = read_all(client)

    assert status(heard) == 400
    assert b'"hint":' in heard
    eventually(lambda: counted(server, "serving.bad-request", 400)[1] > before[1])
    assert counted(server, "serving.bad-request", 400) == (before[0] + 1, before[1] + 1, before[2])
