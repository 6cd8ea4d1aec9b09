"""Who is refused by its head alone, before its body is read, without a task; and whose place is kept from here on.

    head ─ its model in threads or long on the loop, something waits? ─no──▶ None: as if nobody had looked
             └ key ─ quota ─ wishes ─ door ─refused─▶ the whole response; the rest of the body is skipped
                                       └ let in ─────▶ its ticket, announced where the body is there

More than the capacity comes only when refusing is much cheaper than answering: at five times as much, four are refused
for one that is answered. So where requests wait for threads, the door (`Batcher.check`) is asked as soon as a head is
there; and what is refused for any reason is refused as the long way would. Whoever is let in counts among those that
wait from this moment: else all that come in one turn of the loop would be let in on the same empty queue, and most of
them refused later, dearly.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

from aias.core.errors import AiasError
from aias.serving.admission.access_control import AccessControl
from aias.serving.admission.urgency import read_urgency
from aias.serving.batching.executor import Executor
from aias.serving.batching.on_loop import OnLoop
from aias.serving.batching.response_cache import ResponseCache
from aias.serving.batching.tickets import Ticket
from aias.serving.bounds import Bounds
from aias.serving.connections.transport import Headers
from aias.serving.http.heads import Head
from aias.serving.http.lengths import Lengths
from aias.serving.http.messages import Request
from aias.serving.observability.recording import Recording
from aias.serving.survival.isolated_versions import IsolatedVersions
from aias.serving.survival.journal import Slot
from aias.serving.versions.model import Model
from aias.serving.versions.router import Router

SKIP_BYTES_MAX: Final = 64 << 10
"""Of a refused body: so much is read for nothing, in 20 us; for more a new connection is cheaper."""

_CLOSES: Final = (b"connection", b"close")


class Application(Protocol):
    """The part of an application that knows how to refuse."""

    isolated: IsolatedVersions | None

    def request(self, head: Head, slot: Slot | None) -> Request: ...

    def refused(
        self, head: Head, request: Request, fault: Exception, *, more: Headers, started: float, ends: bool
    ) -> bytes | None: ...

    @property
    def observing(self) -> Recording: ...


class EarlyRefusals:
    def __init__(
        self, application: Application, *, router: Router, access: AccessControl, executor: Executor, on_loop: OnLoop,
        response_cache: ResponseCache, lengths: Lengths, bounds: Bounds, let_in: Callable[..., None],
    ) -> None:  # fmt: skip
        self._lengths = lengths
        self._application, self._router, self._access, self._on_loop = application, router, access, on_loop
        self._executor, self._response_cache, self._bounds, self._let_in = executor, response_cache, bounds, let_in
        self._has_one = False

    def look(self, head: Head, more: Headers, slot: Slot | None, *, whole: bool, ends: bool) -> bytes | Ticket | None:
        """Of a request that is there to its last byte, or not: the whole refusal, with the headers `more`; its place in
        the queue; None where nothing is known against it, and nothing has been done for it. `ends`: a refusal says that
        the connection ends."""
        application = self._application
        if slot is not None and slot.death is not None:
            return None
        if (endpoint := self._endpoint_of(head)) is None:
            return None
        model = self._router.peek(endpoint) or self._router.known(endpoint)
        split = self._router.stage.splits.get(endpoint)
        size = head.body_bytes or 0
        if model is None or self._is_held(model) or size > self._bounds.body_bytes:
            return None
        inline = split is None and self._lengths.runs_inline(head, model)
        if inline and not self._on_loop.is_pressed(model, size):
            return None
        if split is None and self._response_cache.are_likely(endpoint, model, size):
            return None
        if not (inline or self._is_pressed(whole=whole)):
            return None
        started, request = time.perf_counter(), application.request(head, slot)
        request.places = head.places | {"endpoint": endpoint}
        try:
            self._access.check_caller(request.headers)
            self._let_in(head.route, request, model, only_look=True)
            if split is not None:
                split.choose(request)
                if self._is_held(request.asked) or not self._waits(endpoint, request.asked, size):
                    return None
            read_urgency(request)
            if inline:
                # Else it takes its place when it has been read.
                self._on_loop.check(request, size)
                return None
            units = request.asked.units_of(size)
            if not whole:
                # A body that is still to come must not keep a place: it may never come.
                self._executor.check(request, units)
                return None
            self._executor.announce(request, units)
        except AiasError as fault:
            application.observing.begin(request)
            more = (*more, _CLOSES) if ends else more
            return application.refused(head, request, fault, more=more, started=started, ends=ends)
        except Exception:  # noqa: BLE001  the long way comes to it too, and tells of it
            return None
        return request.coming

    def _is_held(self, model: Model) -> bool:
        """Whether it runs apart, or not at all: the long way knows what to do."""
        isolated = self._application.isolated
        return bool(isolated and isolated.held(model.version))

    def _endpoint_of(self, head: Head) -> str | None:
        """None where its headers name none, or a version too: the long way says why, or which."""
        if head.names_itself:
            return head.places["endpoint"]
        asking = Request("POST", head.path, "", head.headers, {})
        if head.route.place(asking) is not None or asking.named_version is not None:
            return None
        return asking.places["endpoint"]

    def _waits(self, endpoint: str, model: Model, size: int) -> bool:
        """Whether such a request would stand in the queue."""
        return not model.runs_inline(size, self._bounds) and not self._response_cache.are_likely(endpoint, model, size)

    def _is_pressed(self, *, whole: bool) -> bool:
        """Whether there is anything to look for: an idle machine lets in the first of a turn unseen."""
        if self._executor.batcher.is_pressed or self._has_one:
            return True
        if whole:
            self._has_one = True
            asyncio.get_running_loop().call_soon(self._end_turn)
        return False

    def _end_turn(self) -> None:
        self._has_one = False
