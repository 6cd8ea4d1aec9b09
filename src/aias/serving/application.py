"""The application: checks the caller, finds the route, reads the body, has it answered, and counts."""

import os
import time
from collections.abc import Callable, Iterable, MutableMapping
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any

from aias.core.errors import AiasError
from aias.core.events import Watch, nobody
from aias.runtimes.contract import Answers
from aias.serving.admission.access_control import AccessControl
from aias.serving.admission.early_refusals import EarlyRefusals
from aias.serving.admission.idempotency import take_name
from aias.serving.admission.loop_lag import LoopLag
from aias.serving.admission.quotas import pay_together
from aias.serving.admission.repeated_refusals import RepeatedRefusals
from aias.serving.admission.urgency import DEADLINE, PRIORITY, read_urgency
from aias.serving.batching.executor import Executor
from aias.serving.batching.on_loop import OnLoop
from aias.serving.batching.response_cache import ResponseCache
from aias.serving.batching.threads import Threads, size_of
from aias.serving.batching.together import Deliver, Together, Waiting
from aias.serving.bounds import Bounds
from aias.serving.connections.last_words import LastWords
from aias.serving.connections.transport import Headers, Repeated
from aias.serving.http.bodies import Bodies, ClientGone, Receive, encoding_of, gone
from aias.serving.http.conversations import reply_of, told
from aias.serving.http.headers import given_id, read_headers
from aias.serving.http.heads import Head, Heads
from aias.serving.http.lengths import ELSEWHERE, LONG, MANY, Lengths, runs_inline
from aias.serving.http.messages import FILES, Reply, Request, is_table
from aias.serving.http.responses import PACK_BYTES_MIN, Send, packed_reply, response_of, send_reply
from aias.serving.http.routes import Envelope, Envelopes, Route, RouteTable
from aias.serving.observability.metrics import Metrics
from aias.serving.observability.recording import Recording
from aias.serving.processes.garbage import forget_frames
from aias.serving.refusals import BadKey, Overloaded, Refusal, for_caller, status_of, too_late, wrong_method
from aias.serving.rollout.blame import blame, refuse
from aias.serving.survival.isolated_versions import IsolatedVersions
from aias.serving.survival.journal import Runs, Slot
from aias.serving.versions.catching_up import CatchingUp
from aias.serving.versions.fetching import Fetching
from aias.serving.versions.router import Router

if TYPE_CHECKING:
    from aias.serving.observability.spans import Spans


