"""A reply as it goes out: its headers, packed where that pays, whole or piece by piece."""

from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any, Final

from aias.serving.bodies import Receive, pack
from aias.serving.messages import Reply, Request
from aias.serving.observing import trace_headers
from aias.serving.streams import send_pieces

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_PACK_BYTES_MIN: Final = 16 << 10
"""Below it, packing costs more than it saves on the line."""


def headers_of(request: Request, reply: Reply) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", reply.media_type),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request.id.encode()),
        *trace_headers(request),
        *reply.headers,
    ]
    if request.model is not None:
        headers.append((b"x-aias-version", request.model.version.encode()))
    if request.bill is not None:
        headers += request.bill.headers()
    return headers


async def send_reply(request: Request, reply: Reply, receive: Receive, send: Send) -> None:
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


def packed_reply(reply: Reply, request: Request) -> Reply:
    if len(reply.body) >= _PACK_BYTES_MIN and _accepts_gzip(request.headers):
        reply.body = pack(reply.body)
        reply.headers += ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
    return reply


def _accepts_gzip(headers: dict[bytes, bytes]) -> bool:
    return any(part.strip().lower() == b"gzip" for part in headers.get(b"accept-encoding", b"").split(b","))
