"""A refusal that has just been made, said again to whoever asks with a head of the same kind: a third of its price.

At several times the capacity most requests are refused, thousands a second, for the same reason. Nothing that could
make a difference within 50 ms is looked at anew: neither key nor queue, nor what is left of quotas, of which a refusal
takes nothing. (After 10 ms, of twenty callers who asked in turn half were looked at.) Only what is the same for all is
repeated: not where a request has a deadline or a span, or there are versions to choose from.
"""

import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from aias.serving.admission.urgency import DEADLINE
from aias.serving.http.heads import HEADS_MAX, Head
from aias.serving.http.messages import Reply, Request
from aias.serving.observability.logs import ACCESS
from aias.serving.observability.metrics import Tally
from aias.serving.observability.recording import Recording, line_of
from aias.serving.observability.traces import parent_of
from aias.serving.refusals import Overloaded

LIFE_SECONDS: Final = 0.05
LIFE_SHARE: Final = 0.05
"""Of the objective: so much later a place that becomes free is offered, at most; the queue is sixteen times as long."""


class _Said(NamedTuple):
    """`parts`: the response, less the request's name, of so many bytes, which stood between them; `line`: of the access
    log, less its time, that name and the trace."""

    kind: object
    name_bytes: int
    parts: list[bytes]
    tally: Tally
    line: tuple[Any, ...]
    until: float


class RepeatedRefusals:
    """`next_id` names a request."""

    def __init__(
        self, observing: Recording, next_id: Callable[[], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._observing, self._next_id, self._clock = observing, next_id, clock
        # Empty where nobody is refused.
        self.said: dict[tuple[int, int, int], _Said] = {}

    def life(self, head: Head, request: Request, fault: Exception) -> float:
        """For how many seconds a refusal may be said again; 0 where it may not."""
        plain = DEADLINE not in head.headers and request.split is None and request.span is None
        if not (isinstance(fault, Overloaded) and plain) or self._observing.traces:
            return 0.0
        share = LIFE_SECONDS if request.model is None else LIFE_SHARE * request.model.flow.objective_seconds
        return min(LIFE_SECONDS, share)

    def keep(self, head: Head, request: Request, reply: Reply, response: bytes, life: float) -> None:
        """What a request with this head was refused with."""
        name = request.id.encode()
        parts = response.split(name)
        if head.id and len(parts) != 2 + reply.body.count(b'"request_id":"%b"' % name):
            # It means something else as well.
            return
        if len(self.said) >= HEADS_MAX:
            self.said.clear()
        tally = self._observing.tally(request, reply, Overloaded.code)
        tally.at = time.time()
        kind = head.kind or head
        said = _Said(kind, len(name), parts, tally, line_of(request, reply), self._clock() + life)
        self.said[_key(kind, head)] = said

    def of(self, head: Head) -> bytes | None:
        """The same response under another name, counted like the first; None where it has to be looked at."""
        said = self.said.get(key := _key(head.kind or head, head))
        if said is None or DEADLINE in head.headers:
            return None
        name = (head.id or self._next_id()).encode()
        # Names are counted up: a longer one would make the body longer than the response says.
        if self._clock() > said.until or len(name) != said.name_bytes:
            del self.said[key]
            return None
        said.tally.times += 1
        if ACCESS.share and ACCESS.wants():
            parent = parent_of(head.headers)
            ACCESS.add((time.time(), name.decode(), "" if parent is None else parent.trace, *said.line))
        return name.join(said.parts)

    def forget(self) -> None:
        """Let go of what is not said any more; to be called now and then."""
        now = self._clock()
        self.said = {key: said for key, said in self.said.items() if now <= said.until}


def _key(kind: object, head: Head) -> tuple[int, int, int]:
    """Of a kind, which is kept with what is said, of bodies of its size to within twice, and of names that are as
    long."""
    return id(kind), (head.body_bytes or 0).bit_length(), len(head.id)
