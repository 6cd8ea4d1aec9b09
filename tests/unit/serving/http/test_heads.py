"""Heads that come again, and heads like them."""

import pytest

from aias.serving.http.headers import read_headers
from aias.serving.http.heads import HEADS_MAX, SIZES_MAX, Head, Heads
from aias.serving.http.messages import Reply
from aias.serving.http.routes import Route, RouteTable

FIRST = b"POST /predict/churn HTTP/1.1\r\nHost: a\r\n"
TRACED = FIRST + b"Traceparent: 00-aa\r\nContent-Length: 3\r\nX-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n\r\n"


def heads() -> Heads:
    def nothing(_request: object) -> Reply:
        return Reply(b"")

    table = RouteTable([Route("POST", "/predict/{endpoint}", "predict", nothing)])
    return Heads(table, read_headers, lambda _headers: False, lambda _headers: None)


def learn(held: Heads, head: bytes) -> Head:
    """As the parser would read it."""
    first, *lines = head[:-4].split(b"\r\n")
    pairs = [(name.lower(), value.strip(b" \t")) for name, _, value in (each.partition(b":") for each in lines)]
    found = held.of(first.split(b" ")[1], pairs)
    assert found is not None
    held.remember(head, found)
    return found


def test_a_head_with_other_passing_lines_is_like_it_and_has_its_own() -> None:
    held = heads()
    learn(held, TRACED)
    found = held.recall(
        FIRST + b"content-length:  12 \r\nX-Request-Id: mine\r\ntracestate: \r\nX-Deadline-Ms: 50\r\n\r\n"
    )

    assert found is not None
    assert (found.path, found.places, found.body_bytes, found.id) == (
        "/predict/churn",
        {"endpoint": "churn"},
        12,
        "mine",
    )
    assert found.headers == {
        b"host": b"a", b"content-length": b"12", b"x-request-id": b"mine", b"tracestate": b"", b"x-deadline-ms": b"50"
    }  # fmt: skip
    again = held.recall(TRACED)
    assert again is not None
    assert again.headers[b"traceparent"] == b"00-aa"
    assert again.kind is found.kind is not None


@pytest.mark.parametrize(
    "other",
    [
        b"POST /predict/other HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
        FIRST + b"Authorization: Bearer other\r\nContent-Length: 3\r\n\r\n",
        FIRST + b"X-Priority: low\r\nContent-Length: 3\r\n\r\n",
        FIRST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        FIRST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\n",
        FIRST + b"Content-Length: 3\r\nX-Request-Id: a\r\nx-request-id: b\r\n\r\n",
        FIRST + b"Content-Length: +3\r\n\r\n",
        FIRST + b"Content-Length: 3 4\r\n\r\n",
        FIRST + b"Content-Length: 1" + b"0" * 12 + b"\r\n\r\n",
        FIRST + b"Content-Length:\r\n\r\n",
        FIRST + b"Content-Length: 3\r\nTraceparent : 00\r\n\r\n",
        FIRST + b"Content-Length: 3\r\nTraceparent: 00\r\n 11\r\n\r\n",
        FIRST + b"Content-Length: 3\r\nTraceparent: \xe4\r\n\r\n",
        FIRST + b"Content-Length: 3\r\nTraceparent: 0\n0: 1\r\n\r\n",
        FIRST + b"Content-Length: 3\r\nX-Forwarded-: a b: c\r\n\r\n",
        FIRST + b"Traceparent: 00\r\n\r\n",
        FIRST + b"Content-Length: 3\r\n\r\n"[:-2],
        FIRST + b"Content-Length: 3\r\nBaggage: " + b"x" * 3_000 + b"\r\n\r\n",
        FIRST + b"Content-Length: 3\r\n" + b"".join(b"X-B3-%d: 1\r\n" % at for at in range(99)) + b"\r\n",
    ],
)
def test_what_differs_in_any_other_way_is_no_head_like_it(other: bytes) -> None:
    held = heads()
    learn(held, TRACED)
    learn(held, FIRST + b"Content-Length: 3\r\n\r\n")

    assert held.recall(other) is None


def test_a_head_of_as_many_lines_as_are_read_is_like_one_of_fewer() -> None:
    held = heads()
    learn(held, TRACED)
    many = b"".join(b"X-B3-%d: 1\r\n" % at for at in range(98))
    assert held.recall(FIRST + b"Content-Length: 3\r\n" + many + b"\r\n") is not None


def test_a_name_whose_value_is_too_odd_to_be_another_each_time_stands_in_no_kind() -> None:
    """Beside it a line of the same name would not be seen to be the second."""
    held = heads()
    odd = FIRST + b"X-Request-Id: \xe9\r\nContent-Length: 3\r\n"
    learn(held, odd + b"\r\n")

    assert held.recall(odd + b"X-Request-Id: mine\r\n\r\n") is None


def test_of_heads_that_differ_in_length_only_what_bodies_mean_is_remembered_for_some_lengths() -> None:
    held = heads()
    learn(held, FIRST + b"Content-Length: 3\r\n\r\n")
    first = held.recall(FIRST + b"Content-Length: 4\r\n\r\n")
    assert first is not None
    assert held.recall(FIRST + b"Content-Length: 4\r\n\r\n") is first
    traced = held.recall(FIRST + b"Content-Length: 4\r\nb3: 1\r\n\r\n")
    assert traced is not None
    assert traced.lengths is first.lengths
    for size in range(10, 10 + SIZES_MAX):
        held.recall(FIRST + b"Content-Length: %d\r\nb3: 1\r\n\r\n" % size)
    traced = held.recall(FIRST + b"Content-Length: 4\r\nb3: 2\r\n\r\n")

    assert traced is not None
    assert traced.lengths is not first.lengths


def test_of_too_many_heads_the_oldest_go() -> None:
    held = heads()
    for at in range(HEADS_MAX + 1):
        learn(held, b"POST /predict/m%d HTTP/1.1\r\nContent-Length: 3\r\n\r\n" % at)
    known = [
        held.recall(b"POST /predict/m%d HTTP/1.1\r\nContent-Length: 3\r\n\r\n" % at) for at in range(HEADS_MAX + 1)
    ]

    assert [each is None for each in known] == [True, *[False] * HEADS_MAX]


def test_a_head_that_is_learned_is_known_although_it_was_asked_for_in_vain() -> None:
    held = heads()
    learn(held, b"POST /predict/other HTTP/1.1\r\nContent-Length: 3\r\n\r\n")
    assert held.recall(TRACED) is None
    learn(held, TRACED)

    assert held.recall(TRACED) is not None


def test_a_head_that_is_too_long_is_not_kept() -> None:
    held = heads()
    long = FIRST + b"Accept: " + b"x" * 3_000 + b"\r\nContent-Length: 3\r\n\r\n"
    learn(held, long)

    assert held.recall(long) is None