class Application:
    """An ASGI application. `envelopes`: how each prefix tells of faults; "" is for the rest."""

    def __init__(
        self,
        routes: Iterable[Route],
        *,
        router: Router,
        access: AccessControl,
        metrics: Metrics,
        bounds: Bounds,
        envelopes: dict[str, Envelope],
        executor: Executor,
        watch: Watch = nobody,
        runs: Runs | None = None,
        spans: "Spans | None" = None,
    ) -> None:
        self.table = RouteTable(routes)
        self.heads = Heads(self.table, read_headers, is_table, access.check_caller)
        metrics.quotas, metrics.shared_quotas = access.used, access.used_by_tenants
        self._router, self._access, self._metrics, self._bounds = router, access, metrics, bounds
        self._envelopes = Envelopes(envelopes)
        self._bodies, self._repeated, self.response_cache = Bodies(bounds), Repeated(), ResponseCache(bounds, metrics)
        self.observing, self.executor, self._lag = Recording(metrics, spans=spans), executor, LoopLag()
        self._loop = OnLoop(runs, metrics=metrics, watch=watch, bounds=bounds)
        self.newcomer = self._loop.newcomer
        self._lengths = Lengths(bounds, self.response_cache, self._loop)
        self.together = Together(runs, pay_together, self._turn_away, took=self._loop.took, finish=self._finish)
        self._threads, self.fetching = Threads(executor, bounds, self._bodies), Fetching(router.bring, bounds)
        self.catching_up = CatchingUp(router.look)
        self.look = EarlyRefusals(
            self, router=router, access=access, executor=executor, on_loop=self._loop, bounds=bounds,
            response_cache=self.response_cache, lengths=self._lengths, let_in=access.let_in,
        ).look  # fmt: skip
        self.isolated: IsolatedVersions | None = None
        self._ids = map(f"{os.urandom(6).hex()}-{{:x}}".format, count())
        self.repeated_refusals = RepeatedRefusals(self.observing, partial(next, self._ids))
        self.last_words = LastWords(self.observing, self._envelopes, partial(next, self._ids))

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request = Request(scope["method"], scope["raw_path"].decode("latin-1"), next(self._ids), {}, {})
        request.slot, request.coming = scope.get("slot"), scope.get("coming")
        request.death = None if request.slot is None else request.slot.take_death()
        request.dawdled_seconds = scope.get("dawdled", 0.0)
        if (came_at := scope.get("came_at")) is not None:
            request.late_seconds = max(0.0, time.monotonic() - came_at)
        try:
            request.headers = read_headers(scope["headers"])
            request.id = given_id(request.headers) or scope.get("id", request.id)
            scope["id"] = request.id
            self.observing.begin(request, scope.get("rpc", ""))
            reply = await self._answer(request, receive)
        except ClientGone as fault:
            # A task that has failed is held by the frame that waited for it, and that by the fault.
            forget_frames(fault)
            self.observing.gone(request, time.perf_counter() - started, scope.get("cut"))
            return
        except Exception as fault:  # noqa: BLE001  a caller always gets an answer, and never sees our insides
            reply = self._refusal(fault, request)
        finally:
            self.executor.withdraw(request)
            blame(request, self._router)
        await send_reply(request, reply, receive, send)
        self._note(request, reply, time.perf_counter() - started)

    def at_once(
        self, head: Head, body: bytes, more: Headers, slot: Slot | None = None, deliver: Deliver | None = None,
        has_gone: Callable[[], bool] = lambda: False,
    ) -> bytes | None:  # fmt: skip
        """The whole response to a request that has nothing to wait for, with the headers `more`; None when it has.

        Then nothing has been done for it yet. A task and its futures cost several times what a tiny model does. Where
        the caller can take it later, no bytes may be all there is: then `deliver` is given them in this turn of the
        loop still, as the request is answered `together` with others, or later, in its turn, if it has not gone.
        """
        if slot is not None and slot.death is not None:
            return None
        started = time.perf_counter()
        model = self._router.peek(head.places["endpoint"])
        if model is None:
            return None
        length = self._lengths.of(head, model, body)
        if length in (ELSEWHERE, MANY) or not model.tier.inline or body.startswith(FILES):
            return None
        if self.isolated and self.isolated.held(model.version):
            return None
        request = self.request(head, slot, body)
        try:
            if self.observing.traces:
                self.observing.begin(request)
            joins = deliver is not None and self.together.wants(model)
            soon = length is not LONG
            self._access.let_in(head.route, request, model, row_too=soon, later=joins and soon)
            if DEADLINE in request.headers or PRIORITY in request.headers:
                read_urgency(request)
            if length is LONG and self._loop.must_wait(request, len(body)):
                if deliver is None:
                    # The long way waits for its turn, and asks all of this again.
                    if request.charge is not None:
                        request.charge.cancel()
                    return None
                self._loop.later(head.route, request, partial(self._deliver, request, more, started, deliver), has_gone)
                return b""
            if not joins or deliver is None:
                reply = self._loop.inline(head.route, request)
            else:
                found = self._loop.asking(head.route, request)
                if not isinstance(found, Reply):
                    conversation, encoded = found
                    asked_at = time.perf_counter()
                    self.together.add(model, Waiting(request, conversation, encoded, started, asked_at, more, deliver))
                    return b""
                reply = found
        except Exception as fault:  # noqa: BLE001  as above
            return self.refused(head, request, fault, more=more, started=started)
        return self._response(request, reply, more, started)

    def _deliver(
        self, request: Request, more: Headers, started: float, deliver: Deliver, outcome: Reply | Exception
    ) -> None:
        """Answer a request that has waited for its turn on the loop; nobody, where its caller has not."""
        if isinstance(outcome, ClientGone):
            self.observing.gone(request, time.perf_counter() - started)
            if request.charge is not None:
                request.charge.settle()
            return deliver(b"")
        reply = self._refusal(outcome, request) if isinstance(outcome, Exception) else outcome
        return deliver(self._response(request, reply, more, started))

    def _finish(self, waiting: Waiting, answers: Answers | Exception, run_seconds: float) -> None:
        """Answer a request that has been run together with others."""
        request, came = waiting.request, time.perf_counter()
        try:
            reply = told(waiting.conversation, answers, request)
            if reply.pieces is not None:
                reply.body = b"".join(reply.pieces)
            if reply.phases is not None:
                reply.queue = max(0.0, came - waiting.asked_at - run_seconds)
        except Exception as fault:  # noqa: BLE001  as above
            reply = self._refusal(fault, request)
        waiting.deliver(self._response(request, reply, waiting.more, waiting.started))

    def _turn_away(self, waiting: Waiting, fault: Refusal) -> None:
        reply = self._refusal(fault, waiting.request)
        waiting.deliver(self._response(waiting.request, reply, waiting.more, waiting.started))

    def request(self, head: Head, slot: Slot | None, body: bytes = b"") -> Request:
        """Of a caller of whom only the head is known so far."""
        return Request("POST", head.path, head.id or next(self._ids), head.headers, head.places, body, slot=slot)

    def refused(
        self, head: Head, request: Request, fault: Exception, *, more: Headers, started: float, ends: bool = False
    ) -> bytes | None:
        """The whole response to a request that is turned away; whether with it the connection `ends`. None where the
        long way has to look first."""
        if isinstance(fault, BadKey) and fault.may_be_new:
            return None
        life = self.repeated_refusals.life(head, request, fault) if head.plain and not ends else 0.0
        if life and isinstance(fault, Overloaded):
            # Whoever comes again as soon as he is told shall not hear the same.
            fault.come_again(max(life, fault.retry_seconds or 0.0))
        reply = self._refusal(fault, request)
        response = self._response(request, reply, more, started)
        if life:
            self.repeated_refusals.keep(head, request, reply, response, life)
        return response

    def _response(self, request: Request, reply: Reply, more: Headers, started: float) -> bytes:
        if len(reply.body) >= PACK_BYTES_MIN:
            # Many short rows, or of very many classes.
            packed_reply(reply, request)
        response = response_of(request, reply, more, self._repeated)
        self._note(request, reply, time.perf_counter() - started)
        return response

    def will_answer(self, head: Head) -> bool:
        """Whether a request with this head, from a caller who may ask, is answered at once when its body has come."""
        model, length = self._router.peek(head.places["endpoint"]), head.body_bytes
        if model is None or not head.plain or length is None or length > self._bounds.light_body_bytes:
            return False
        try:
            self._access.quotas.look(self._access.check_key(head.route, head.headers))
        except Exception:  # noqa: BLE001  the long way tells of it, whatever it is
            return False
        return model.runs_inline(length, self._bounds)

    def tidy(self) -> None:
        """What is done now and then: give up what is too late, forget what nobody can ask for again."""
        self.executor.expire()
        self._loop.expire()
        self.repeated_refusals.forget()
        versions = {version for _, version in (*self._router.loaded(), *self._router.stage.loaded())}
        self.response_cache.keep_only(versions)
        if self.isolated is not None:
            self.isolated.keep_only(versions)

    def close(self) -> None:
        self.fetching.close()
        self.catching_up.close()
        self.executor.close()
        self._access.quotas.close()
        self.observing.close()

    async def _answer(self, request: Request, receive: Receive) -> Reply:
        self._access.check_caller(request.headers)
        route = self._route(request)
        unplaced = route.place(request)
        model = self._router.known(endpoint := request.places.get("endpoint"))
        try:
            self._access.let_in(route, request, model)
        except BadKey as fault:
            if not fault.may_be_new:
                raise
            await self.catching_up.look()
            self._access.let_in(route, request, model)
        if unplaced is not None:
            raise unplaced
        if route.method == "POST" and (DEADLINE in request.headers or PRIORITY in request.headers):
            read_urgency(request)
        if request.death is not None:
            await refuse(request, request.death, self._router, bodies=self._bodies, receive=receive)
        if endpoint is not None and not await self._find(request, endpoint) and route.wakes:
            await self._fetch(request, endpoint)
        if route.method == "GET":
            return await self.executor.finished(reply_of(route.answer(request), request), request.payer)
        if request.model is not None:
            self._admit(request)
        if route.once:
            take_name(request)
        packed = encoding_of(request.headers) is not None
        await self._bodies.read(request, receive)
        try:
            if route.names_in_body:
                await self._find_named(route, request, receive, packed=packed)
                packed = False
            run = partial(self._run, route, request, receive, packed=packed)
            if request.split is not None and request.split.canaries:
                # What is on trial must be run to be judged; a shadow is shown what was run.
                return await request.split.rescued(request, run)
            if request.model is None or not self.response_cache.pay(request.model, len(request.body)):
                return await run()
            return await self.response_cache.answer(
                request, run, partial(gone, receive), follows=partial(self.executor.withdraw, request)
            )
        finally:
            self._bodies.drop(request)

    async def _run(self, route: Route, request: Request, receive: Receive, *, packed: bool) -> Reply:
        if self.isolated and request.model is not None:
            request.model = self.isolated.instead(request.model)
        if self._runs_inline(request, packed=packed):
            if self._loop.must_wait(request, len(request.body)):
                return packed_reply(await self._loop.in_turn(route, request, partial(gone, receive)), request)
            return packed_reply(self._loop.inline(route, request), request)
        return await self._threads.reply(route, request, partial(gone, receive), packed=packed)

    async def _find(self, request: Request, endpoint: str) -> bool:
        """Whether its model is in memory; and that, in the request."""
        if not self._router.knows(endpoint):
            await self.catching_up.look()
        request.model = self._router.find(endpoint)
        if request.model is None:
            if self.isolated:
                self.isolated.check(str(self._router.pointer(endpoint).ref))
            return False
        self._choose(request, endpoint)
        return True

    async def _fetch(self, request: Request, endpoint: str) -> None:
        """The model, when it is in memory."""
        request.model = await self.fetching.model(endpoint, request.deadline, payer=request.payer)
        self._choose(request, endpoint)

    def _choose(self, request: Request, endpoint: str) -> None:
        if (splits := self._router.stage.splits) and (split := splits.get(endpoint)) is not None:
            split.choose(request)
        if self.isolated:
            if request.split is not None and request.asked.version in self.isolated.quarantined:
                request.model = request.split.live
            # Also where only a description is wanted: whether it is ready asks just this.
            self.isolated.check(request.asked.version)

    def _admit(self, request: Request) -> None:
        """Refuse what comes too late already, as the loop is behind, or would wait too long: before its body is."""
        model, now = request.asked, time.monotonic()
        if request.deadline is not None and now > request.deadline:
            if request.dawdled_seconds:
                raise too_late()
            raise Overloaded("it would be answered after its deadline", retry_seconds=request.late_seconds)
        if request.coming is not None and request.coming.flow is model.flow:
            # It was asked by its head.
            return
        self._lag.check(request.late_seconds, model.flow.objective_seconds, now)
        length = int(request.headers.get(b"content-length", b"0"))
        is_light = length <= self._bounds.light_body_bytes
        if is_light and self.response_cache.are_likely(request.places["endpoint"], model, length):
            return
        if not model.runs_inline(length, self._bounds):
            self.executor.check(request, model.units_of(length))
        elif self._loop.is_pressed(model, length):
            self._loop.check(request, length)

    def _route(self, request: Request) -> Route:
        found = self.table.find(request.path)
        if found is None:
            raise self.table.elsewhere(request.path)
        if (route := found.route(request.method)) is None:
            raise wrong_method(found.methods)
        request.places = found.places
        return route

    async def _find_named(self, route: Route, request: Request, receive: Receive, *, packed: bool) -> None:
        """The model that the body names; what is large is unpacked and read in a thread."""
        assert route.names is not None
        names = route.names

        def name() -> str:
            self._threads.unpack(request, packed=packed)
            return names(request)

        light = not packed and len(request.body) <= self._bounds.light_body_bytes
        size = size_of(request, packed=packed)
        in_thread = partial(self.executor.named, request, name, partial(gone, receive), body_bytes=size)
        endpoint = name() if light else await in_thread()
        self._bodies.unpacked(request)
        request.places = {"endpoint": endpoint}
        if not await self._find(request, endpoint):
            await self._fetch(request, endpoint)

    def _runs_inline(self, request: Request, *, packed: bool) -> bool:
        if packed or request.model is None or is_table(request.headers, request.body):
            return False
        return runs_inline(request, request.model, self._bounds)

    def _refusal(self, raised: Exception, request: Request) -> Reply:
        fault = for_caller(raised) or AiasError("the server failed to answer", hint="its log has more")
        status = status_of(fault if isinstance(fault, Refusal) else raised)
        if fault is not raised:
            self.observing.failed(request, raised)
        forget_frames(raised)
        self.observing.refused(request, fault.code)
        if status == 503 and request.charge is not None:
            request.charge.cancel()
        return Reply(self._envelopes.of(request.path)(fault, request.id), status, headers=getattr(fault, "headers", ()))

    def _note(self, request: Request, reply: Reply, seconds: float) -> None:
        self.observing.note(request, reply, seconds)
        if request.split is not None and request.method == "POST":
            request.split.note(request, reply)
