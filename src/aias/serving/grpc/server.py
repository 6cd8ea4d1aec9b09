"""The second port: gRPC on the loop of the first. A call that no key opens is refused before its message is read."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, Final
from urllib.parse import unquote

import grpc
import grpc.aio
from google.protobuf.message import DecodeError

from aias.access.keys import Key
from aias.core.errors import AiasError
from aias.serving.admission.access_control import AccessControl
from aias.serving.bounds import Bounds, whose
from aias.serving.connections.last_words import LastWords
from aias.serving.grpc.calls import CALLS, Answer, message
from aias.serving.grpc.probes import SERVICE, health_of, reflected, reflections, watched
from aias.serving.grpc.proto import Schema, schema
from aias.serving.grpc.readings import Readings
from aias.serving.grpc.stalls import Stalls, cut, received
from aias.serving.grpc.wire import Asgi, Declined, Wire, carried
from aias.serving.http.routes import Route
from aias.serving.refusals import BadBody, BadKey, BodyTooSlow, MissingScope, status_of

log = logging.getLogger("aias.serving")

Call = Callable[[Any, Any], Awaitable[Any]]
"""Of the messages and the context. One that answers once returns what it answers: the message and the end of the call
are then written together, and nobody whose worker dies is left between the two, where gRPC repeats nothing."""

_OWN_BYTES: Final = 64 << 10
"""For names and shapes around the tensors, so that a body which HTTP takes fits here too."""


class GrpcServer:
    """Started and stopped on a running loop. `ready`, `note` and `look` are the gateway's, `step` its threads;
    `last_words` counts calls that the application has not seen. `shared`: the port is also that of other processes of
    the same server."""

    def __init__(
        self,
        application: Asgi,
        access: AccessControl,
        bounds: Bounds,
        *,
        ready: Callable[[], bool],
        note: Callable[[str], None],
        last_words: LastWords,
        look: Callable[[], Awaitable[None]],
        step: Callable[..., Awaitable[Any]],
        shared: bool = False,
    ) -> None:
        options = _options(bounds, shared=shared)
        self._server = grpc.aio.server(options=options, maximum_concurrent_rpcs=bounds.grpc_calls)
        self._handlers = _Handlers(application, access, bounds, ready, note, last_words, look, step)
        self._server.add_generic_rpc_handlers((self._handlers,))
        self._drain_seconds, self._sweep_seconds = bounds.drain_seconds, bounds.sweep_seconds
        self._sweeper: asyncio.Task[None] | None = None

    async def start(self, address: str) -> int:
        """Listen; the port. Raises `RuntimeError` when it is taken."""
        port: int = self._server.add_insecure_port(address)
        self._handlers.port = port
        await self._server.start()
        self._sweeper = asyncio.create_task(self._sweep())
        return port

    async def stop(self) -> None:
        """Take no new calls, finish those that have begun, and end the streams that wait for more."""
        self._handlers.stopping.set()
        await self._server.stop(self._drain_seconds)
        if self._sweeper is not None:
            self._sweeper.cancel()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_seconds)
            self._handlers.stalls.tidy()


_PUSHBACK: Final = "grpc-retry-pushback-ms"

_running: ContextVar[tuple[Any, float]] = ContextVar("running")
"""Of the running call what gRPC knows of it, its method and metadata, and when it began."""


class _Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Every call comes as a stream of bytes, so that reading its message is ours to time, or to leave."""

    def __init__(
        self, application: Asgi, access: AccessControl, bounds: Bounds, ready: Callable[[], bool],
        note: Callable[[str], None], last_words: LastWords, look: Callable[[], Awaitable[None]],
        step: Callable[..., Awaitable[Any]],
    ) -> None:  # fmt: skip
        self._look, self._step = look, step
        self._application, self._access, self._bounds = application, access, bounds
        self._ready, self._last_words = ready, last_words
        self.stopping = asyncio.Event()
        self._watchers = self.port = 0
        self._keyless, self._readings = asyncio.Semaphore(bounds.grpc_watchers), Readings(bounds)
        self.stalls = Stalls(bounds, note, lambda peer: cut(peer, self.port), lambda peers: received(peers, self.port))
        self.stalls.messages_wait = lambda: self._readings.waiting
        self._answering: set[asyncio.Future[None]] = set()
        once, often = grpc.stream_unary_rpc_method_handler, grpc.stream_stream_rpc_method_handler
        self._calls: dict[str, tuple[str, Call, Callable[[Call], Any]]] = {
            "/grpc.health.v1.Health/Check": ("", self._check, once),
            "/grpc.health.v1.Health/Watch": ("", self._watch, often),
        }
        for name, (request, answer, scope) in CALLS.items():
            handle, kind = (self._streams, often) if name == "ModelStreamInfer" else (self._answers, once)
            self._calls[f"/{SERVICE}/{name}"] = (scope, handle(message(request), answer, keyless=not scope), kind)
        for method, own in reflections().items():
            self._calls[method] = ("predict", self._reflects(own), often)

    def service(self, details: Any) -> Any:
        found = self._calls.get(details.method)
        if found is None:
            return None
        scope, call, kind = found
        metadata = details.invocation_metadata
        try:
            return kind(self._entered(call, self._payer(scope, metadata), details))
        except BadKey as fault:
            return kind(self._caught_up(call, scope, details) if fault.may_be_new else self._refuses(fault, details))
        except AiasError as fault:
            return kind(self._refuses(fault, details))

    def _entered(self, call: Call, payer: str, details: Any) -> Call:
        async def entered(messages: Any, context: Any) -> Any:
            _running.set((details, time.perf_counter()))
            try:
                self.stalls.enter(context, payer or _whose(context.peer()))
                return await call(messages, context)
            except AiasError as fault:
                await _abort(context, self._turned_away(fault))

        return entered

    def _turned_away(self, fault: AiasError, began: float | None = None) -> Declined:
        """What is said of the running call, or of its message that came when it `began`, of which the application has
        seen nothing: counted as if it had."""
        details, called = _running.get()
        began = called if began is None else began
        headers = dict(carried(details.invocation_metadata))
        request = self._last_words.request(b"POST", details.method.encode(), headers)
        try:
            key = self._key(self._calls[details.method][0], headers)
            request.key = "" if key is None else key.name
        except MissingScope as missing:
            request.key = missing.key
        except AiasError:
            pass
        self._last_words.count(request, fault, time.perf_counter() - began)
        return _declined(fault)

    def _refuses(self, fault: AiasError, details: Any) -> Call:
        async def call(_messages: Any, _context: Any) -> None:
            raise fault

        return self._entered(call, "", details)

    def _caught_up(self, call: Call, scope: str, details: Any) -> Call:
        """The same call, once it has been looked for its key anew."""

        async def caught_up(messages: Any, context: Any) -> Any:
            await self._look()
            try:
                entered = self._entered(call, self._payer(scope, details.invocation_metadata), details)
            except AiasError as fault:
                entered = self._refuses(fault, details)
            return await entered(messages, context)

        return caught_up

    def _payer(self, scope: str, metadata: Any) -> str:
        """Whose key it has. Raises why a call is refused before it begins."""
        key = self._key(scope, dict(carried(metadata)))
        if key is None:
            return ""
        # It is taken when the request is put to the application.
        self._access.quotas.look(key)
        return key.payer

    def _key(self, scope: str, headers: dict[bytes, bytes]) -> Key | None:
        """None for what needs none. Raises why it does not open what needs that scope."""
        if not scope:
            return None
        route = Route("POST", "/", scope, _nothing)  # type: ignore[arg-type]
        return self._access.check_key(route, headers)

    def _answers(self, kind: Any, answer: Answer, *, keyless: bool) -> Call:
        async def call(_messages: Any, context: Any) -> Any:
            # What needs no key asks nothing in its message.
            request, size = (kind(), 0) if keyless else await self._read(kind, context)
            reply = await self._asked(answer, request, size, context)
            if isinstance(reply, Declined):
                await _abort(context, reply)
            return reply.SerializeToString()

        return call

    def _streams(self, kind: Any, answer: Answer, *, keyless: bool) -> Call:
        assert not keyless, "a stream goes on for as long as it likes"

        async def answered(request: Any, size: int, context: Any) -> bytes:
            reply = await self._asked(answer, request, size, context)
            if isinstance(reply, Declined):
                await _abort(context, reply)
            found: bytes = reply.SerializeToString()
            return found

        return self._stream(kind, answered)

    def _stream(self, kind: Any, answered: Callable[[Any, int, Any], Awaitable[bytes]]) -> Call:
        async def call(_messages: Any, context: Any) -> None:
            async with self._readings.stream(self.stalls.payer):
                while (came := await self._next(kind, context)) is not None:
                    request, size = came
                    await context.write(await answered(request, size, context))

        return call

    async def _asked(self, answer: Answer, request: Any, size: int, context: Any) -> Any:
        """The reply to a message of so many bytes, or why there is none: never in words that tell of our insides, as
        gRPC's own would be."""
        wire = self._wire(context, size)
        try:
            with self.stalls.busy(context):
                reply = await answer(wire, request)
        except Declined as fault:
            return fault
        except AiasError:
            raise
        except Exception:
            log.exception("a call failed")
            return Declined(500, "the server failed to answer (its log has more)")
        context.set_trailing_metadata(wire.told)
        return reply

    def _reflects(self, own: Schema) -> Call:
        async def answered(request: Any, _size: int, _context: Any) -> bytes:
            found: bytes = reflected(own, request).SerializeToString()
            return found

        return self._stream(own.message("ServerReflectionRequest"), answered)

    async def _check(self, _messages: Any, context: Any) -> Any:
        request, _ = await self._read(schema("health").message("HealthCheckRequest"), context, keyless=True)
        found = health_of(request.service, ready=self._ready())
        if found is None:
            await context.abort(grpc.StatusCode.NOT_FOUND, "there is no such service here")
        return found.SerializeToString()

    async def _watch(self, _messages: Any, context: Any) -> None:
        if self._watchers >= self._bounds.grpc_watchers:
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many are watching")
        self._watchers += 1
        try:
            request, _ = await self._read(schema("health").message("HealthCheckRequest"), context, keyless=True)
            states = watched(request.service, ready=self._ready, stopping=self.stopping)
            while (found := await self._state(states, context)) is not None:
                await context.write(found.SerializeToString())
        finally:
            self._watchers -= 1

    async def _state(self, states: AsyncIterator[Any], context: Any) -> Any:
        with self.stalls.busy(context):
            return await anext(states, None)

    async def _read(self, kind: Any, context: Any, *, keyless: bool = False) -> Any:
        """The message, and its bytes. Ends the call when it does not come, or is none."""
        with self.stalls.busy(context):
            raw = await self._raw(context, self.stalls.payer, keyless=keyless, in_stream=False)
        if raw is grpc.aio.EOF:
            raise BadBody("the call has no message")
        return _parsed(kind, raw), len(raw)

    async def _next(self, kind: Any, context: Any) -> Any:
        """The next message of a stream; None when there is none. Ends the call where the server stops, and not with OK,
        which would hide that what is on its way is not answered."""
        reading = asyncio.ensure_future(self._raw(context, self.stalls.payer, in_stream=True))
        stopping = asyncio.ensure_future(self.stopping.wait())
        try:
            with self.stalls.busy(context):
                await asyncio.wait((reading, stopping), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the server stops; ask again on another stream")
            raw = reading.result()
        finally:
            reading.cancel()
            stopping.cancel()
        return None if raw is grpc.aio.EOF else (_parsed(kind, raw), len(raw))

    async def _raw(self, context: Any, payer: str, *, in_stream: bool, keyless: bool = False) -> Any:
        """Whoever needs no key sends a few bytes, and has less time for them: a second where all calls are taken, or
        others wait. gRPC takes a whole body of each: so only a few messages are read at one time. Not so of streams,
        which may wait for a message as long as they like: there are fewer of them."""
        with self.stalls.awaiting(context, payer, in_stream=in_stream) as over:
            if in_stream:
                return await self._raw_until(over, context, keyless=False)
            if keyless:
                async with self._keyless:
                    return await self._raw_until(over, context, keyless=True)
            async with self._readings.turn(payer):
                return await self._raw_until(over, context, keyless=False)

    async def _raw_until(self, over: asyncio.Future[None], context: Any, *, keyless: bool) -> Any:
        bounds, reading = self._bounds, asyncio.ensure_future(context.read())
        try:
            if keyless:
                await asyncio.wait((reading,), timeout=min(bounds.give_way_seconds, bounds.header_seconds))
                seconds = 0.0 if self.stalls.is_full or self._keyless.locked() else bounds.header_seconds
            else:
                seconds = bounds.body_seconds
            if not reading.done():
                await asyncio.wait((reading, over), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return reading.result()
        finally:
            reading.cancel()
        raise BodyTooSlow("the message did not come in time")

    def _wire(self, context: Any, size: int) -> Wire:
        is_large = size > self._bounds.large_body_bytes
        return Wire(
            self._application,
            context.invocation_metadata(),
            seconds_left=context.time_remaining(),
            answering=self._answering,
            method=_running.get()[0].method.lstrip("/"),
            turned_away=partial(self._turned_away, began=time.perf_counter()),
            aside=partial(self._step, body_bytes=size, payer=self.stalls.payer) if is_large else None,
        )


def _parsed(kind: Any, raw: bytes) -> Any:
    try:
        return kind.FromString(raw)
    except DecodeError:
        raise BadBody("the message is not what this method takes") from None


def _whose(peer: str) -> str:
    """Who is at the other end of a connection, as gRPC names it: `ipv6:%5B2001:db8::1%5D:52110`."""
    return whose(unquote(peer).partition(":")[2].rpartition(":")[0].strip("[]"))


async def _abort(context: Any, declined: Declined) -> None:
    # What gRPC's own retries heed (gRFC A6): a client with a policy waits as long as it is told.
    wait = next(((_PUSHBACK, value) for name, value in declined.trailers if name == "retry-after-ms"), None)
    await context.abort(declined.code, declined.message, declined.trailers + ((wait,) if wait else ()))


def _declined(fault: AiasError) -> Declined:
    message = f"{fault.message} ({fault.hint})" if fault.hint else fault.message
    headers: tuple[tuple[bytes, bytes], ...] = getattr(fault, "headers", ())
    told = tuple((name.decode(), value.decode()) for name, value in headers if name.startswith(b"retry-after"))
    return Declined(status_of(fault), message, told)


def _nothing(_request: Any) -> Any:
    raise AssertionError("never asked: it only carries a scope")


def _options(bounds: Bounds, *, shared: bool) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", bounds.body_bytes + _OWN_BYTES),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", bounds.header_bytes),
        ("grpc.absolute_max_metadata_size", 2 * bounds.header_bytes),
        ("grpc.max_connection_idle_ms", int(bounds.grpc_idle_seconds * 1000)),
        ("grpc.server_handshake_timeout_ms", int(bounds.header_seconds * 1000)),
        # Of two servers that know nothing of each other each would get half of the calls.
        ("grpc.so_reuseport", int(shared)),
        ("grpc.max_allowed_incoming_connections", bounds.grpc_connections),
    ]
