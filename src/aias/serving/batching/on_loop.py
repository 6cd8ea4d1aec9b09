"""What runs on the event loop itself: at once, when it is its turn there, or together with others.

first of a turn, or too short to matter ─▶ inline
else ─▶ would wait too long? 503 ─▶ slices ─▶ inline
a row that may have company ─▶ asking ─▶ `batching/together.py`
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial

from aias.core.events import Event, Watch
from aias.encoders.rows import Encoded
from aias.serving.batching.slices import Slices
from aias.serving.bounds import Bounds
from aias.serving.http.bodies import ClientGone
from aias.serving.http.conversations import answered, begun, reply_of, told
from aias.serving.http.messages import Conversation, Reply, Request
from aias.serving.http.routes import Route
from aias.serving.observability.metrics import Metrics
from aias.serving.refusals import too_late
from aias.serving.survival.journal import Runs
from aias.serving.versions.model import Model


class OnLoop:
    """`runs`: where it is written down what runs."""

    def __init__(self, runs: Runs | None, *, metrics: Metrics, watch: Watch, bounds: Bounds) -> None:
        self._runs, self._metrics, self._watch, self._bounds = runs, metrics, watch, bounds
        self._slices = Slices()
        self.newcomer = self._slices.newcomer

    def must_wait(self, request: Request, body_bytes: int) -> bool:
        """Whether a request that runs on the loop has to queue up there. Raises `Overloaded`."""
        if not self.is_long(request.asked, body_bytes) or self._slices.begins():
            return False
        self.check(request, body_bytes)
        return True

    def is_pressed(self, model: Model, body_bytes: int) -> bool:
        """Whether a request that runs here would have to queue up behind others."""
        return self._slices.is_pressed and self.is_long(model, body_bytes)

    def check(self, request: Request, body_bytes: int) -> None:
        """Refuse one that has to queue up for too long. Raises `Overloaded`."""
        model = request.asked
        self._slices.check(
            model.seconds_for(body_bytes), payer=request.payer, wait_max=model.flow.wait_seconds_max,
            deadline=request.deadline, priority=request.priority,
        )  # fmt: skip

    def expire(self) -> None:
        """Give up every request whose time is over; to be called now and then."""
        self._slices.expire()

    def is_long(self, model: Model, body_bytes: int) -> bool:
        """What takes less cannot make anybody wait too long, as there are only so many connections."""
        return model.seconds_for(body_bytes) * self._bounds.connections > model.flow.objective_seconds

    def later(
        self, route: Route, request: Request, done: Callable[[Reply | Exception], None],
        has_gone: Callable[[], bool] = lambda: False,
    ) -> None:  # fmt: skip
        """Run it when it is its turn, unless its caller has gone by then, or its time is over: `done` is told
        `ClientGone`, `TooLate`."""
        asked_at, until = time.perf_counter(), time.monotonic() + self._bounds.answer_seconds
        if request.deadline is not None:
            until = min(until, request.deadline)

        def work() -> None:
            waited = time.perf_counter() - asked_at
            try:
                if has_gone():
                    raise ClientGone  # noqa: TRY301  like any other fault of the run
                if time.monotonic() > until:
                    raise too_late()  # noqa: TRY301
                reply = self.inline(route, request)
            except Exception as fault:  # noqa: BLE001  whoever waits is told
                done(fault)
                return
            if reply.phases is not None:
                decode, run, encode = reply.phases
                reply.phases, reply.queue = (decode, waited + run, encode), waited
            done(reply)

        seconds = request.asked.seconds_for(len(request.body))
        self._slices.add(
            seconds, work, payer=request.payer, priority=request.priority, until=until, over=lambda: done(too_late())
        )

    async def in_turn(self, route: Route, request: Request, gone: Callable[[], Awaitable[None]]) -> Reply:
        """The same for a request that comes the long way; `gone` ends when its caller has hung up."""
        found: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def done(outcome: Reply | Exception) -> None:
            if found.done():
                return
            if isinstance(outcome, Exception):
                found.set_exception(outcome)
            else:
                found.set_result(outcome)

        leaving = asyncio.ensure_future(gone())
        self.later(route, request, done, leaving.done)
        try:
            return await found
        finally:
            leaving.cancel()

    def inline(self, route: Route, request: Request) -> Reply:
        """Its reply, now."""
        return self._run(request, lambda: reply_of(route.answer(request), request))

    def asking(self, route: Route, request: Request) -> Reply | tuple[Conversation, Encoded]:
        """A handler that has come to ask for one row, and that row; the reply, where it asks for anything else."""
        found = route.answer(request)
        ask = begun(found)
        if isinstance(ask, Reply):
            if request.charge is not None:
                # What is due, before it is answered rather than after.
                request.charge.rows(0)
            return ask
        conversation: Conversation = found  # type: ignore[assignment]  # else it would be a reply
        joins = request.asked.joins
        if ask.count != 1 or joins is None:
            return self._run(request, partial(answered, conversation, ask, request))
        if request.charge is not None:
            request.charge.row_later()
        try:
            return conversation, ask.encode(joins)
        except Exception as fault:  # noqa: BLE001  the handler says what it means for its callers
            return told(conversation, fault, request)

    def _run(self, request: Request, answer: Callable[[], Reply]) -> Reply:
        runs, model = self._runs, request.asked
        if runs is not None:
            runs.begin_on_loop(model.version, request.slot)
        try:
            reply = answer()
            if reply.pieces is not None:
                reply.body = b"".join(reply.pieces)
        finally:
            if runs is not None:
                runs.end_on_loop(request.slot)
        if reply.phases is not None:
            self.took(request, model, sum(reply.phases))
        return reply

    def took(self, request: Request, model: Model, seconds: float, batch_rows: int = 0) -> None:
        """Note what a run took, of one request or of several together."""
        if batch_rows:
            self._metrics.executed(request.places["endpoint"], model.version, batch_rows, seconds)
        if (away := model.tier.took(seconds)) is not None:
            endpoint = request.places["endpoint"]
            self._metrics.demotions[endpoint] += 1
            said = f"{model.version} held up the event loop; `{endpoint}` runs in threads for {away:.0f} s"
            self._watch(Event("serve.demoted", said, "warning", {"endpoint": endpoint, "seconds": away}))
