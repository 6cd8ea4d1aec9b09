"""Which rows run next, together with which others, and which requests are refused because they would wait too long.

    submit ─ too late? ─▶ tenants' queues ─ a place is free ─▶ batch ─▶ start … finished ─▶ deliver
             Overloaded                      (idle: at once)            the cost is learned, the cap moves
                                             or soon will be ─▶ batch, booked: begun by the machine itself

Decisions only: there is no thread, no clock and no event loop here. The caller passes `clock` and `start`, and calls
from one thread; so a test can drive it with a clock of its own.

- Work-conserving: a place is never free while a request waits. The caller may be busy when a run ends, as an event loop
  is during its turn. So as much is booked ahead as will run meanwhile, unless requests would miss a larger batch by it;
  the thread that runs batches takes the next one by itself.
- Fair: the tenant that has had least comes next (start-time fair queuing, Goyal 1996), with the flow (the model) that
  has had least; seconds of running are counted, not requests. Priorities order the requests of one tenant.
- A batch holds whole requests, up to the size beyond which a larger one saves hardly anything, and never more rows than
  the maximum. A long request runs in parts, with others in between.
"""

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count, islice
from typing import Any, Final, Protocol

from aias.serving.batching.demand import Demand, Queued
from aias.serving.batching.queues import Queue
from aias.serving.batching.service_rate import ServiceRate
from aias.serving.batching.shares import Shares
from aias.serving.batching.tickets import Batch, Flow, Part, Ticket
from aias.serving.refusals import Busy, Overloaded, too_late

AHEAD_SECONDS_MAX: Final = 0.05
"""Work booked ahead on a place. Later requests come after it, whatever their priority."""

_FADES: Final = 0.9
"""Decay of the longest absence of the caller with each run, so that the longest of about twenty runs counts."""


class Starter(Protocol):
    def __call__(self, batch: Batch) -> None:
        """Run it; then, from the same thread that calls the batcher, call `finished`."""


