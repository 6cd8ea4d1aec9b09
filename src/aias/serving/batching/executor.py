"""The batcher's hands: threads that run what it starts, and callers that wait for it on the event loop.

loop     decode, encode ─▶ submit                                   reply ◀─ one wake-up for a whole batch
threads                     └─▶ join ─▶ graph ─▶ split ─────────────┘ and on with what is booked
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from aias.core.errors import AiasError
from aias.encoders.rows import Encoded
from aias.runtimes.contract import Answers, Joining
from aias.serving.batching.allowance import allowed
from aias.serving.batching.batcher import Batcher
from aias.serving.batching.steps import Step, Steps
from aias.serving.batching.tickets import Batch, Part, Ticket
from aias.serving.bounds import Bounds
from aias.serving.http.bodies import ClientGone
from aias.serving.http.messages import Reply, Request
from aias.serving.observability.metrics import Metrics
from aias.serving.refusals import Busy
from aias.serving.survival.journal import Runs

T = TypeVar("T")

CHANGES: Final = 4
"""Changes of endpoints and keys at a time: each may wait long, for a model to be loaded or other workers to follow."""

STUCK: Final = 100.0
"""Times what its like take, a run in a thread is taken not to end: it would keep all others from its place. It has as
long as one on the loop at least."""

READING: Final = {"json": 1.0, "csv": 8.0, "arrow": 8.0}
"""Times what as many bytes of JSON take, of a body of each form, until its like have been read here. Rather too long:
of a crowd that comes at once after a start, all that is let in is waited for. On five tables CSV took 1.3 to 5.7 times,
Arrow .2 to 1.2, and Parquet, which is packed, .9 to 6.1."""


class Rows(NamedTuple):
    """The work of a ticket that may run together with others of its flow."""

    runtime: Joining
    encoded: Encoded


class _Caller:
    """Who waits for a ticket, on the event loop."""

    __slots__ = ("future", "hung_up")

    def __init__(self, future: "asyncio.Future[list[Any]]") -> None:
        self.future, self.hung_up = future, False

    def deliver(self, _ticket: Ticket, outcome: list[Any] | Exception) -> None:
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
        else:
            self.future.set_result(outcome)

    async def leave(self, gone: Callable[[], Awaitable[None]]) -> None:
        """Wait no more once it has hung up."""
        await gone()
        self.hung_up = True
        self.future.cancel()

    @staticmethod
    def nobody(_ticket: Ticket, _outcome: list[Any] | Exception) -> None:
        """For a ticket that is only asked about."""


class BatchRunner:
    """A batcher and its `places` threads. `runs`: where it is written down what runs, should this process not live to
    tell."""

    def __init__(self, *, places: int, bounds: Bounds, metrics: Metrics, runs: Runs | None = None) -> None:
        self._metrics, self._told, self._most_seconds = metrics, runs, bounds.loop_seconds
        self._runs = ThreadPoolExecutor(places, "aias-run")
        self.batcher = Batcher(self._start, places=places, clock=time.monotonic, waiting_max=bounds.waiting_requests)

    def close(self) -> None:
        self._runs.shutdown(cancel_futures=True)

    def _start(self, batch: Batch) -> None:
        loop = asyncio.get_running_loop()
        self._runs.submit(self._run, batch, loop)

    def _finish(self, batch: Batch, results: list[Any], began_at: float, ended_at: float) -> None:
        counts, first = not any(isinstance(each, Exception) for each in results), batch.parts[0].ticket
        if counts and not first.whole:
            rows = batch.rows
            self._metrics.executed(first.endpoint, batch.flow.name, rows, ended_at - began_at)
            for part in batch.parts:
                part.ticket.batch_rows = part.ticket.batch_rows or rows
        self.batcher.finished(batch, results, counts=counts, began_at=began_at, ended_at=ended_at)

    def _run(self, batch: Batch, loop: asyncio.AbstractEventLoop) -> None:
        """In a thread, which then goes on with what is booked; one has as many places in the journal as there are."""
        told, place, expected = self._told, 0, batch.flow.cost.safely(batch.units)
        if told is not None:
            # Whose caller has gone meanwhile may have left its slot to another.
            slots = [part.ticket.slot for part in batch.parts if not part.ticket.over]
            place = told.begin(batch.flow.name, slots, most_seconds=max(self._most_seconds, STUCK * expected))
        began_at = time.monotonic()
        # What is apart runs one by one.
        with allowed(batch.parts[0].ticket.deadline, expected):
            results = run(batch.parts)
        ended_at = time.monotonic()
        if told is not None:
            told.end(place)
        # A server that ends has no loop any more, and nobody waits.
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._finish, batch, results, began_at, ended_at)


class Executor:
    """`places` runs at a time, and one of each version apart. `gone`, where a method takes it, ends when the caller has
    hung up."""

    def __init__(self, *, places: int, bounds: Bounds, metrics: Metrics, runs: Runs | None = None) -> None:
        self._bounds, self._metrics = bounds, metrics
        self._runner = BatchRunner(places=places, bounds=bounds, metrics=metrics, runs=runs)
        self._apart: dict[str, BatchRunner] = {}
        self.batcher = self._runner.batcher
        """Of what runs here."""
        self._steps, self._long_steps = Steps(places, "aias-step"), Steps(places, "aias-long")
        self._changes, self._arrow_steps = Steps(CHANGES, "aias-change"), Steps(places, "aias-arrow")
        self._stepping: Counter[str] = Counter()

    def check(self, request: Request, units: float) -> Ticket:
        """Refuse a request whose answer would come too late, before it is read. Raises `Overloaded`, `Busy`."""
        ticket = self._ticket(request, rows=1, units=units)
        self._batcher_of(ticket).check(ticket, time.monotonic(), late=request.late_seconds)
        return ticket

    def announce(self, request: Request, units: float) -> None:
        """Check it, and keep it a place while it is read: who comes later waits for it too. Raises as `check`."""
        self.withdraw(request)
        request.coming = self.check(request, units)
        self._batcher_of(request.coming).announce(request.coming)

    def withdraw(self, request: Request) -> bool:
        """It is not on its way any more; whether it was."""
        coming, request.coming = request.coming, None
        if coming is not None:
            self.give_back(coming)
        return coming is not None

    def give_back(self, coming: Ticket) -> None:
        """The place of a request that was announced."""
        self._batcher_of(coming).withdraw(coming)

    async def answer(
        self, request: Request, encoded: Encoded, gone: Callable[[], Awaitable[None]]
    ) -> tuple[Answers, float]:
        """The answers of the request's model to encoded rows, and the seconds that they waited for their turn."""
        model = request.asked
        assert model.joins is not None
        ticket = self._ticket(request, rows=encoded.rows, units=model.units_of(len(request.body), encoded))
        ticket.work, ticket.ends = Rows(model.joins, encoded), model.ends_of(encoded)
        found = await self._wait(request, ticket, gone)
        request.batch_rows = ticket.batch_rows
        return Answers.join(found), _waited(ticket)

    async def whole(
        self, request: Request, work: Callable[[], T], gone: Callable[[], Awaitable[None]]
    ) -> tuple[T, float]:
        """What `work` gives, run when it is the request's turn; and the seconds that it waited for that."""
        ticket = self._ticket(request, rows=1, units=request.asked.units_of(len(request.body)))
        ticket.work, ticket.whole = work, True
        [found] = await self._wait(request, ticket, gone)
        return found, _waited(ticket)

    async def step(
        self, work: Callable[[], T], *, body_bytes: int = 0, payer: str = "", changes: bool = False,
        first: bool = False, of_read: str = "", arrow: bool = False,
    ) -> T:  # fmt: skip
        """What `work` gives, in a thread, without waiting for a turn among runs: reading and writing what is not light.
        What is large, of so many bytes, waits behind its like only, and so does what `changes` something; and nobody
        behind all that another payer has waiting, or with an answer, which comes `first`, behind what is to be read.
        `of_read`: to a body that went through `read`, of this form. `arrow`: it waits for the process for Arrow, and
        nobody else for its thread. Raises `Busy`, where its payer has his share waiting."""
        pool = self._changes if changes else self._pool(body_bytes, arrow=arrow)
        with self._counted(payer):
            return await pool.run(work, payer, Step(first=first, form=of_read, of_read=bool(of_read)))

    async def named(
        self, request: Request, work: Callable[[], T], gone: Callable[[], Awaitable[None]], *, body_bytes: int
    ) -> T:
        """The same of a body that names its model, so that nobody knows yet what it takes: given up at its deadline, it
        leaves the queue with its caller. Raises `TooLate`, `ClientGone` too."""
        step = Step(until=self._until(request), priority=request.priority)
        with self._counted(request.payer):
            return await self._pool(body_bytes).run(work, request.payer, step, gone)

    async def read(
        self, request: Request, work: Callable[[], T], gone: Callable[[], Awaitable[None]], *, body_bytes: int
    ) -> T:
        """The same of a request's body, of so many bytes. Refused where it would wait too long, or beyond its deadline;
        leaves the queue with its caller. Raises `Overloaded`, `TooLate`, `ClientGone` too."""
        model, form, pool = request.asked, request.form, self._pool(body_bytes, arrow=request.asks_arrow)
        seconds = READING[form] * model.seconds_to_read_bytes(body_bytes)
        pool.check(
            request.payer, seconds, wait_max=model.flow.wait_seconds_max, deadline=request.deadline,
            priority=request.priority, form=form,
        )  # fmt: skip
        step = Step(seconds, self._until(request), request.priority, form)
        with self._counted(request.payer):
            return await pool.run(work, request.payer, step, gone)

    async def finished(self, reply: Reply, payer: str = "") -> Reply:
        """With the body that a thread makes `later`."""
        if reply.later is not None:
            reply.body = await self.step(reply.later, payer=payer)
        return reply

    @property
    def is_running(self) -> bool:
        """Whether a model runs, here or apart, or a thread reads, writes or changes something."""
        pools = (self._steps, self._long_steps, self._arrow_steps, self._changes)
        return (
            self.batcher.running > 0 or any(each.is_running for each in pools)
            or any(each.batcher.running for each in self._apart.values())
        )  # fmt: skip

    def expire(self) -> None:
        """Give up every request whose time is over; to be called now and then."""
        for each in (self._steps, self._long_steps, self._arrow_steps):
            each.expire()
        for runner in (self._runner, *self._apart.values()):
            runner.batcher.expire()

    def close(self) -> None:
        for runner in (self._runner, *self._apart.values()):
            runner.close()
        for each in (self._steps, self._long_steps, self._arrow_steps, self._changes):
            each.close()

    def _until(self, request: Request) -> float:
        until = time.monotonic() + self._bounds.answer_seconds
        return until if request.deadline is None else min(until, request.deadline)

    def _pool(self, body_bytes: int, *, arrow: bool = False) -> Steps:
        if arrow:
            return self._arrow_steps
        return self._long_steps if body_bytes > self._bounds.large_body_bytes else self._steps

    @contextlib.contextmanager
    def _counted(self, payer: str) -> Iterator[None]:
        """Among what its payer has waiting."""
        stepping = self._stepping
        if stepping[payer] >= max(1, self._bounds.waiting_requests // len({*stepping, payer})):
            raise Busy("too many requests are waiting", hint="try again in a moment")
        stepping[payer] += 1
        try:
            yield
        finally:
            stepping[payer] -= 1
            if not stepping[payer]:
                del stepping[payer]

    def _batcher_of(self, ticket: Ticket) -> Batcher:
        """What runs apart waits for its like only: a run there that hangs is no neighbour's business. Nor is it noted
        for who would look into the end of this process."""
        if not ticket.flow.apart:
            return self.batcher
        runner = self._apart.get(ticket.flow.name)
        if runner is None:
            runner = self._apart[ticket.flow.name] = BatchRunner(places=1, bounds=self._bounds, metrics=self._metrics)
        return runner.batcher

    def _ticket(self, request: Request, *, rows: int, units: float) -> Ticket:
        return Ticket(
            request.asked.flow, request.payer, rows, _Caller.nobody, units=units, priority=request.priority,
            deadline=request.deadline, until=time.monotonic() + self._bounds.answer_seconds, slot=request.slot,
            endpoint=request.places.get("endpoint", ""), request_id=request.id,
        )  # fmt: skip

    async def _wait(self, request: Request, ticket: Ticket, gone: Callable[[], Awaitable[None]]) -> list[Any]:
        loop = asyncio.get_running_loop()
        caller = _Caller(loop.create_future())
        ticket.deliver = caller.deliver
        batcher = self._batcher_of(ticket)
        batcher.submit(ticket, let_in=self.withdraw(request))
        watcher = None
        if ticket.taken < ticket.rows:
            # Or some of it does not run yet: of what is large, the parts to come.
            watcher = loop.create_task(caller.leave(gone))
        try:
            found: list[Any] = await caller.future
        except asyncio.CancelledError:
            # Whether its caller hung up or the server ends: nobody is there to be answered.
            batcher.cancel(ticket)
            if caller.hung_up:
                raise ClientGone from None
            raise
        finally:
            if watcher is not None:
                watcher.cancel()
        return found


def run(parts: list[Part]) -> list[Any]:
    """What each part gives, or the fault of its own."""
    if parts[0].ticket.whole:
        return [_attempt(parts[0].ticket.work)]
    if len(parts) > 1:
        # Whose fault it is, if it fails, shows when each runs alone.
        with contextlib.suppress(Exception):
            return _together(parts)
    return [_attempt(partial(_alone, part)) for part in parts]


def _alone(part: Part) -> Answers:
    return _together([part])[0]


def _together(parts: list[Part]) -> list[Answers]:
    runtime = parts[0].ticket.work.runtime
    pieces = [_piece(part) for part in parts]
    answers = runtime.answer(pieces[0] if len(pieces) == 1 else Encoded.join(pieces))
    rows = sum(piece.rows for piece in pieces)
    if answers.rows != rows:
        raise AiasError(f"the runtime gave {answers.rows} answers to {rows} rows")
    found, at = [], 0
    for piece in pieces:
        found.append(answers.part(at, at + piece.rows))
        at += piece.rows
    return found


def _piece(part: Part) -> Encoded:
    encoded: Encoded = part.ticket.work.encoded
    if part.stop - part.start == encoded.rows:
        return encoded
    return encoded.take(np.arange(part.start, part.stop))


def _attempt(work: Callable[[], Any]) -> Any:
    try:
        return work()
    except Exception as fault:  # noqa: BLE001  it goes to the caller whose work it was
        return fault


def _waited(ticket: Ticket) -> float:
    return (ticket.started_at or ticket.entered_at) - ticket.entered_at
