"""A connection's timeouts: how long it may be at one thing, what it is told beyond that, and its polite end.

Nothing is armed on the hot path: a sweep over all connections, a few times a second, compares times.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable, Iterable
from enum import Enum
from itertools import count
from typing import Any, Final, cast

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from aias.serving.bounds import Bounds
from aias.serving.connections.last_words import LastWords
from aias.serving.refusals import BadRequest, BodyTooSlow, HeadersTooSlow, Refusal
from aias.serving.survival.verdicts import CONTINUE, PROBES_MAX

log = logging.getLogger("aias.serving")

Phase = Enum("Phase", ("HEAD", "BODY", "ANSWER", "IDLE", "LINGER"))
HEAD, BODY, ANSWER, IDLE, LINGER = Phase
"""Looked up once: members of an enumeration are found slowly, and each request asks for five."""

SWEEP_SHARE: Final = 0.005
"""Of the time, for looking at all connections: 2,000 busy ones take 5 ms, so they are looked at once a second."""

SWEEP_PAUSE_SECONDS_MAX: Final = 2.0
"""A stall of the machine in the midst of it must not leave slow callers alone for minutes."""

_serials: Final = count()


class Bounded(HttpToolsProtocol):
    """`note` is told why a connection was refused or cut."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        bounds: Bounds,
        note: Callable[[str], None],
        last_words: LastWords,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._bounds, self._note, self._last_words = bounds, note, last_words
        self._phase = HEAD
        self._began_at = self._moved_at = self.loop.time()
        # The loop's clock counts milliseconds; of those that came in the same one, the first is the oldest.
        self.serial = next(_serials)
        # uvicorn's own begins with the first message; a connection may be refused before.
        self.url = b""
        # Of a request that has its answer already: bytes, or messages, that are read for nothing.
        self._rest = self.skip = 0
        # Of those, what is read of one of which nobody has said how long it is.
        self._skip_bytes = math.inf
        self._ended, self._probes = False, 0
        # Whether what came last is nothing that can be read: no more is, but all that was asked before is answered.
        self._broken = False

    def sweep(self, now: float) -> None:
        """Cut the connection if it has been at one thing for too long."""
        if self.transport.is_closing():
            # Asked to close, but the client does not read what is left.
            if now - self._moved_at > self._bounds.body_idle_seconds:
                self.transport.abort()
            return
        if self._ended:
            self._probe()
        bounds, busy = self._bounds, self.cycle is not None and not self.cycle.response_complete
        if self._phase is HEAD and not busy and now - self._began_at > bounds.header_seconds:
            hint = f"send all of them within {bounds.header_seconds:g} s"
            self._refuse(HeadersTooSlow("the headers did not come in time", hint=hint))
        elif self._phase is BODY and (self._rest or self.skip) and self._body_is_late(now):
            # It has its answer.
            self.transport.close()
        elif self._phase is BODY and not self.pipeline and self._body_is_late(now):
            hint = f"send it within {bounds.body_seconds:g} s, and never pause for {bounds.body_idle_seconds:g} s"
            self._refuse(BodyTooSlow("the body did not come in time", hint=hint))
        elif self._phase is IDLE and now - self._moved_at > bounds.keep_alive_seconds:
            self.transport.close()
        elif self._phase is LINGER:
            idle, whole = now - self._moved_at, now - self._began_at
            if idle > bounds.linger_seconds or whole > max(bounds.linger_seconds, bounds.body_idle_seconds):
                self.transport.abort()

    def eof_received(self) -> bool:  # type: ignore[override]  # the loop asks whether to leave the line open
        """The client sends no more: it has closed, or only its sending side. What it has asked wholly is answered."""
        self._ended = self._has_asked and self._phase is not LINGER
        if self._ended:
            self._probe()
        else:
            if self._phase is BODY and not (self._rest or self.skip):
                hint = "send as many bytes as `Content-Length` says, or the last chunk, before you close"
                self._say_last(BadRequest("the body ended before it was whole", hint=hint))
            self.transport.close()
        return self._ended

    @property
    def _has_asked(self) -> bool:
        """Whether a whole request waits for its answer."""
        cycle = self.cycle
        return bool(self.pipeline) or (cycle is not None and not cycle.response_complete and not cycle.more_body)

    @property
    def _has_asked_before(self) -> bool:
        """Whether a request waits for its answer that came before the one that is being read."""
        answers = self.cycle is not None and not self.cycle.response_complete
        return bool(self.pipeline) or (answers and self._phase is HEAD)

    def _probe(self) -> None:
        """Say `100 Continue` to a client that may have gone: then its system answers with a reset, the connection is
        lost, and its request leaves the queue. One that only listens passes over it (RFC 9110, 15.2)."""
        cycle = self.cycle
        if self._probes < PROBES_MAX and not self.pipeline and cycle is not None and not cycle.response_started:
            self._probes += 1
            if cycle.scope["http_version"] == "1.1":
                self.transport.write(CONTINUE)

    @property
    def waits_since(self) -> float | None:
        """Since when this connection has had nothing to answer, or nothing more; None while it has, or closes."""
        if self.transport.is_closing():
            return None
        if self._phase is IDLE:
            return max(self._began_at, self._moved_at)
        if self._phase is LINGER:
            return self._began_at
        answers = self.cycle is not None and not self.cycle.response_complete
        if answers or self.pipeline:
            return None
        # A head that is to come, or the rest of what has its answer: however steadily it trickles.
        return self._began_at if self._phase is HEAD or (self._phase is BODY and (self._rest or self.skip)) else None

    def give_way(self) -> None:
        """Make room for another (`connections/connection_limit.py`)."""
        self._note("serving.gave-way")
        self.transport.abort()

    def _body_is_late(self, now: float) -> bool:
        idle, whole = now - self._moved_at, now - self._began_at
        return idle > self._bounds.body_idle_seconds or whole > self._bounds.body_seconds

    def _refuse(self, fault: Refusal) -> None:
        """Answer outside of the application, which never sees this request, or no longer."""
        if self._has_asked_before:
            # An answer now would be taken for that to what was asked before.
            self._note(fault.code)
            self._ended = self._broken = True
            self.flow.pause_reading()
            return
        self._say_last(fault)
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        self._linger()

    def _say_last(self, fault: Refusal) -> None:
        """Unless an answer has begun."""
        cycle = None if self.cycle is None or self.cycle.response_complete else self.cycle
        if cycle is not None and cycle.response_started:
            self._note(fault.code)
            return
        known, told = self._phase is not IDLE and bool(self.url), self._last_words
        method, url, headers = (self.parser.get_method(), self.url, self.headers) if known else (b"", b"", [])
        request = told.request(method, url, dict(headers))
        if cycle is None:
            told.count(request, fault, self.loop.time() - self._began_at)
        else:
            # The application counts it, as soon as it hears that no more comes.
            scope = cast("dict[str, Any]", cycle.scope)
            scope["cut"], request.id = fault, scope.get("id", request.id)
        self.transport.write(told.whole(request, fault, self.server_state.default_headers))

    def _linger(self) -> None:
        """Say nothing more, but listen a little: closing at once would destroy the answer on its way to the client, who
        may look for it only when all is sent."""
        self._phase, self._began_at = LINGER, self.loop.time()
        self._moved_at = self._began_at
        self.flow.resume_reading()
        if self.transport.can_write_eof():
            self.transport.write_eof()


class Sweep:
    """Cuts every connection whose time is over; does nothing while it is too soon to look at all of them again."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._not_before = clock, -math.inf

    def __call__(self, connections: Iterable[object], now: float) -> None:
        began = self._clock()
        if began < self._not_before:
            return
        for connection in list(connections):
            if isinstance(connection, Bounded):
                try:
                    connection.sweep(now)
                except Exception:
                    # Else no other would ever be cut any more.
                    log.exception("a connection could not be looked after")
        ended = self._clock()
        self._not_before = ended + min((ended - began) / SWEEP_SHARE, SWEEP_PAUSE_SECONDS_MAX)