class Batcher:
    """At most `places` batches of all flows run at a time; more may be started, in the order in which they will run."""

    def __init__(self, start: Starter, *, places: int, clock: Callable[[], float], waiting_max: int) -> None:
        self._start, self._clock = start, clock
        self._places, self._waiting_max = places, waiting_max
        self._started: dict[Batch, None] = {}
        self._away_seconds = 0.0
        self._service_rate = ServiceRate(places)
        self._queues: dict[str, Queue] = {}
        self._open: set[Ticket] = set()
        self._tenants, self._flows, self._demand = Shares(), Shares(), Demand()
        self._serial = count()

    @property
    def waiting(self) -> int:
        """Requests that have not begun, or only in part."""
        return sum(len(queue.held) for queue in self._queues.values())

    @property
    def running(self) -> int:
        return min(self._places, len(self._started))

    # What callers do

    @property
    def is_pressed(self) -> bool:
        """Whether anything that comes now may have to wait."""
        return bool(self._queues) or len(self._started) >= self._places

    def announce(self, ticket: Ticket) -> None:
        """It is admitted, but not read yet: it counts as waiting until it is withdrawn."""
        self._queue_of(ticket).hold(ticket)

    def withdraw(self, ticket: Ticket) -> None:
        self._release(ticket)

    def submit(self, ticket: Ticket, *, let_in: bool = False) -> None:
        """Run it when it is its turn. Raises `Busy` and `Overloaded`, which say when to retry; not if it was `let_in`
        before."""
        now = ticket.entered_at = self._clock()
        if not let_in:
            self.check(ticket, now)
        queue = self._queue_of(ticket)
        if ticket.flow not in queue.flows:
            self._flows.enter(ticket.flow)
            queue.flows[ticket.flow] = []
        heappush(queue.flows[ticket.flow], (ticket.priority, next(self._serial), ticket))
        queue.hold(ticket)
        self._demand.add(ticket.tenant, ticket.estimate, now)
        self._open.add(ticket)
        self._dispatch()

    def check(self, ticket: Ticket, now: float, *, late: float = 0.0) -> None:
        """Refuse a request that would be answered after its deadline or, without one, that would wait longer than its
        share of the objective. `late`: seconds that it has waited already."""
        wait = self.expected_wait(ticket)
        if ticket.deadline is None:
            over, bound = late + wait - ticket.flow.wait_seconds_max, "the queue is longer than is of use to anybody"
        else:
            over = now + wait + ticket.flow.cost.safely(ticket.units) - ticket.deadline
            bound = "it would be answered after its deadline"
        if over > 0:
            raise Overloaded(bound, retry_seconds=over)
        # A tenant with many waiting keeps out no other tenant, nor its own more urgent requests.
        mine = self._queues.get(ticket.tenant)
        if mine and mine.count_before(ticket.priority) >= max(1, self._waiting_max // len(self._queues)):
            raise Busy("too many requests are waiting", hint="try again in a moment")

    def expected_wait(self, ticket: Ticket) -> float:
        """Until it starts, at the present rate: after its tenant's requests of no lower priority, and as much work of
        every other tenant, of what waits and what will come meanwhile."""
        if len(self._started) < self._places and not self._queues:
            return 0.0
        now, mine = self._clock(), self._queues.get(ticket.tenant)
        own = mine.seconds_before(ticket.priority) if mine else 0.0
        # Of a run that is overdue nothing is known, but that it may well take as long again.
        first = min((abs(batch.ends_at - now) for batch in islice(self._started, self._places)), default=0.0)
        queued = Queued(own, own + ticket.next_estimate, own + self._tenants.ahead(ticket.tenant))
        waiting = {tenant: queue.seconds for tenant, queue in self._queues.items()}
        stretch = self._service_rate.seconds_for(1.0)
        first += stretch * self._booked_seconds
        return self._demand.wait(ticket.tenant, queued, waiting, now, first=first, stretch=stretch)

    def cancel(self, ticket: Ticket) -> None:
        """Its caller has gone: what of it has not begun never will. Nothing is delivered."""
        self._end(ticket)
        self._dispatch()

    # What the machine does

    def finished(
        self, batch: Batch, results: list[Any], *, counts: bool = True, began_at: float | None = None,
        ended_at: float | None = None,
    ) -> None:  # fmt: skip
        """A batch is over: for each part what it gave, or its fault. `counts`: its time tells what runs cost. By the
        same clock: when it `began_at` and `ended_at`, where that is not as it was started, and now."""
        now = self._clock()
        ended_at = now if ended_at is None else ended_at
        self._away_seconds = max(now - ended_at, _FADES * self._away_seconds)
        del self._started[batch]
        began_at = batch.started_at if began_at is None else began_at
        self._service_rate.ran(ended_at - began_at, ended_at)
        if counts:
            batch.flow.learn(batch.units, ended_at - began_at)
        if len(self._started) >= self._places:
            # What was booked has begun in its place.
            next(islice(self._started, self._places - 1, None)).begins(ended_at)
        for part, result in zip(batch.parts, results, strict=True):
            self._take_in(part, result)
        self._dispatch()
        if len(self._started) < self._places:
            self._service_rate.idles()

    def expire(self) -> None:
        """Give up every request whose time is over; to be called now and then."""
        now = self._clock()
        for ticket in [each for each in self._open if each.until <= now]:
            self._fail(ticket, too_late())
        self._dispatch()

    # Inside

    def _queue_of(self, ticket: Ticket) -> Queue:
        queue = self._queues.get(ticket.tenant)
        if queue is None:
            self._tenants.enter(ticket.tenant)
            queue = self._queues[ticket.tenant] = Queue()
        return queue

    def _take_in(self, part: Part, result: Any) -> None:
        ticket = part.ticket
        if ticket.over:
            return
        if isinstance(result, Exception):
            self._fail(ticket, result)
            return
        ticket.given[part.start] = result
        ticket.left -= part.stop - part.start
        if not ticket.left:
            self._end(ticket)
            ticket.deliver(ticket, [ticket.given[start] for start in sorted(ticket.given)])

    def _fail(self, ticket: Ticket, fault: Exception) -> None:
        if not ticket.over:
            self._end(ticket)
            ticket.deliver(ticket, fault)

    def _end(self, ticket: Ticket) -> None:
        ticket.over = True
        self._open.discard(ticket)
        self._release(ticket)

    def _release(self, ticket: Ticket) -> None:
        """It waits no longer. Its place in the heap is cleared when it comes up, or when most of those there are."""
        queue = self._queues.get(ticket.tenant)
        if queue is None or not queue.let_go(ticket):
            return
        if not queue.held:
            del self._queues[ticket.tenant]
        elif ticket.over:
            queue.tidy(ticket.flow)

    def _dispatch(self) -> None:
        while self._queues:
            ahead = len(self._started) >= self._places
            if ahead and not self._may_book:
                break
            # One moment for both: whose time is over a little later is not chosen first and then left out.
            now = self._clock()
            flow = self._next_flow(now, ahead=ahead)
            if flow is None:
                return
            batch = self._form(flow, now)
            self._started[batch] = None
            self._start(batch)

    @property
    def _may_book(self) -> bool:
        """Whether what is booked would be over before the next run that ends is heard of."""
        if self._places == 1:
            # The one processor was not idle while nobody heard: it did what whoever calls is for.
            return False
        return self._booked_seconds < self._places * min(self._away_seconds, AHEAD_SECONDS_MAX)

    @property
    def _booked_seconds(self) -> float:
        if len(self._started) <= self._places:
            return 0.0
        return sum(each.flow.cost.seconds(each.units) for each in islice(self._started, self._places, None))

    def _next_flow(self, now: float, *, ahead: bool) -> Flow | None:
        """The flow to run now, or `ahead`; None where nobody waits, or should wait for company."""
        for tenant in sorted(self._queues, key=self._tenants.had):
            ready = [flow for flow in list(self._flows_of(tenant)) if self._head(tenant, flow, now) is not None]
            if not ready:
                continue
            chosen = min(ready, key=self._flows.had)
            if ahead and not self._is_enough(chosen):
                return None
            self._tenants.serve(tenant)
            self._flows.serve(chosen)
            return chosen
        return None

    def _is_enough(self, flow: Flow) -> bool:
        """Whether a run of what waits now would hardly gain from what may come until its place is free."""
        room = flow.together
        for queue in self._queues.values():
            for _, _, ticket in queue.flows.get(flow, ()):
                if not ticket.over:
                    room -= ticket.units_of(ticket.taken, ticket.rows)
                    if ticket.whole or room <= 0:
                        return True
        return False

    def _head(self, tenant: str, flow: Flow, now: float) -> Ticket | None:
        """The tenant's next ticket on a flow; those that are over or too late are cleared away on the way."""
        flows = self._flows_of(tenant)
        queue = flows.get(flow, [])
        while queue:
            ticket = queue[0][2]
            if ticket.over or ticket.taken == ticket.rows:
                heappop(queue)
            elif ticket.taken == 0 and ticket.until <= now:
                self._fail(ticket, too_late())
            else:
                return ticket
        flows.pop(flow, None)
        return None

    def _flows_of(self, tenant: str) -> "dict[Flow, list[tuple[int, int, Ticket]]]":
        queue = self._queues.get(tenant)
        return {} if queue is None else queue.flows

    def _form(self, flow: Flow, now: float) -> Batch:
        parts = list[Part]()
        rows_left, room, room_of_large = flow.rows_max, flow.together, flow.part
        passed: set[str] = set()
        aside: dict[str, list[tuple[int, int, Ticket]]] = {}
        while tenants := [each for each in self._queues if each not in passed and flow in self._flows_of(each)]:
            tenant = min(tenants, key=self._tenants.had)
            if not parts:
                aside[tenant] = self._set_aside(tenant, flow, now)
            ticket = self._head(tenant, flow, now)
            if ticket is None:
                # Of what is large as much as there is room for.
                large = aside.pop(tenant, [])
                self._put_back(tenant, flow, large)
                passed |= set() if large else {tenant}
                continue
            part = self._cut(ticket, rows_left, min(room, room_of_large) if ticket.is_large else room, first=not parts)
            if part is None:
                passed.add(tenant)
                continue
            self._take(part, now)
            parts.append(part)
            rows_left -= part.stop - part.start
            room -= part.units
            room_of_large -= part.units
            if ticket.whole or not rows_left or room <= 0:
                break
        for tenant, large in aside.items():
            self._put_back(tenant, flow, large)
        batch = Batch(flow, parts)
        batch.begins(now)
        self._flows.charge(flow, batch.ends_at - now)
        return batch

    def _cut(self, ticket: Ticket, rows_left: int, room: float, *, first: bool) -> Part | None:
        """What of a ticket goes into a batch with so much room; None when it should wait for the next."""
        flow, at, left = ticket.flow, ticket.taken, ticket.rows - ticket.taken
        if ticket.whole:
            return Part(ticket, 0, ticket.rows) if first else None
        if first:
            stop = max(at + 1, ticket.reach(at, flow.part))
        elif ticket.units_of(at, ticket.rows) <= room:
            stop = ticket.rows
        elif ticket.is_large:
            # What has to run in parts anyway fills up what others leave.
            stop = ticket.reach(at, room)
        else:
            return None
        size = min(stop - at, rows_left, left)
        stays_whole = not first and not ticket.is_large
        return None if size < 1 or (stays_whole and size < left) else Part(ticket, at, at + size)

    def _set_aside(self, tenant: str, flow: Flow, now: float) -> list[tuple[int, int, Ticket]]:
        """After a part of what is large, what else is large and stands before the first that is not: that goes first.
        Nothing loses its place by it: sent behind all that had come, of many only one had a part in each round."""
        large = list[tuple[int, int, Ticket]]()
        if flow not in self._queues[tenant].was_large:
            return large
        ticket = first = self._head(tenant, flow, now)
        while ticket and first and ticket.is_large and ticket.priority == first.priority:
            large.append(heappop(self._queues[tenant].flows[flow]))
            ticket = self._head(tenant, flow, now)
        if first and (ticket is None or ticket.priority != first.priority):
            self._put_back(tenant, flow, large)
            return []
        return large

    def _put_back(self, tenant: str, flow: Flow, large: list[tuple[int, int, Ticket]]) -> None:
        if large:
            queue = self._queues[tenant].flows.setdefault(flow, [])
            for each in large:
                heappush(queue, each)

    def _take(self, part: Part, now: float) -> None:
        ticket, queue = part.ticket, self._queues[part.ticket.tenant]
        before = ticket.estimate
        ticket.taken = part.stop
        if ticket.is_large:
            queue.was_large.add(ticket.flow)
        else:
            queue.was_large.discard(ticket.flow)
        if ticket.started_at is None:
            ticket.started_at = now
        self._tenants.charge(ticket.tenant, before - ticket.estimate)
        heap = queue.flows[ticket.flow]
        assert heap[0][2] is ticket
        heappop(heap)
        if ticket.taken == ticket.rows:
            self._release(ticket)
        else:
            # What is large goes to the end again after each part: its own tenant's small requests come in between too.
            heappush(heap, (ticket.priority, next(self._serial), ticket))
            queue.hold(ticket)
