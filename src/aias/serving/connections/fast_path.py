"""What of a connection is answered, or refused, before its parser has gone the long way.

bytes ─ head known? ─ refused a moment ago ─▶ again (`admission/repeated_refusals.py`)
                      └ model on the loop ──▶ at once, together with others, or in its turn
                        └ model in threads ─▶ looked at (`admission/early_refusals.py`): refused, or on its way
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any, Final, Protocol

from uvicorn.protocols.http.flow_control import FlowControl

from aias.serving.admission.early_refusals import SKIP_BYTES_MAX
from aias.serving.admission.repeated_refusals import RepeatedRefusals
from aias.serving.admission.urgency import DEADLINE
from aias.serving.batching.executor import Executor
from aias.serving.batching.tickets import Ticket
from aias.serving.connections.busy_polling import BusyPolling
from aias.serving.connections.last_words import LastWords
from aias.serving.connections.timeouts import ANSWER, BODY, IDLE, Bounded
from aias.serving.connections.transport import Headers
from aias.serving.http.heads import Head, Heads
from aias.serving.survival.journal import Slot
from aias.serving.survival.kernel import has_ended
from aias.serving.survival.verdicts import CONTINUE, PROBES_MAX

HEADS_AT_ONCE: Final = 16
"""Of one read that is understood as a whole: each takes 2.5 KB, and the shortest 26 bytes of the line."""

PIECE_BYTES: Final = 1_024
"""Of a read with more: 40 of the shortest requests."""

HEARD_SHARE: Final = 0.5
"""Of the time for stopping: what has come by then behind many requests, and is not understood yet, is not answered, so
that all answers before it get out and the last of them says so."""

_END: Final = b"\r\n\r\n"


class Waiting(Protocol):
    """The requests that are answered before this turn of the loop is over."""

    def run(self) -> None: ...


class Flow(FlowControl):
    """Also the application resumes reading, to hear whether its caller has gone: not while anything is `held`."""

    held = False

    def resume_reading(self) -> None:
        if not self.held:
            super().resume_reading()


class AtOnce(Protocol):
    """The part of an application that answers without waiting."""

    heads: Heads

    last_words: LastWords

    executor: Executor

    @property
    def together(self) -> Waiting: ...

    def at_once(
        self, head: Head, body: bytes, more: Headers, slot: Slot | None, deliver: Callable[[bytes], None] | None,
        has_gone: Callable[[], bool],
    ) -> bytes | None: ...  # fmt: skip

    def will_answer(self, head: Head) -> bool: ...

    @property
    def repeated_refusals(self) -> RepeatedRefusals: ...

    @property
    def look(self) -> Callable[..., bytes | Ticket | None]: ...


class FastPath(Bounded):
    """`answers` what can be answered at once."""

    _line: asyncio.Transport
    flow: Flow

    def __init__(self, *args: Any, answers: AtOnce, polling: BusyPolling, **bounded: Any) -> None:
        super().__init__(*args, last_words=answers.last_words, **bounded)
        self._polling = polling
        self._at_once, self._will_answer, self._heads = answers.at_once, answers.will_answer, answers.heads
        self._look, self._refusals = answers.look, answers.repeated_refusals
        self._together, self._is_waiting, self._executor = answers.together, False, answers.executor
        # The read under way, while the request in it is its first; the body so far of one that may be answered at once.
        self._read = b""
        self._held: bytes | None = None
        # What has come after a request that waits for its turn on the loop, or after many that wait for one.
        self._behind = b""
        # Until when that is heard, as the server stops.
        self._hears_until, self._has_forgotten = math.inf, False
        # The last request that has gone on its long way; one that begins when its client has read on.
        self._begun: Any = None
        self._unbegun: tuple[Any, Any] | None = None
        # Of a request that has been looked at and goes the long way; its place in the queue, if it has one already.
        self._is_looked_at = False
        self._coming: Ticket | None = None
        self._heard = False
        self.slot: Slot | None = None

    @property
    def _is_free(self) -> bool:
        """Nothing is being answered, and the client takes what it is sent."""
        return (self.cycle is None or self.cycle.response_complete) and not self.flow.write_paused

    def _may_wait(self, data: bytes) -> bool:
        """Whether the rest of a body is worth waiting for, which many clients send after the head; or is not at all."""
        head, held, first, self._read = self._head(), self._held or b"", self._read, b""
        if head is None:
            return False
        if self._turn_away(head, None if head.body_bytes is None else head.body_bytes - len(held)):
            # The parser knows of the body, and is told the rest of it.
            self._held, self.skip = None, 1
            if head.body_bytes is None:
                self._skip_bytes = SKIP_BYTES_MAX
            if first is data and head.plain:
                self._heads.remember(data[: len(data) - len(held)], head)
            return True
        return head.names_itself and self._will_answer(head)

    def _head(self) -> Head | None:
        """What the parser has found."""
        return self._heads.of(self.url, self.headers, version=self.parser.get_http_version())

    def _say_again(self, data: bytes) -> bool:
        """Refuse a request as one with the same head has been a moment ago, if nothing comes before it."""
        end = data.find(b"\r\n\r\n") + 4
        head = self._heads.recall(data[:end])
        if head is None or head.body_bytes is None:
            return False
        slot, cycle, to_come = self.slot, self.cycle, head.body_bytes - len(data) + end
        if to_come < 0 or to_come > SKIP_BYTES_MAX or self.skip or self.flow.write_paused:
            return False
        if (cycle is not None and not cycle.response_complete) or (slot is not None and slot.death is not None):
            return False
        response = self._refusals.of(head)
        if response is None:
            return False
        self._rest, self._heard = to_come, True
        self._say_no(response, to_come)
        return True

    def _answer_again(self, data: bytes) -> bool:
        """Answer a request whose head is known, if it is there to the last byte."""
        end = data.find(b"\r\n\r\n") + 4
        head = self._heads.recall(data[:end])
        if head is None:
            return False
        # Only plain ones are remembered.
        assert head.body_bytes is not None
        to_come = head.body_bytes - (len(data) - end)
        if to_come < 0 or (to_come == 0 and self._answer(head, data[end:], self._deliver)):
            return to_come == 0
        if self._turn_away(head, to_come):
            self._rest, self._heard = to_come, True
            return True
        return False

    def _answer_first(self, body: bytes) -> bool:
        """Answer a request that the parser has read; remember its head if it was alone in its read."""
        data, self._read = self._read, b""
        head = None if self._is_looked_at else self._head()
        if head is None or self._has_dawdled(head) or not (self._answer(head, body) or self._turn_away(head, 0)):
            return False
        self._held = None
        end = data.find(b"\r\n\r\n") + 4
        if head.plain and len(data) == end + len(body):
            self._heads.remember(data[:end], head)
        return True

    def _has_dawdled(self, head: Head) -> bool:
        """Whether some of its time is over: the long way counts it from the head."""
        return DEADLINE in head.headers and self.loop.time() > self._began_at

    def _answer(self, head: Head, body: bytes, deliver: Callable[[bytes], None] | None = None) -> bool:
        if not (head.plain and head.names_itself):
            return False
        response = self._at_once(head, body, self.server_state.default_headers, self.slot, deliver, self._has_gone)
        if response is None:
            return False
        if response:
            self._deliver(response)
        else:
            self._phase, self._is_waiting = ANSWER, True
        return True

    def _deliver(self, response: bytes) -> None:
        self._is_waiting = False
        if not self._line.is_closing():
            self._line.write(response)
        if self.slot is not None:
            self.slot.answered()
        self.server_state.total_requests += 1
        self._phase, self._moved_at = IDLE, self.loop.time()
        self._polling.answered()
        if self._behind:
            self.loop.call_soon(self._hear_behind)
        elif self._ended:
            self.transport.close()

    def _has_gone(self) -> bool:
        """Whether nobody would read an answer; the kernel hears of it before the loop does."""
        return self._line.is_closing() or (self._ended and has_ended(self._line.get_extra_info("socket").fileno()))

    def _probe(self) -> None:
        if self._is_waiting and self._probes < PROBES_MAX:
            # In its turn on the loop; who comes that far speaks 1.1.
            self._probes += 1
            self._line.write(CONTINUE)
        else:
            super()._probe()

    def _turn_away(self, head: Head, to_come: int | None) -> bool:
        """Refuse a request by its head; what is `to_come` of its body is read for nothing, or its connection ends.
        None: nobody has said how much that is."""
        ends = head.ends or (head.expects and to_come != 0) or (to_come or 0) > SKIP_BYTES_MAX
        found = self._look(head, self.server_state.default_headers, self.slot, whole=to_come == 0, ends=ends)
        if not isinstance(found, bytes):
            self._coming, self._is_looked_at = found, to_come == 0
            return False
        self._say_no(found, to_come)
        if ends and to_come == 0:
            self.transport.close()
        elif ends:
            self._linger()
        return True

    def _leave_queue(self) -> None:
        """Where a request has a place in the queue by its head, and is then refused by the parser or goes nowhere."""
        coming, self._coming = self._coming, None
        if coming is not None:
            self._executor.give_back(coming)

    def _say_no(self, response: bytes, to_come: int | None) -> None:
        self._line.write(response)
        if self.slot is not None:
            self.slot.answered()
        self.server_state.total_requests += 1
        self._began_at = self._moved_at = self.loop.time()
        self._phase = IDLE if to_come == 0 else BODY

    def _skip(self, data: bytes) -> bytes:
        """What of a read does not belong to a body that was refused."""
        skipped = min(self._rest, len(data))
        self._rest -= skipped
        self._moved_at = self.loop.time()
        if not self._rest:
            self._phase = IDLE
        return data[skipped:]

    def _holds(self, data: bytes) -> bool:
        """Whether a read is kept as it is, or heard in pieces: no more is understood while requests wait for one."""
        if self.pipeline:
            self._behind += data
            self.flow.held = True
            self.flow.pause_reading()
            return True
        if len(data) <= PIECE_BYTES or data.count(_END) <= HEADS_AT_ONCE:
            return False
        for at in range(0, len(data), PIECE_BYTES):
            if self.pipeline:
                return self._holds(data[at:])
            self.data_received(data[at : at + PIECE_BYTES])
        return True

    def _forget_behind(self, now: float) -> None:
        """Where its time is over, with the request before it that is not whole, if that has not begun. What comes then
        would make no sense, and is read for nothing, when the answers to all that was understood are out."""
        if now <= self._hears_until or self._is_waiting:
            return
        if self._phase is BODY and self.pipeline and self.pipeline[0][0] is self.cycle and self.cycle.more_body:
            cycle, _ = self.pipeline.popleft()
            cycle.on_response = unheard
            self.cycle = (self.pipeline[0] if self.pipeline else self._unbegun or (self._begun,))[0]
            # As if it had not come: the request before it is the last.
            self._phase, self._has_forgotten, self.flow.held = ANSWER, True, True
        if self._behind and self._phase is not BODY:
            self._behind, self._has_forgotten = b"", True

    def _start_asgi_task(self, cycle: Any, app: Any) -> None:
        self._begun = cycle
        super()._start_asgi_task(cycle, app)

    def _linger(self) -> None:
        self.flow.held = False
        super()._linger()

    def _read_on(self) -> None:
        """Nothing waits any more behind what is being answered."""
        if self._behind:
            self.loop.call_soon(self._hear_behind)
        elif not self._has_forgotten:
            self.flow.resume_reading()

    def _hear_behind(self) -> None:
        data, self._behind = self._behind, b""
        self.flow.held = False
        if data and not self._line.is_closing():
            self.flow.resume_reading()
            self._hear_again()
            self.data_received(data)

    def _hear_again(self) -> None:
        if not self.flow.read_paused and not self._line.is_closing():
            self._line.resume_reading()


def unheard() -> None:
    """Of a request that does not begin."""
