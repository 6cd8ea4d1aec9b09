"""A reply as it goes out: its headers, packed where that pays, whole or piece by piece."""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, Final

from aias.serving.connections.transport import NO_SNIFFING, Headers, Repeated, written
from aias.serving.http.bodies import Receive, pack
from aias.serving.http.content_negotiation import packing
from aias.serving.http.messages import Reply, Request
from aias.serving.http.streams import send_pieces
from aias.serving.observability.recording import trace_headers

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

PACK_BYTES_MIN: Final = 16 << 10
"""Below it, packing costs more than it saves on the line."""

_PACKED: Final = b"content-encoding"
_VARIES: Final = (b"vary", b"accept-encoding")


def headers_of(request: Request, reply: Reply) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", reply.media_type),
        NO_SNIFFING,
        (b"x-request-id", request.id.encode()),
        *trace_headers(request),
        *reply.headers,
    ]
    if request.model is not None:
        headers.append((b"x-aias-version", request.model.version.encode()))
    if request.charge is not None:
        headers += (b"ratelimit-policy", request.charge.payer.policy), (b"ratelimit", request.charge.settle())
    return headers


def response_of(request: Request, reply: Reply, more: Headers, repeated: Repeated) -> bytes:
    """A whole response, with the headers `more`."""
    model, body = request.model, reply.body
    if model is None or request.span is not None or reply.headers:
        return written(reply.status, repeated.lines(more), headers_of(request, reply), body)
    # Nothing but its name, what is left of quotas, and its body is its own.
    begun = repeated.begun(more, reply.status, reply.media_type, model.version)
    charge, left = request.charge, b""
    if charge is not None:
        left = b"ratelimit-policy: %b\r\nratelimit: %b\r\n" % (charge.payer.policy, charge.settle())
    parts = begun, left, request.id.encode(), len(body), body
    return b"%b%bx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b" % parts


async def send_reply(request: Request, reply: Reply, receive: Receive, send: Send) -> None:
    packed_reply(reply, request, pays=False)
    headers = headers_of(request, reply)
    if reply.stream is not None:
        if request.slot is not None:
            request.slot.streams()
        await send_pieces(reply.stream, partial(_begin, send, reply.status, headers), receive, send)
        return
    headers.append((b"content-length", b"%d" % len(reply.body)))
    await _begin(send, reply.status, headers)
    await send({"type": "http.response.body", "body": reply.body})


async def _begin(send: Send, status: int, headers: list[tuple[bytes, bytes]]) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})


def packed_reply(reply: Reply, request: Request, *, pays: bool = True) -> Reply:
    """As gzip or deflate, where its caller wants that and it is large, so that it `pays`; or takes nothing else. Where
    it could be, that others may get it otherwise is said to all (RFC 9110, 12.5.5)."""
    if not reply.body or any(name == _PACKED for name, _ in reply.headers):
        return reply
    pays = pays and len(reply.body) >= PACK_BYTES_MIN
    encoding = packing(request.headers.get(b"accept-encoding"), pays=pays)
    if encoding is not None:
        reply.body = pack(reply.body, encoding)
        reply.headers += ((_PACKED, encoding),)
    if (encoding is not None or pays) and _VARIES not in reply.headers:
        reply.headers += (_VARIES,)
    return reply
