"""An answer of HTTP/1.1 as it comes in pieces: whether it is whole, its status, and whether the connection lives on."""

import re
from typing import Final

_FACTS: Final = re.compile(
    rb"\r\n(?:content-length:[ \t]*(\d{1,15})|(transfer-encoding:[^\r]*chunked)|(connection:[ \t]*close))",
    re.IGNORECASE,
)
_CODE: Final = re.compile(rb'"code"\s*:\s*"([\w.-]{1,60})"')
_UNTIL_CLOSED: Final = -1


class BadAnswer(Exception):
    """What came is not HTTP/1.1."""


class Answer:
    """Of one connection: `begin` before each request, then `feed` until it says that the answer is whole."""

    __slots__ = ("_chunked", "_end", "_held", "closes", "status")

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self._held: bytes | bytearray = b""
        self._end: int | None = None
        self._chunked = self.closes = False
        self.status = 0

    def feed(self, data: bytes) -> bool:
        """Take what has come; whether that was all. Raises `BadAnswer`."""
        if self._held:
            if isinstance(self._held, bytes):
                self._held = bytearray(self._held)
            self._held += data
        else:
            self._held = data
        if self._end is None and not self._read_head():
            return False
        if self._chunked:
            return self._read_chunks()
        assert self._end is not None
        return self._end != _UNTIL_CLOSED and len(self._held) >= self._end

    def ended(self) -> bool:
        """The other side has closed: whether that makes the answer whole."""
        return self._end == _UNTIL_CLOSED and not self._chunked

    @property
    def code(self) -> str:
        """What the body says is wrong, in the form of Aias and OpenAI; empty where it says nothing."""
        found = _CODE.search(self._held)
        return found[1].decode() if found else ""

    def _read_head(self) -> bool:
        held = self._held
        end = held.find(b"\r\n\r\n")
        if held[:5] != b"HTTP/"[: len(held)]:
            raise BadAnswer
        if end < 0:
            return False
        try:
            self.status = int(held[9:12])
        except ValueError:
            raise BadAnswer from None
        if self.status < 200:
            self._held = held[end + 4 :]
            return bool(self._held) and self._read_head()
        self._end = end + 4 if self.status in (204, 304) else _UNTIL_CLOSED
        for found in _FACTS.finditer(held, 0, end + 2):
            if found[1]:
                self._end = end + 4 + int(found[1])
            elif found[2]:
                self._chunked, self._end = True, end + 4
            else:
                self.closes = True
        return True

    def _read_chunks(self) -> bool:
        """`_end` is where the next chunk begins."""
        assert self._end is not None
        while (line := self._held.find(b"\r\n", self._end)) >= 0:
            try:
                size = int(self._held[self._end : line].partition(b";")[0], 16)
            except ValueError:
                raise BadAnswer from None
            if size == 0:
                return self._held.find(b"\r\n\r\n", line) >= 0
            if len(self._held) < line + 2 + size + 2:
                return False
            self._end = line + 2 + size + 2
        return False
