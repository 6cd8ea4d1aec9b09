"""The application: checks the caller, finds the route, reads the body, has it answered, and counts."""

import asyncio
import logging
import os
import re
import time
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from typing import Any, Final

from aias.core.errors import AiasError
from aias.serving.bodies import Bodies, ClientGone, Receive, encoding_of, pack, unpack
from aias.serving.bounds import Bounds
from aias.serving.doors import Doors
from aias.serving.logs import ACCESS
from aias.serving.messages import Reply, Request
from aias.serving.metrics import Metrics
from aias.serving.refusals import BadRequest, Busy, UnknownPath, WrongMethod, may_be_shown, status_of
from aias.serving.router import Router
from aias.serving.routes import Envelope, Found, Route, RouteTable

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_ONLY_ONCE: Final = frozenset(
    (b"host", b"origin", b"authorization", b"content-type", b"content-encoding", b"content-length", b"x-request-id")
)
_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_TABLES: Final = (b"text/csv", b"text/tab", b"application/vnd.", b"application/octet-stream")
_PACK_BYTES_MIN: Final = 16 << 10
"""Below it, packing costs more than it saves on the line."""

log = logging.getLogger("aias.serving")


class Application:
    """An ASGI application. `envelopes`: how each prefix tells of paths that it does not have; "" is for the rest."""

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        router: Router,
        doors: Doors,
        metrics: Metrics,
        bounds: Bounds,
        envelopes: dict[str, Envelope],
    ) -> None:
        self.table = RouteTable(routes)
        self._router, self._doors, self._metrics, self._bounds = router, doors, metrics, bounds
        self._envelopes = sorted(envelopes.items(), reverse=True)
        self._bodies = Bodies(bounds)
        self._threads = ThreadPoolExecutor(min(4, os.cpu_count() or 1), "aias-predict")
        self._waiting = 0
        here = os.urandom(6).hex()
        self._ids = (f"{here}-{number:x}" for number in count())

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request = Request(scope["method"], scope["raw_path"].decode("latin-1"), next(self._ids), {}, {})
        try:
            headers = request.headers = _headers(scope["headers"])
            if (given := headers.get(b"x-request-id")) is not None and _REQUEST_ID.fullmatch(given):
                request.id = given.decode()
            reply = await self._answer(request, receive)
        except ClientGone:
            return
        except Exception as fault:  # noqa: BLE001  a caller always gets an answer, and never sees our insides
            reply = self._refusal(fault, request)
        await _send(request, reply, send)
        self._note(request, reply, time.perf_counter() - started)

    def close(self) -> None:
        self._threads.shutdown(cancel_futures=True)

    async def _answer(self, request: Request, receive: Receive) -> Reply:
        self._doors.check_caller(request.headers)
        route = self._route(request)
        self._doors.check_key(route, request.headers)
        if route.names is not None:
            request.places = {"endpoint": route.names(request)}
        if (endpoint := request.places.get("endpoint")) is not None:
            request.model = self._router.find(endpoint)
        if route.method == "GET":
            return route.answer(request)
        packed = encoding_of(request.headers) is not None
        body = request.body = await self._bodies.read(request.headers, receive)
        try:
            if self._runs_inline(request, packed=packed):
                return route.answer(request)
            return await self._in_thread(route, request, packed=packed)
        finally:
            self._bodies.drop(len(body))

    def _route(self, request: Request) -> Route:
        found = self.table.find(request.path)
        if found is None:
            raise UnknownPath("there is nothing at this path", hint="predictions are at /predict/<endpoint>")
        route = found.route(request.method)
        if route is None:
            raise _wrong_method(found)
        request.places = found.places
        return route

    def _runs_inline(self, request: Request, *, packed: bool) -> bool:
        if packed or request.model is None:
            return False
        # Tables go to a thread whatever their size, since what they cost is not known from the example.
        headers = request.headers
        is_table = headers.get(b"content-type", b"").startswith(_TABLES) or b"vnd." in headers.get(b"accept", b"")
        return not is_table and request.model.runs_inline(len(request.body), self._bounds)

    async def _in_thread(self, route: Route, request: Request, *, packed: bool) -> Reply:
        if self._waiting >= self._bounds.waiting_requests:
            raise Busy("too many requests are waiting", hint="come again in a moment")

        def work() -> Reply:
            if packed:
                request.body = unpack(request.body, bytes_max=self._bounds.body_bytes)
            reply = route.answer(request)
            if len(reply.body) >= _PACK_BYTES_MIN and _accepts_gzip(request.headers):
                reply.body = pack(reply.body)
                reply.headers += ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))
            return reply

        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        finally:
            self._waiting -= 1

    def _refusal(self, fault: Exception, request: Request) -> Reply:
        if not isinstance(fault, AiasError) or not may_be_shown(fault):
            log.error("request %s failed", request.id, exc_info=fault)
            known = isinstance(fault, AiasError)
            fault, status = (
                AiasError("the server failed to answer", hint="its log has more"),
                status_of(fault) if known else 500,
            )
        else:
            status = status_of(fault)
        self._metrics.refusals[fault.code] += 1
        return Reply(self._envelope_of(request.path)(fault, request.id), status, headers=getattr(fault, "headers", ()))

    def _envelope_of(self, path: str) -> Envelope:
        return next(envelope for prefix, envelope in self._envelopes if path.startswith(prefix))

    def _note(self, request: Request, reply: Reply, seconds: float) -> None:
        model = request.model
        endpoint = request.places["endpoint"] if model is not None else ""
        self._metrics.answered(endpoint, "" if model is None else model.version, reply.status)
        if reply.phases is not None:
            self._metrics.predicted(endpoint, reply.rows, reply.phases)
        if ACCESS.isEnabledFor(logging.INFO):
            ACCESS.info(
                "",
                extra={
                    "facts": {
                        "request": request.id,
                        "method": request.method,
                        "path": request.path[:200],
                        "status": reply.status,
                        "version": "" if model is None else model.version,
                        "rows": reply.rows,
                        "bytes": len(request.body),
                        "ms": round(seconds * 1000, 3),
                    }
                },
            )


async def _send(request: Request, reply: Reply, send: Send) -> None:
    headers = [
        (b"content-type", reply.media_type),
        (b"content-length", b"%d" % len(reply.body)),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request.id.encode()),
        *reply.headers,
    ]
    if request.model is not None:
        headers.append((b"x-aias-version", request.model.version.encode()))
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})


def _headers(pairs: list[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    headers = dict(pairs)
    if len(headers) < len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted(name.decode() for name in _ONLY_ONCE if names.count(name) > 1)
        if twice:
            raise BadRequest(f"the header `{twice[0]}` came twice")
    return headers


def _wrong_method(found: Found) -> WrongMethod:
    fault = WrongMethod(f"this path takes {found.methods}")
    fault.headers = ((b"allow", found.methods.encode()),)
    return fault


def _accepts_gzip(headers: dict[bytes, bytes]) -> bool:
    return any(part.strip().lower() == b"gzip" for part in headers.get(b"accept-encoding", b"").split(b","))
