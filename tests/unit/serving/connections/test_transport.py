"""What goes out on a connection that ends."""

from typing import Any, cast

import pytest

from aias.serving.connections.transport import OneWrite

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"


class Line:
    """A transport that refuses, as uvloop's does, what comes after its end."""

    def __init__(self) -> None:
        self.written, self.ended, self.closing = list[bytes](), False, False

    def write(self, data: bytes) -> None:
        if self.ended or self.closing:
            raise RuntimeError("Cannot call write() after write_eof()")
        self.written.append(data)

    def write_eof(self) -> None:
        self.ended = True

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing


@pytest.mark.parametrize("end", ["write_eof", "close", "abort"])
def test_what_comes_when_a_connection_has_ended_goes_nowhere(end: str) -> None:
    line = Line()
    out: Any = OneWrite(cast("Any", line))
    out.write(HEAD)
    out.write(b"body")
    getattr(out, end)()
    out.write(HEAD)
    out.write(b"body")
    out.flush()
    out.close()

    assert line.written == [HEAD + b"body"]


def test_a_head_that_no_body_follows_goes_out_with_the_end() -> None:
    line = Line()
    out: Any = OneWrite(cast("Any", line))
    out.write(HEAD)
    out.close()

    assert line.written == [HEAD]
