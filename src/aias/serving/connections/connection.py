"""One connection: uvicorn's, with what it lacks, namely deadlines, bounds on headers, and a polite end.

    HEAD ──headers complete──▶ BODY ──body complete──▶ ANSWER ──answered──▶ IDLE ──first byte──▶ HEAD
                                └──answered early──▶ LINGER

A request that is whole in one piece, and whose model is tiny, is answered there and then, without uvicorn's cycle of
task, events and messages; where its head is known, without parsing it. One that has to be refused is refused by its
head (`admission/early_refusals.py`), and the rest of it skipped: `connections/fast_path.py`. All else goes uvicorn's
way, the long one. Who sends no more, but waits for what it has asked, is answered (`connections/timeouts.py`).
"""

import asyncio
import math
import time
from typing import Any, Final

import httptools

from aias.serving.connections.fast_path import HEARD_SHARE, PIECE_BYTES, FastPath, Flow, unheard
from aias.serving.connections.read_budget import ReadBudget
from aias.serving.connections.targets import taken_apart
from aias.serving.connections.timeouts import ANSWER, BODY, HEAD, IDLE, LINGER
from aias.serving.connections.transport import OneWrite
from aias.serving.connections.upgrades import head_without
from aias.serving.connections.write_buffers import WriteBuffers
from aias.serving.http.headers import HEADERS_MAX
from aias.serving.refusals import Refusal, bad_target, chunks_too_large, headers_too_large, not_http
from aias.serving.survival.kernel import untaken

_VERSIONS: Final = frozenset(("1.1", "1.0"))
"""The parser lets others pass."""

_AROUND_A_BYTE: Final = 8
"""Of a chunk that holds one: its length and two ends of lines take five."""


class Refused(Exception):
    """Raised inside the parser's callbacks, through which it comes out as a parser error."""


