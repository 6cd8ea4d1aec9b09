"""The response cache: requests that repeat are answered from memory, or together with one that is under way.

    key ─ in memory? ──hit──▶ the same answer
           └ under way? ──shared──▶ its answer, or what is wrong with them all; where it hangs up or is out of time
              │                     the next one runs, where it fails otherwise each of them
              └ run ──miss──▶ answered, and kept while there is room

What a request means is all that could change its answer: whose key asks (nobody is ever told what another asked), the
path, the version, the body, and every header but those that are known to change nothing. It pays, or it is not done:
where looking up costs more than a fiftieth of the run that it could save, as measured for the version, requests never
come here. Answers of one version never change, so they are kept until the version is no longer loaded.
"""

import asyncio
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable
from copy import copy
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b
from itertools import chain
from timeit import repeat
from typing import Final

import msgspec

from aias.core.errors import AiasError
from aias.serving.bounds import Bounds
from aias.serving.http.bodies import ClientGone
from aias.serving.http.messages import Reply, Request
from aias.serving.observability.metrics import Metrics
from aias.serving.refusals import TooLate, status_of
from aias.serving.versions.model import Model

_ENTRY_BYTES: Final = 1_024
"""Of an answer, beside its body."""

_SHARE_MAX: Final = 16
"""No answer takes more than this part of the room."""

_MEANINGLESS: Final = frozenset(
    (
        *(b"authorization", b"host", b"user-agent", b"connection", b"content-length", b"date", b"origin", b"referer"),
        *(b"x-request-id", b"x-deadline-ms", b"x-priority", b"traceparent", b"tracestate", b"cache-control"),
        *(b"expect", b"cookie", b"accept-language", b"priority", b"te", b"keep-alive", b"dnt"),
        # What proxies add, of which some is another for each request.
        *(b"forwarded", b"via", b"x-real-ip", b"x-client-ip", b"true-client-ip", b"cdn-loop", b"x-request-start"),
        *(b"x-amzn-trace-id", b"x-cloud-trace-context", b"x-correlation-id", b"b3", b"baggage", b"uber-trace-id"),
        *(b"sentry-trace", b"newrelic", b"x-amz-cf-id", b"x-scheme"),
    )
)
_MEANINGLESS_BEGINNINGS: Final = (
    *(b"sec-", b"x-forwarded-", b"x-envoy-", b"x-b3-", b"x-datadog-", b"x-stainless-", b"cf-", b"fastly-", b"x-azure-"),
)
"""Of the same kinds: of browsers, proxies, traces, and OpenAI's clients about themselves."""

_SMALL, _LARGE = 1_000, 65_000

