"""A request over HTTP without HTTP: put to the application itself, so that both ways in are one.

Keys, quotas, limits, batches, metrics and refusals are hence the same; what differs is said in `CODES`.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import grpc
import msgspec

from aias.core.errors import AiasError
from aias.serving.admission.urgency import DEADLINE
from aias.serving.inference.requests import LENGTH_HEADER

T = TypeVar("T")

Asgi = Callable[
    [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
]

CODES: Final = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    405: grpc.StatusCode.UNIMPLEMENTED,
    408: grpc.StatusCode.DEADLINE_EXCEEDED,
    409: grpc.StatusCode.ABORTED,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""A status of HTTP, and what gRPC calls it; the rest is INTERNAL."""

_DEADLINE_MS_MAX: Final = 86_400_000
"""A day; clients that would wait for ever say so with numbers beyond all sense."""

_TOLD: Final = (
    *("retry-after", "retry-after-ms", "ratelimit", "ratelimit-policy", "x-cache", "x-request-id", "traceresponse"),
)
"""Headers that go on as the call's trailers."""

_OF_HTTP: Final = frozenset(
    (
        *("accept", "accept-encoding", "connection", "cookie", "expect", "host", "idempotency-key", "keep-alive"),
        *("origin", "referer", "te", "trailer", "transfer-encoding", "upgrade"),
    )
)
"""What a message of gRPC says in its own way, or has no use for; never carried."""

_OF_OTHERS: Final = ("content-", "grpc-", "inference-", "proxy-", "sec-", ":")
"""How names begin of which the same is true."""


class Declined(Exception):
    """The application did not answer as asked."""

    def __init__(self, status: int, message: str, trailers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.status, self.message, self.trailers = status, message, trailers

    @property
    def code(self) -> grpc.StatusCode:
        return CODES.get(self.status, grpc.StatusCode.INTERNAL)


@dataclass(frozen=True, slots=True)
class Found:
    """A reply of the application, whatever its status."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    @property
    def head(self) -> Any:
        """Its JSON, without what may lie behind it."""
        length = self.headers.get(LENGTH_HEADER)
        return msgspec.json.decode(self.body if length is None else self.body[: int(length)])

    @property
    def tail(self) -> memoryview:
        length = self.headers.get(LENGTH_HEADER)
        return memoryview(self.body)[len(self.body) if length is None else int(length) :]

    def granted(self) -> "Found":
        """Itself. Raises `Declined` unless its status is 200."""
        if self.status == 200:
            return self
        raise Declined(self.status, str(self.head.get("error", "")), self.told)

    @property
    def told(self) -> tuple[tuple[str, str], ...]:
        """What a caller sees of its headers."""
        return tuple((name, self.headers[name.encode()].decode()) for name in _TOLD if name.encode() in self.headers)


class Wire:
    """One caller's line to the application. `metadata` is what came with the call, `told` what its trailers are to say;
    `answering` holds what is under way, also when nobody waits for it any longer. `aside`: does in a thread what would
    hold up the loop, where the message is large. `turned_away`: counts a message that the application has seen nothing
    of, and gives what is said of it. `method`: with its service, as traces name it."""

    def __init__(
        self,
        application: Asgi,
        metadata: Iterable[tuple[str, str | bytes]],
        *,
        seconds_left: float | None,
        answering: set[asyncio.Future[None]],
        aside: Callable[..., Awaitable[Any]] | None = None,
        turned_away: Callable[[AiasError], Declined],
        method: str = "",
    ) -> None:
        self._method = method
        self._application, self._answering, self._aside = application, answering, aside
        self.turned_away = turned_away
        self._came_at = time.monotonic()
        self.told: tuple[tuple[str, str], ...] = ()
        self.headers = [(b"host", b"localhost"), *carried(metadata)]
        if seconds_left is not None:
            self.headers = _by(max(1, min(_DEADLINE_MS_MAX, int(seconds_left * 1000))), self.headers)

    async def made(self, work: Callable[[], T], *, first: bool = False) -> T:
        """What `work` makes of a message; of an answer `first`, before messages that are to be taken apart."""
        return work() if self._aside is None else await self._aside(work, first=first)

    async def ask(
        self, method: str, path: str, body: bytes = b"", headers: Iterable[tuple[bytes, bytes]] = (), *,
        unread: AiasError | None = None,
    ) -> Found:  # fmt: skip
        """`unread`: why there is no body, which the application hears where it would read it."""
        scope: dict[str, Any] = {
            "type": "http",
            "rpc": self._method,
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            # Its deadline has gone on while a thread looked at its message.
            "dawdled": 0.0 if self._aside is None else time.monotonic() - self._came_at,
            "headers": [*self.headers, (b"content-length", b"%d" % len(body)), *headers],
        }
        sent: list[MutableMapping[str, Any]] = []
        pieces = [{"type": "http.request", "body": body, "more_body": False}]
        over = asyncio.Event()

        async def receive() -> MutableMapping[str, Any]:
            if unread is not None:
                raise unread
            if pieces:
                return pieces.pop()
            await over.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        # The application is never cancelled, as it never is over HTTP: who is gone has hung up, and it may look.
        answering = asyncio.ensure_future(self._application(scope, receive, send))
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)
        try:
            await asyncio.shield(answering)
        finally:
            over.set()
        if not sent:
            raise Declined(499, "the call was broken off")
        found = Found(sent[0]["status"], dict(sent[0]["headers"]), b"".join(each.get("body", b"") for each in sent[1:]))
        self.told = found.told
        return found


def carried(metadata: Iterable[tuple[str, str | bytes]]) -> list[tuple[bytes, bytes]]:
    """What of a call's metadata goes on as headers: all that is not HTTP's own, as an endpoint may tell its callers
    apart by any of it."""
    return [
        (name.encode(), value if isinstance(value, bytes) else value.encode("utf-8", "replace"))
        for name, value in metadata
        if name not in _OF_HTTP and not name.startswith(_OF_OTHERS) and not name.endswith("-bin")
    ]


def _by(most_ms: int, headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers with the call's own deadline, unless they name a sooner one, or something that will be refused."""
    named = [value for name, value in headers if name == DEADLINE]
    if named and not (len(named) == 1 and named[0].isdigit() and int(named[0][:9]) > most_ms):
        return headers
    return [*(pair for pair in headers if pair[0] != DEADLINE), (DEADLINE, b"%d" % most_ms)]