class Connection(FastPath):
    """What the loop, the parser and uvicorn call. `budget` and `unread`: of all connections of a loop."""

    def __init__(self, *args: Any, budget: ReadBudget, unread: WriteBuffers, **prompt: Any) -> None:
        super().__init__(*args, **prompt)
        self._budget, self._unread = budget, unread
        self._head_bytes = self._head_lines = 0
        # Whether the server stops: the next answer says that it is the last.
        self._stops = False
        # The head of a request that offers another protocol, less that.
        self._offered = b""
        # What has come of a body, and what of that are its own bytes: the rest stands around its chunks.
        self._come_bytes = self._body_bytes = 0
        self._fault: Refusal | None = None

    # The transport's calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._line, self._answers, self.flow = transport, OneWrite(transport, ends=self._ends_early), Flow(transport)
        self.transport = self._answers  # type: ignore[assignment]

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        # Nothing of it leads back to it: so it goes at once, and not when garbage is looked for.
        self._answers.lost()
        self._begun = None
        self._unread.remove(self)
        never = [*self.pipeline, *([self._unbegun] if self._unbegun else [])]
        if never:
            # What waited behind a request is nobody's, and will never begin; the last of it is `cycle`.
            for cycle, _ in never:
                cycle.on_response = unheard
            self.pipeline.clear()
            self._unbegun = None
            self.cycle = None  # type: ignore[assignment]
        elif self.cycle is not None and self.cycle.response_complete:
            self.cycle = None  # type: ignore[assignment]

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.add(self)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._unread.remove(self)
        if self._unbegun is not None:
            begun, self._unbegun = self._unbegun, None
            begun[0].scope["came_at"] = time.monotonic()
            super()._start_asgi_task(*begun)

    @property
    def unread_bytes(self) -> int:
        """What of its answers waits to be sent."""
        return self._line.get_write_buffer_size()

    @property
    def untaken_bytes(self) -> int:
        """The same, with what the system has not given to its client's."""
        return self.unread_bytes + untaken(self._line.get_extra_info("socket").fileno())

    def cut(self) -> None:
        """End it now, whatever its client has not read."""
        self.transport.abort()

    @property
    def waits_since(self) -> float | None:
        """Also since when its client has read nothing of what it has asked for."""
        if self.flow.write_paused and not self.transport.is_closing():
            return self._unread.since(self)
        return super().waits_since

    @property
    def at_rest(self) -> bool:
        """Whether all that has come is answered, and nothing has begun since."""
        return self._phase is IDLE and not self._behind

    @property
    def is_over(self) -> bool:
        """Whether it has been refused, and only listens so that its client can hear that."""
        return self._phase is LINGER

    @property
    def is_answering(self) -> bool:
        """Whether a whole request waits for its answer, or a part of an answer has gone out."""
        if self._is_waiting or (self._behind and not self.is_over) or self.transport.get_write_buffer_size():
            return True
        if self.cycle is None or self.cycle.response_complete:
            return False
        return self._phase is ANSWER or bool(self.pipeline) or self.cycle.response_started

    def data_received(self, data: bytes) -> None:
        is_next = self._phase is IDLE or (self._phase is HEAD and not self._heard)
        if self._refusals.said and is_next and not self._stops and self._say_again(data):
            if len(self.connections) > self._budget.reads_max:
                self._budget.heard(self._line, self._hear_again)
            return
        if self._phase is LINGER or self._broken:
            self._moved_at = self.loop.time()
            return
        if self._is_waiting:
            # More than a thousand others have something to read too, so that the loop has looked twice in one turn.
            self._together.run()
        if self._is_waiting:
            # It queues up on the loop, and what it sends behind that waits as well.
            self._behind += data
            self._line.pause_reading()
            return
        if len(self.connections) > self._budget.reads_max:
            self._budget.heard(self._line, self._hear_again)
        if self._rest:
            data = self._skip(data)
            if not data:
                return
        if (self.pipeline or len(data) > PIECE_BYTES) and self._holds(data):
            return
        if (self._phase is IDLE or not self._heard) and self._is_free and not (self.skip or self._stops):
            if self._answer_again(data):
                return
            self._read = data
        elif self._phase is HEAD:
            # A head that came in pieces goes the long way: its first piece could look like a whole request.
            self._read = b""
        self._heard = True
        if self._phase is HEAD:
            self._head_bytes += len(data)
        else:
            self._come_bytes += len(data)
        try:
            self._feed(data)
            if self._held is not None and not self._may_wait(data):
                self._begin()
        except httptools.HttpParserError as fault:
            if self.transport.is_closing():
                return
            if self.skip:
                # It has its answer; another would be taken for that to the next request.
                self._linger()
                return
            self._refuse(self._fault or not_http(f"this is not HTTP/1.1: {fault}"))
            return
        finally:
            self._leave_queue()
        if self._phase is HEAD and self._head_bytes > self._bounds.header_bytes:
            self._refuse(headers_too_large(self._bounds.header_bytes, HEADERS_MAX))
        elif self._phase is BODY and self._is_mostly_chunks and self.skip:
            self._linger()
        elif self._phase is BODY and self._is_mostly_chunks:
            self._refuse(chunks_too_large())

    def _feed(self, data: bytes) -> None:
        """Have it parsed; what offers to speak something else as if it did not."""
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as offer:
                offered, self._offered = self._offered, b""
                if not offered:
                    # A tunnel; what follows is in whatever language.
                    if self.cycle is not None:
                        self.cycle.keep_alive = False
                    return
                self.parser = httptools.HttpRequestParser(self)
                self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
                self.parser.feed_data(offered)
                data = data[offer.args[0] :]
            else:
                return

    @property
    def _is_mostly_chunks(self) -> bool:
        """Whether a body has brought more around it than chunks of a byte each would, and a head beside: extensions of
        chunks may be as long as anybody likes, and the parser does not tell of them."""
        around = self._come_bytes - self._body_bytes
        return around > self._bounds.header_bytes + _AROUND_A_BYTE * self._body_bytes

    # The parser's calls

    def on_message_begin(self) -> None:
        # As uvicorn's; the scope is made when it is wanted.
        self.url, self.headers, self.expect_100_continue = b"", [], False
        self._phase, self._began_at = HEAD, self.loop.time()
        self._head_bytes = self._head_lines = self._come_bytes = self._body_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head_lines += 1
        if self._head_lines > HEADERS_MAX or len(name) + len(value) > self._bounds.header_bytes:
            self._fault = headers_too_large(self._bounds.header_bytes, HEADERS_MAX)
            raise Refused
        # What comes after the body is a trailer: as a header it could bring what a proxy before us has taken away.
        if self._phase is HEAD:
            # Blanks behind a value are none of it (RFC 9112, 5), and the parser leaves them there.
            super().on_header(name, value.rstrip(b" \t"))

    def on_headers_complete(self) -> None:
        if self.transport.is_closing():
            # What stands behind the last request is nobody's.
            raise Refused
        if self.parser.get_http_version() not in _VERSIONS:
            self._fault = not_http("this is neither HTTP/1.1 nor HTTP/1.0")
            raise Refused
        if self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT":
            # The parser thinks that the message ends here, and says so next.
            self._offered = head_without(
                self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers
            )
            return
        if self.url[:1] != b"/" and (self.url != b"*" or self.parser.get_method() != b"OPTIONS"):
            taken = taken_apart(self.url, self.headers)
            if taken is None:
                self._fault = bad_target()
                raise Refused
            self.url, self.headers = taken
        elif self.parser.get_http_version() == "1.0" and all(name != b"host" for name, _ in self.headers):
            # Probes of load balancers have none (RFC 9112, 3.2: only 1.1 must); browsers, for whom it is asked, do.
            self.headers.append((b"host", b"localhost"))
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > self._bounds.header_bytes:
            self._fault = headers_too_large(self._bounds.header_bytes, HEADERS_MAX)
            raise Refused
        if self.skip:
            self._phase = BODY
            return
        self._phase = BODY
        self._began_at = self._moved_at = self.loop.time()
        self._held = b""
        # Only the first of a read: whoever sends a thousand at once must not have the loop until the last.
        if not self._read or self.parser.get_method() != b"POST":
            self._begin()

    def on_body(self, body: bytes) -> None:
        self._moved_at = self.loop.time()
        self._body_bytes += len(body)
        if self.skip:
            self._skip_bytes -= len(body)
            if self._skip_bytes < 0:
                raise Refused
            return
        if self._held is not None:
            self._held += body
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._offered:
            return
        if self.skip:
            # It has its answer: from the worker before this one, or as it was refused.
            self.skip -= 1
            self._skip_bytes, self._phase = math.inf, IDLE
            if not self.parser.should_keep_alive():
                self.transport.close()
            return
        if self._held is not None and not self._answer_first(self._held):
            self._begin()
        if self._phase is BODY:
            super().on_message_complete()
            self.cycle.keep_alive &= self.parser.should_keep_alive() and self.parser.get_http_version() != "1.0"
            self._phase = ANSWER

    # The long way

    def _begin(self) -> None:
        """Go the long way: uvicorn's scope, cycle and task, with what has been read so far."""
        held, self._held, self._read = self._held, None, b""
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        if self.slot is not None:
            self.scope["slot"] = self.slot  # type: ignore[typeddict-unknown-key]
        if self._coming is not None:
            self.scope.update(coming=self._coming, id=self._coming.request_id)  # type: ignore[call-arg]
        self._coming, self._is_looked_at = None, False
        # Who speaks 1.0 does not know of it, and would take it for the answer (RFC 9110, 10.1.1).
        self.url, self.expect_100_continue = url, expects and self.parser.get_http_version() == "1.1"
        # A body that was waited for.
        if (dawdled := self.loop.time() - self._began_at) > 0:
            self.scope["dawdled"] = dawdled  # type: ignore[typeddict-unknown-key]
        # Before others that came at the same time are looked at.
        self.scope["came_at"] = time.monotonic()  # type: ignore[typeddict-unknown-key]
        self.headers.extend(headers)
        super().on_headers_complete()
        # Until the request is whole, whatever it says of the end: an answer before it lingers.
        self.cycle.keep_alive = True
        if held:
            super().on_body(held)

    def _ends_early(self) -> bool:
        """Whether the answer that begins is the last: it comes before its request has, of which no more is wanted, or
        the server stops."""
        return (self._phase is BODY or (self._stops and not self._behind)) and not self.pipeline

    @property
    def _has_asked(self) -> bool:
        return self._is_waiting or super()._has_asked

    # uvicorn's calls

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        if self.flow.write_paused:
            # Its client does not read the answer before: another would only wait behind it.
            self._unbegun = cycle, app
        else:
            super()._start_asgi_task(cycle, app)

    def on_response_complete(self) -> None:
        self._answers.flush()
        if self.slot is not None:
            self.slot.answered()
        self.server_state.total_requests += 1
        self._moved_at = self.loop.time()
        if self.transport.is_closing():
            return
        if self._ended and (not self.pipeline or self.pipeline[-1][0].more_body):
            # Nothing more comes.
            self.transport.close()
        elif self.pipeline:
            # What waited for us to finish starts its clock now.
            self._began_at = self._moved_at
            cycle, app = self.pipeline.pop()
            if not self.pipeline:
                self._read_on()
            cycle.scope["came_at"] = time.monotonic()  # type: ignore[typeddict-unknown-key]
            self._start_asgi_task(cycle, app)
        elif self._phase is BODY or self._answers.said_close:
            self._linger()
        else:
            self._read_on()
            if self._phase is ANSWER:
                self._phase = IDLE

    def sweep(self, now: float) -> None:
        if self._phase is BODY and self._held is not None and now - self._began_at > self._bounds.give_way_seconds:
            # Not as good as here: it counts among those of its key whose bodies are still to come.
            self._begin()
        self._forget_behind(now)
        if self._stops and self._has_rested(now):
            self.transport.close()
        super().sweep(now)

    def shutdown(self) -> None:
        """The server stops: finish what has begun, and what a client asks that has just been answered. It may have sent
        that already; closed now, it would be lost."""
        if self._is_waiting:
            self._together.run()
        self._stops, self._hears_until = True, self.loop.time() + HEARD_SHARE * self._bounds.drain_seconds
        if self._phase is BODY and self._held is not None:
            self._begin()
        if self.cycle is not None and not self.cycle.response_complete:
            self.cycle.keep_alive &= bool(self._behind)
        elif self._phase is LINGER or self._has_rested(self.loop.time()):
            self.transport.close()

    def _has_rested(self, now: float) -> bool:
        """Whether for so long nothing was asked that nothing is under way."""
        since = super().waits_since
        return since is not None and now - since > self._bounds.linger_seconds
