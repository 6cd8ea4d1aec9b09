"""A refusal that has just been made, said again to whoever asks with the same head: a third of its price.

At several times the capacity most requests are refused, thousands a second, for the same reason. Nothing that could
make a difference within 50 ms is looked at anew: neither key nor queue, nor what is left of quotas, of which a refusal
takes nothing. (After 10 ms, of twenty callers who asked in turn half were looked at.) Only what is the same for all is
repeated: not where a request has a name or is traced, or its line is logged.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from aias.serving.http.heads import HEADS_MAX, Head
from aias.serving.http.messages import Reply, Request
from aias.serving.observability.logs import ACCESS
from aias.serving.observability.metrics import Tally
from aias.serving.observability.recording import Recording
from aias.serving.refusals import Overloaded

LIFE_SECONDS: Final = 0.05
LIFE_SHARE: Final = 0.05
"""Of the objective: so much later a place that becomes free is offered, at most; the queue is sixteen times as long."""


class _Said(NamedTuple):
    """`parts`: the response, less the request's `name`, which stood between them."""

    head: Head
    name: bytes
    parts: list[bytes]
    tally: Tally
    until: float


class RepeatedRefusals:
    """`next_id` names a request."""

    def __init__(
        self, observing: Recording, next_id: Callable[[], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._observing, self._next_id, self._clock = observing, next_id, clock
        # By the identity of their heads; empty where nobody is refused.
        self.said: dict[int, _Said] = {}

    def keep(self, head: Head, request: Request, fault: Exception, reply: Reply, response: bytes) -> None:
        """What a request with this head was refused with."""
        plain = request.span is None and b"x-request-id" not in request.headers
        if isinstance(fault, Overloaded) and plain and not ACCESS.share and not self._observing.traces:
            if len(self.said) >= HEADS_MAX:
                self.said.clear()
            tally = self._observing.tally(request, reply, Overloaded.code)
            tally.at, name = time.time(), request.id.encode()
            until = self._clock() + _life(request)
            self.said[id(head)] = _Said(head, name, response.split(name), tally, until)

    def of(self, head: Head) -> bytes | None:
        """The same response under another name, counted like the first; None where it has to be looked at."""
        said = self.said.get(id(head))
        if said is None:
            return None
        known, name, parts, tally, until = said
        fresh = self._next_id().encode()
        # Names are counted up: a longer one would make the body longer than the response says.
        if known is not head or self._clock() > until or len(fresh) != len(name):
            del self.said[id(head)]
            return None
        tally.times += 1
        return fresh.join(parts)

    def forget(self) -> None:
        """Let go of what is not said any more; to be called now and then."""
        now = self._clock()
        self.said = {head: said for head, said in self.said.items() if now <= said.until}


def _life(request: Request) -> float:
    model = request.model
    return LIFE_SECONDS if model is None else min(LIFE_SECONDS, LIFE_SHARE * model.flow.objective_seconds)