Gone = Callable[[], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Kept:
    reply: Reply
    version: str
    at: float
    size: int


_OF_THE_BODY: Final = frozenset((400, 406, 413, 415, 422))
"""What is wrong with a request so is wrong with every equal one."""

Otherwise = Enum("Otherwise", ("NEXT", "EACH"))
NEXT, EACH = Otherwise
"""Who of those that wait runs, as there is nothing to share: the next one where it was their first that did not wait
for its answer, else each, or they would fail one after another."""


@dataclass(eq=False, slots=True)
class _Flight:
    """A request under way; its future is the reply, or what is wrong with every equal request."""

    priority: int
    future: "asyncio.Future[Reply | AiasError | Otherwise]"


_LIKELY: Final = 0.1
"""Answers without a run for each with one, from which on a body is read though its run would be refused."""


class ResponseCache:
    """For the event loop's own thread. `clock` counts seconds."""

    def __init__(self, bounds: Bounds, metrics: Metrics, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._bounds, self._metrics, self._clock = bounds, metrics, clock
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._flights: dict[bytes, _Flight] = {}
        self._versions: Counter[str] = Counter()
        self.held_bytes = 0
        self._per_request, self._per_byte = _look_up_seconds()

    def pay(self, model: Model, body_bytes: int) -> bool:
        """Whether a repetition of such a request would save far more than it costs to look for it."""
        if not self._bounds.cache_bytes or body_bytes > self._bounds.cache_body_bytes:
            return False
        look_up = self._per_request + self._per_byte * body_bytes
        return model.seconds_for(body_bytes) >= self._bounds.cache_runs_min * look_up

    def are_likely(self, endpoint: str, model: Model, body_bytes: int) -> bool:
        """Whether so many requests are answered without a run that no more should be refused unread."""
        if not self.pay(model, body_bytes):
            return False
        metrics = self._metrics
        without = metrics.cache_hits[endpoint] + metrics.cache_shared[endpoint]
        return without >= _LIKELY * metrics.cache_misses[endpoint]

    async def answer(
        self, request: Request, run: Callable[[], Awaitable[Reply]], gone: Gone,
        follows: Callable[[], object] = lambda: None,
    ) -> Reply:  # fmt: skip
        """The reply to a request that `pay`s; `follows` is told when it waits for another's. Raises what `run` raises,
        `TooLate`, `ClientGone`."""
        wish = _wish(request.headers.get(b"cache-control", b""))
        if wish is None:
            return await run()
        key, alone = _key(request), False
        while True:
            if (found := self._kept.get(key)) is not None and self._clock() - found.at <= wish:
                self._kept.move_to_end(key)
                return self._again(found.reply, request, "hit", self._clock() - found.at)
            flight = self._flights.get(key)
            # Who is in no hurry must not hold up who is; and who wants a fresh run gets one.
            if flight is None or flight.priority > request.priority or wish <= 0 or alone:
                return await self._run(key, request, run)
            follows()
            outcome = await self._follow(flight, request, gone)
            if isinstance(outcome, Reply):
                return self._again(outcome, request, "shared", 0.0)
            if isinstance(outcome, AiasError):
                raise outcome
            alone = outcome is EACH

    def keep_only(self, versions: Collection[str]) -> None:
        """Forget the answers of versions that are no longer loaded."""
        if not self._versions.keys() <= set(versions):
            for key in [key for key, kept in self._kept.items() if kept.version not in versions]:
                self._drop(key)

    async def _run(self, key: bytes, request: Request, run: Callable[[], Awaitable[Reply]]) -> Reply:
        flight = _Flight(request.priority, asyncio.get_running_loop().create_future())
        known = self._flights.get(key)
        if known is None or flight.priority < known.priority:
            # Whoever comes now shares the more urgent run.
            self._flights[key] = flight
        outcome: Reply | AiasError | Otherwise = NEXT
        try:
            reply = await run()
            outcome = EACH
            if reply.status == 200 and reply.stream is None:
                outcome = copy(reply)
                self._keep(key, outcome, request.asked.version)
        except (ClientGone, TooLate):
            raise
        except Exception as fault:
            outcome = fault if isinstance(fault, AiasError) and status_of(fault) in _OF_THE_BODY else EACH
            raise
        finally:
            flight.future.set_result(outcome)
            if self._flights.get(key) is flight:
                del self._flights[key]
        self._metrics.cache_misses[request.places["endpoint"]] += 1
        reply.headers += ((b"x-cache", b"miss"),)
        return reply

    async def _follow(self, flight: _Flight, request: Request, gone: Gone) -> Reply | AiasError | Otherwise:
        now = time.monotonic()
        until = now + self._bounds.answer_seconds if request.deadline is None else request.deadline
        leaving = asyncio.ensure_future(gone())
        try:
            # A cancelled wait leaves what it waits for alone.
            await asyncio.wait((flight.future, leaving), timeout=until - now, return_when=asyncio.FIRST_COMPLETED)
            if flight.future.done():
                return flight.future.result()
            if leaving.done():
                raise ClientGone
            raise TooLate("the answer would have come after its deadline", hint="allow more time")
        finally:
            leaving.cancel()

    def _again(self, reply: Reply, request: Request, how: str, age: float) -> Reply:
        if request.charge is not None:
            request.charge.rows(reply.rows)
        endpoint = request.places["endpoint"]
        counts = self._metrics.cache_hits if how == "hit" else self._metrics.cache_shared
        counts[endpoint] += 1
        self._metrics.repeated(endpoint, request.asked.version, reply.rows)
        headers = (*reply.headers, (b"x-cache", how.encode()), (b"age", b"%d" % age))
        return msgspec.structs.replace(reply, headers=headers, phases=None, queue=None, repeated=True)

    def _keep(self, key: bytes, reply: Reply, version: str) -> None:
        size = len(reply.body) + _ENTRY_BYTES
        if size * _SHARE_MAX > self._bounds.cache_bytes:
            return
        self._drop(key)
        self._kept[key] = _Kept(reply, version, self._clock(), size)
        self.held_bytes += size
        self._versions[version] += 1
        while self.held_bytes > self._bounds.cache_bytes:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self.held_bytes -= kept.size
            self._versions[kept.version] -= 1
            if not self._versions[kept.version]:
                del self._versions[kept.version]


def _key(request: Request) -> bytes:
    """Everything that could change the answer."""
    headers = sorted(
        pair for pair in request.headers.items()
        if pair[0] not in _MEANINGLESS and not pair[0].startswith(_MEANINGLESS_BEGINNINGS)
    )  # fmt: skip
    return _digest(
        (request.tenant.encode(), request.path.encode(), request.asked.version.encode()), headers, request.body
    )


def _digest(named: Iterable[bytes], headers: Iterable[tuple[bytes, bytes]], body: bytes) -> bytes:
    """Each part with its length, so that no two requests read alike."""
    found = blake2b(digest_size=32)
    for part in (*named, *chain.from_iterable(headers), body):
        found.update(len(part).to_bytes(8, "little"))
        found.update(part)
    return found.digest()


def _wish(control: bytes) -> float | None:
    """How old an answer may be, in seconds; None when it must neither be kept nor come from what was kept."""
    if not control:
        return math.inf
    oldest = math.inf
    for each in control.lower().split(b","):
        name, _, value = each.strip().partition(b"=")
        if name == b"no-store":
            return None
        if name == b"no-cache":
            oldest = -1.0
        elif name == b"max-age" and value.isdigit() and len(value) < 10:
            oldest = min(oldest, float(value))
    return oldest


def _look_up_seconds() -> tuple[float, float]:
    """What it costs to look up a request, and each byte of its body more: at best of a few, as runs are measured."""
    headers = [(b"content-type", b"application/json"), (b"accept", b"*/*"), (b"accept-encoding", b"gzip")]

    def of(size: int) -> float:
        body = bytes(size)
        return min(repeat(lambda: _digest((b"some key", b"/some/path", b"some@1"), headers, body), number=1, repeat=9))

    small, large = of(_SMALL), of(_LARGE)
    # As much again for reading the headers, and for keeping what was not there.
    return 2 * small, max(0.0, (large - small) / (_LARGE - _SMALL))
