"""Answers of HTTP/1.1, whole and in pieces."""

import pytest

from aias.client.load.answer import Answer, BadAnswer

PLAIN = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nx-request-id: 1\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\nA;note=1\r\n0123\r\n6789\r\n0\r\ntrailer: x\r\n\r\n"
)
REFUSED = (
    b'HTTP/1.1 503 Busy\r\ncontent-length: 43\r\nconnection: close\r\n\r\n{"error": {"code": "serving.overloaded", "x"}'
)


@pytest.mark.parametrize(
    "raw", [PLAIN, CHUNKED, b"HTTP/1.1 204 Gone\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" + PLAIN]
)
def test_an_answer_is_whole_with_its_last_byte_however_it_comes(raw: bytes) -> None:
    for size in (1, 2, 3, 7, len(raw)):
        answer = Answer()
        told = [answer.feed(raw[at : at + size]) for at in range(0, len(raw), size)]

        assert told == [False] * (len(told) - 1) + [True], size
        assert answer.status in (200, 204)
        assert not answer.closes


def test_what_was_refused_says_why_and_whether_the_connection_ends() -> None:
    answer = Answer()

    assert answer.feed(REFUSED)
    assert (answer.status, answer.code, answer.closes) == (503, "serving.overloaded", True)


def test_without_a_length_the_end_of_the_connection_is_the_end() -> None:
    answer = Answer()

    assert not answer.feed(b"HTTP/1.1 200 OK\r\n\r\nas much as comes")
    assert answer.ended()
    answer.begin()
    assert not answer.feed(PLAIN[:-1])
    assert not answer.ended()


def test_one_answer_after_another_on_the_same_connection() -> None:
    answer = Answer()
    for _ in range(2):
        answer.begin()
        assert answer.feed(PLAIN)
        assert answer.status == 200


@pytest.mark.parametrize(
    "raw", [b"SSH-2.0-OpenSSH", b"\x00", b"HTTP/1.1 two\r\n\r\n", CHUNKED.replace(b"5\r\n", b"z\r\n")]
)
def test_what_is_not_http_is_told(raw: bytes) -> None:
    with pytest.raises(BadAnswer):
        Answer().feed(raw)
