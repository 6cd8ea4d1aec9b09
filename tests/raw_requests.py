"""Requests to `/predict/churn`, byte by byte."""

KEY = b"Host: localhost\r\nAuthorization: Bearer all-key\r\n"
POST = b"POST /predict/churn HTTP/1.1\r\n" + KEY
BODY = b'[{"age": 50}]'


def status(answer: bytes) -> int:
    assert answer.startswith(b"HTTP/1.1 "), answer[:200]
    return int(answer[9:12])


def closing(extra: bytes = b"", *, length: int | None = len(BODY)) -> bytes:
    """The head of a request after which the connection is closed."""
    sized = b"" if length is None else b"Content-Length: %d\r\n" % length
    return POST + b"Connection: close\r\nContent-Type: application/json\r\n" + sized + extra + b"\r\n"
