"""Who is refused by its head alone: before its body is read, without a task, its connection kept.

More than the capacity comes only when refusing is much cheaper than answering: at five times as much, four are refused
for one that is answered. So where requests wait for threads, the door (`Batcher.check`) is asked as soon as a head is
there; and what is refused for any reason is refused as the long way would.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol

from aias.core.errors import AiasError
from aias.serving.bounds import Bounds
from aias.serving.doors import Doors
from aias.serving.executor import Executor
from aias.serving.heads import Head
from aias.serving.messages import Request
from aias.serving.repeats import Repeats
from aias.serving.router import Router
from aias.serving.survival.journal import Slot
from aias.serving.survival.suspects import Suspects
from aias.serving.transport import Headers
from aias.serving.wishes import read_wishes

SKIP_BYTES_MAX: Final = 64 << 10
"""Of a refused body: so much is read for nothing, in 20 us; for more a new connection is cheaper."""

_CLOSES: Final = (b"connection", b"close")


class Application(Protocol):
    """The part of an application that knows how to refuse."""

    suspects: Suspects | None

    def request(self, head: Head, slot: Slot | None) -> Request: ...

    def refused(self, request: Request, fault: Exception, *, more: Headers, started: float) -> bytes: ...


class Threshold:
    def __init__(
        self, application: Application, *, router: Router, doors: Doors, executor: Executor, repeats: Repeats,
        bounds: Bounds, let_in: Callable[..., None],
    ) -> None:  # fmt: skip
        self._application, self._router, self._doors = application, router, doors
        self._executor, self._repeats, self._bounds, self._let_in = executor, repeats, bounds, let_in

    def turned_away(self, head: Head, more: Headers, slot: Slot | None, *, to_come: int) -> bytes | None:
        """The whole refusal of a request of which `to_come` bytes are still to come; None when it may come in.

        Then nothing has been done for it yet. Where more is to come than is worth reading, the refusal says that the
        connection ends.
        """
        application, executor = self._application, self._executor
        if not executor.batcher.is_pressed or application.suspects or (slot is not None and slot.fault is not None):
            return None
        model = self._router.peek(head.places["endpoint"])
        if model is None or head.body_bytes > self._bounds.body_bytes:
            return None
        if model.runs_inline(head.body_bytes, self._bounds) or self._repeats.are_likely(
            head.places["endpoint"], model, head.body_bytes
        ):
            return None
        started, request = time.perf_counter(), application.request(head, slot)
        try:
            self._doors.check_caller(request.headers)
            self._let_in(head.route, request, model, only_look=True)
            read_wishes(request)
            executor.check(request, model.units_of(head.body_bytes))
        except AiasError as fault:
            if to_come > SKIP_BYTES_MAX:
                more = (*more, _CLOSES)
            return application.refused(request, fault, more=more, started=started)
        return None
