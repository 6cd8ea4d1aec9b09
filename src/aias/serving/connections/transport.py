"""Answers as bytes: the whole of one that was made at once, and the head of one that uvicorn writes in parts."""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

Headers = Iterable[tuple[bytes, bytes]]

NO_SNIFFING: Final = (b"x-content-type-options", b"nosniff")

_CLOSES: Final = b"\r\nconnection: close\r\n"


class Repeated:
    """The beginnings of answers, which many share: each is written once for as long as the very same list of header
    lines is given."""

    def __init__(self) -> None:
        self._headers: Headers = ()
        self._lines = b""
        self._begun: dict[tuple[int, bytes, str], bytes] = {}

    def lines(self, headers: Headers) -> bytes:
        if headers is not self._headers:
            self._headers, self._lines, self._begun = headers, lines(headers), {}
        return self._lines

    def begun(self, headers: Headers, status: int, media_type: bytes, version: str) -> bytes:
        """Of an answer of a version, up to what is its own."""
        if headers is not self._headers:
            self.lines(headers)
        found = self._begun.get((status, media_type, version))
        if found is None:
            own = ((b"content-type", media_type), NO_SNIFFING, (b"x-aias-version", version.encode()))
            found = STATUS_LINE[status] + self._lines + lines(own)
            self._begun[status, media_type, version] = found
        return found


def lines(headers: Headers) -> bytes:
    return b"".join([b"%b: %b\r\n" % pair for pair in headers])


def written(status: int, more: bytes, headers: Headers, body: bytes) -> bytes:
    """A whole response. `more`: lines of other headers."""
    return b"%b%b%bcontent-length: %d\r\n\r\n%b" % (STATUS_LINE[status], more, lines(headers), len(body), body)


class OneWrite:
    """uvicorn writes head and body apart: two system calls here, and a client that wakes twice. This holds the head.

    `ends`: whether the connection will end with the answer that begins, which uvicorn does not know; it says so. What
    comes when it has ended goes nowhere.
    """

    def __init__(self, transport: asyncio.Transport, *, ends: Callable[[], bool] = lambda: False) -> None:
        self._transport, self._ends = transport, ends
        self._head = b""
        self.said_close = self._has_ended = False

    def write(self, data: bytes) -> None:
        if self._has_ended or self._transport.is_closing():
            return
        if not self._head and data[:9] == b"HTTP/1.1 " and data[-4:] == b"\r\n\r\n" and data[9:10] != b"1":
            if self._ends() and _CLOSES not in data:
                data, self.said_close = data[:-2] + _CLOSES[2:] + b"\r\n", True
            self._head = data
        else:
            self._transport.write(self._head + data)
            self._head = b""

    def flush(self) -> None:
        """Send a head that no body follows."""
        held, self._head = self._head, b""
        if held and not self._transport.is_closing():
            self._transport.write(held)

    def close(self) -> None:
        self._end()
        self._transport.close()

    def write_eof(self) -> None:
        if not self._has_ended:
            self._end()
            self._transport.write_eof()

    def lost(self) -> None:
        """Nobody is there any more, and nobody is to be asked."""
        self._has_ended, self._ends = True, bool

    def _end(self) -> None:
        self.flush()
        self._has_ended = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
