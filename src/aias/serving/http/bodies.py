"""A request's body, whole and unpacked, and never larger than it may be."""

import asyncio
import time
import zlib
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from aias.core.json_faults import Faults, in_words
from aias.serving.bounds import Bounds, share_of
from aias.serving.refusals import BadBody, BodyTooLarge, Busy, TooManyAtOnce, UnsupportedType, too_late

if TYPE_CHECKING:
    from aias.serving.http.messages import Request

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

ENCODINGS: Final = (b"gzip", b"deflate")

_MEMBERS_MAX: Final = 100
"""Of one gzip body. Each copies what follows it, so a million empty ones would take an hour."""


Object = TypeVar("Object", bound=msgspec.Struct)


class Nothing(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request that has nothing to say."""


def read_as(body: bytes, kind: type[Object]) -> Object:
    """A JSON object; nothing is one without fields. Raises `BadBody`."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except Faults as fault:
        fields = ", ".join(f"`{each}`" for each in kind.__struct_fields__)
        raise BadBody(
            f"the request: {in_words(fault, body)}",
            hint=f"send an object; it may have {fields}" if fields else "send {}, or nothing",
        ) from None


class ClientGone(Exception):
    """The client hung up before its body was whole."""


async def gone(receive: Receive) -> None:
    """Ends when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass


class Bodies:
    """Counts the bytes of all bodies in memory, and of each payer's. `read` takes them on, and `unpacked` what more
    there is of one then; `drop` lets them go. Counts too how many of a payer's are still to come, each of which keeps a
    connection."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds, self._bytes = bounds, 0
        self._payer_bytes: Counter[str] = Counter()
        self._payer_bytes_max = max(bounds.body_bytes, share_of(bounds.bodies_bytes))
        self._coming: Counter[str] = Counter()
        self._coming_max = share_of(bounds.connections)

    async def read(self, request: "Request", receive: Receive) -> None:
        """The body as sent. Raises `BodyTooLarge` before it buffers more, `Busy`, `TooManyAtOnce`, `ClientGone`,
        `TooLate`."""
        payer, deadline = request.payer, request.deadline
        if self._coming[payer] >= self._coming_max:
            raise TooManyAtOnce("bodies")
        self._coming[payer] += 1
        try:
            async with asyncio.timeout(None if deadline is None else deadline - time.monotonic()):
                body = await self._read(request.headers, receive, payer)
        except TimeoutError:
            raise too_late() from None
        finally:
            self._coming[payer] -= 1
            if not self._coming[payer]:
                del self._coming[payer]
        if deadline is not None and time.monotonic() > deadline:
            self._drop(len(body), payer)
            raise too_late()
        request.body, request.held_bytes = body, len(body)

    def unpacked(self, request: "Request") -> None:
        """It holds more than was sent. Raises `Busy`, `TooManyAtOnce`."""
        if (more := len(request.body) - request.held_bytes) > 0:
            self._take(more, request.payer)
            request.held_bytes += more

    def drop(self, request: "Request") -> None:
        """It is over."""
        self._drop(request.held_bytes, request.payer)

    def _drop(self, size: int, payer: str) -> None:
        self._bytes -= size
        self._payer_bytes[payer] -= size
        if not self._payer_bytes[payer]:
            del self._payer_bytes[payer]

    async def _read(self, headers: dict[bytes, bytes], receive: Receive, payer: str) -> bytes:
        # The parser has seen to it that the length is a number, and that there is one only.
        if int(headers.get(b"content-length", b"0")) > self._bounds.body_bytes:
            self._refuse()
        message = await receive()
        if message["type"] == "http.request" and not message["more_body"]:
            body: bytes = message["body"]
            self._take(len(body), payer)
            if len(body) > self._bounds.body_bytes:
                self._drop(len(body), payer)
                self._refuse()
            return body
        return await self._read_on(message, receive, payer)

    async def _read_on(self, message: MutableMapping[str, Any], receive: Receive, payer: str) -> bytes:
        body = bytearray()
        try:
            while message["type"] == "http.request":
                piece = message["body"]
                self._take(len(piece), payer)
                body += piece
                if len(body) > self._bounds.body_bytes:
                    self._refuse()
                if not message["more_body"]:
                    return bytes(body)
                message = await receive()
            raise ClientGone  # noqa: TRY301  so that what was taken on is let go in one place
        except BaseException:
            self._drop(len(body), payer)
            raise

    def _take(self, size: int, payer: str) -> None:
        payers = self._payer_bytes[payer] + size
        if payers > self._payer_bytes_max:
            raise TooManyAtOnce("bodies")
        if self._bytes + size > self._bounds.bodies_bytes:
            raise Busy("too many bodies at once", hint="try again in a moment")
        self._bytes += size
        self._payer_bytes[payer] = payers

    def _refuse(self) -> None:
        raise BodyTooLarge(
            f"the body is larger than {self._bounds.body_bytes:,} bytes", hint="send the rows in several requests"
        )


def encoding_of(headers: dict[bytes, bytes]) -> bytes | None:
    """How the body is packed. Raises `UnsupportedType`."""
    encoding = headers.get(b"content-encoding", b"identity").strip().lower().removeprefix(b"x-")
    if encoding in (b"identity", b""):
        return None
    if encoding not in ENCODINGS:
        unknown = UnsupportedType(
            f"a body packed as {encoding.decode('latin-1')[:40]!r} is not understood", hint="use gzip or deflate"
        )
        # Clients that read it send it again (RFC 9110, 15.5.16).
        unknown.headers = ((b"accept-encoding", b", ".join(ENCODINGS)),)
        raise unknown
    return encoding


def unpack(body: bytes, *, bytes_max: int) -> bytes:
    """Undo gzip or deflate; stop as soon as more than `bytes_max` comes out."""
    unpacked = bytearray()
    try:
        for _ in range(_MEMBERS_MAX):
            # 32 + MAX_WBITS finds out by itself whether it is gzip or zlib.
            stream = zlib.decompressobj(32 + zlib.MAX_WBITS)
            unpacked += stream.decompress(body, bytes_max + 1 - len(unpacked))
            if len(unpacked) > bytes_max:
                raise BodyTooLarge(f"the body unpacks to more than {bytes_max:,} bytes", hint="send fewer rows at once")
            if not stream.eof:
                raise BadBody("the packed body ends too early")
            body = stream.unused_data
            if not body:
                return bytes(unpacked)
    except zlib.error:
        raise BadBody("the body is not packed as its Content-Encoding says") from None
    raise BadBody(f"the body is packed in more than {_MEMBERS_MAX} pieces", hint="pack it as one")


def pack(body: bytes, encoding: bytes) -> bytes:
    """One of `ENCODINGS`, quickly: level 1 is three times as fast as 6 and answers are regular."""
    return zlib.compress(body, level=1, wbits=zlib.MAX_WBITS + (16 if encoding == b"gzip" else 0))
