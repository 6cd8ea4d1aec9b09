"""A refusal that has just been made, said again to whoever asks with the same head: a third of its price.

At several times the capacity most requests are refused, thousands a second, for the same reason. Nothing that could
make a difference within ten milliseconds is looked at anew: neither key nor queue. Only what is the same for all is
repeated: not where a quota is counted, a request has a name or is traced, or its line is logged.
"""

import time
from collections.abc import Callable
from typing import Final, NamedTuple

from aias.serving.heads import HEADS_MAX, Head
from aias.serving.logs import ACCESS
from aias.serving.messages import Reply, Request
from aias.serving.observing import Observing
from aias.serving.refusals import Overloaded

LIFE_SECONDS: Final = 0.01
LIFE_SHARE: Final = 0.01
"""Of the objective: a place that becomes free is offered so much later at most, while the queue is as long as that."""


class _Said(NamedTuple):
    head: Head
    request: Request
    reply: Reply
    response: bytes
    until: float


class Echoes:
    """`next_id` names a request."""

    def __init__(
        self, observing: Observing, next_id: Callable[[], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._observing, self._next_id, self._clock = observing, next_id, clock
        self._said: dict[int, _Said] = {}

    def keep(self, head: Head, request: Request, fault: Exception, reply: Reply, response: bytes) -> None:
        """What a request with this head was refused with."""
        plain = request.bill is None and request.span is None and b"x-request-id" not in request.headers
        if isinstance(fault, Overloaded) and plain and not ACCESS.share and not self._observing.traces:
            if len(self._said) >= HEADS_MAX:
                self._said.clear()
            until = self._clock() + _life(request)
            self._said[id(head)] = _Said(head, request, reply, response, until)

    def of(self, head: Head) -> bytes | None:
        """The same response under another name, counted like the first; None where it has to be looked at."""
        said = self._said.get(id(head))
        if said is None or said.head is not head:
            return None
        name, fresh = said.request.id, self._next_id()
        # Names are counted up: a longer one would make the body longer than the response says.
        if self._clock() > said.until or len(fresh) != len(name):
            del self._said[id(head)]
            return None
        self._observing.refused(said.request, Overloaded.code)
        self._observing.note(said.request, said.reply, 0.0)
        return said.response.replace(name.encode(), fresh.encode())

    def forget(self) -> None:
        """Let go of what is not said any more, and of the models that it was said for; to be called now and then."""
        now = self._clock()
        self._said = {head: said for head, said in self._said.items() if now <= said.until}


def _life(request: Request) -> float:
    model = request.model
    return LIFE_SECONDS if model is None else min(LIFE_SECONDS, LIFE_SHARE * model.lane.objective_seconds)
