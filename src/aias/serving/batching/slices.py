"""A queue on the event loop itself, for requests that are too long for all of a turn to be answered in it.

    request ─ first of its turn, nobody waits ───────────────▶ answered at once
              └ would wait beyond its objective or deadline ──▶ refused at once
              └ queue ─▶ a slice ─ sockets ─▶ a slice ─ sockets ─▶ …

Between two slices the loop looks at its sockets: whoever comes new is heard, and refused if need be, within
milliseconds, however many wait. What takes less than its share of the objective never comes here: there are too few
connections for anybody to wait long. As in the batcher, next comes the payer that has had least, and of its own
requests the most urgent: a flood fills its own queue only.
"""

import asyncio
import math
import time
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final

from aias.serving.batching.demand import Demand, Queued
from aias.serving.batching.service_rate import ServiceRate
from aias.serving.batching.shares import Shares
from aias.serving.refusals import Overloaded

SLICE_SECONDS: Final = 0.002
"""At least; a poll between two slices costs a hundredth of it. Who comes new is heard after three turns."""

SLICE_SECONDS_MAX: Final = 0.02
"""However much the loop has worked: with 0.2 a crowd that had to be refused was heard after a second."""

SHARE: Final = 3.0
"""What slices are owed for each second that the loop works between them: three quarters of its work are for those that
were let in, however many come and have to be refused. By the clock a stall of the machine would be made four times as
long."""

TURNS_TO_HEAR: Final = 3
"""From when somebody is let in until the loop has a transport, has told its protocol, and reads what it asks."""

REFUSING_SECONDS: Final = 0.01
"""After a refusal, in which whoever comes is likely to be refused as well."""

CREDIT_SECONDS: Final = 0.3
"""So much slices may be owed before they get longer. A crowd that comes at once, each on a new connection that needs
three turns until it is heard, is heard out first: with long slices from the start it waited for a tenth of a second."""

Work = Callable[[], None]

_Entry = tuple[int, int, float, Work, float, Work]


class _Queue:
    """What one payer has waiting: a heap of priority, arrival, seconds, work, until when, and what is done where that
    is over; `seconds` of all, and by priority."""

    __slots__ = ("_by_priority", "heap", "seconds")

    def __init__(self) -> None:
        self.heap: list[_Entry] = []
        self.seconds = 0.0
        self._by_priority: dict[int, float] = {}

    def seconds_before(self, priority: int) -> float:
        """Of what one of this priority would wait for."""
        return sum(seconds for other, seconds in self._by_priority.items() if other <= priority)

    def add(self, priority: int, seconds: float) -> None:
        self.seconds += seconds
        self._by_priority[priority] = self._by_priority.get(priority, 0.0) + seconds


def soon(work: Work) -> None:
    """In the next turn of the loop."""
    asyncio.get_running_loop().call_soon(work)


class Slices:
    """`later` calls in the next turn; all on the loop's own thread, whose seconds of a processor `worked` tells. A
    slice lasts for so many `seconds`, and longer when slices are owed more than `CREDIT_SECONDS`: their `share` of what
    was worked between them. What it begins it ends.
    """

    def __init__(
        self, *, later: Callable[[Work], object] = soon, clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.thread_time, seconds: float = SLICE_SECONDS, share: float = SHARE,
    ) -> None:  # fmt: skip
        self._later, self._clock, self._worked, self._seconds, self._share = later, clock, worked, seconds, share
        self._owed = 0.0
        self._queues: dict[str, _Queue] = {}
        self._shares, self._serial, self._service_rate = Shares(), count(), ServiceRate(1)
        self._demand = Demand()
        self._has_begun = False
        self._worked_before: float | None = None
        self._unheard, self._refuses_until = 0, -math.inf

    def newcomer(self) -> None:
        """Somebody has been let in, whom the loop has not heard yet. While others are refused so will this one be, and
        is told first, as long as slices are owed no more than half of their credit."""
        self._unheard = TURNS_TO_HEAR

    @property
    def waiting(self) -> int:
        return sum(len(queue.heap) for queue in self._queues.values())

    @property
    def is_pressed(self) -> bool:
        """Whether anything waits."""
        return bool(self._queues)

    def begins(self) -> bool:
        """Whether who comes now is the first of its turn, and nobody waits: it need not either."""
        if self._has_begun:
            return False
        self._has_begun = True
        self._later(self._run)
        return True

    def check(self, seconds: float, *, payer: str, wait_max: float, deadline: float | None, priority: int = 1) -> None:
        """Refuse what would wait longer than that, or be answered after its deadline. Raises `Overloaded`."""
        wait = self._expected_wait(seconds, payer, priority)
        over, bound = wait - wait_max, "more waits than can be answered in time"
        if deadline is not None:
            over, bound = self._clock() + wait + seconds - deadline, "it would be answered after its deadline"
        if over > 0:
            self._refuses_until = self._clock() + REFUSING_SECONDS
            raise Overloaded(bound, retry_seconds=over)

    def add(
        self, seconds: float, work: Work, *, payer: str, priority: int, until: float = math.inf,
        over: Work = lambda: None,
    ) -> None:  # fmt: skip
        """Do some work, that should take so long, when it is its turn; `over` where that has not come `until` then.
        Neither may raise."""
        assert self._has_begun, "the first of a turn need not wait"
        queue = self._queues.get(payer)
        if queue is None:
            self._shares.enter(payer)
            queue = self._queues[payer] = _Queue()
        heappush(queue.heap, (priority, next(self._serial), seconds, work, until, over))
        queue.add(priority, seconds)
        self._demand.add(payer, seconds, self._clock())

    def expire(self) -> None:
        """Give up what has waited until its time was over, as others go first; to be called now and then."""
        now, late = self._clock(), list[_Entry]()
        for payer, queue in [*self._queues.items()]:
            if mine := [each for each in queue.heap if each[4] <= now]:
                late += mine
                queue.heap = [each for each in queue.heap if each[4] > now]
                heapify(queue.heap)
                for priority, _, seconds, *_rest in mine:
                    queue.add(priority, -seconds)
                if not queue.heap:
                    del self._queues[payer]
        for each in late:
            each[5]()

    def _expected_wait(self, seconds: float, payer: str, priority: int) -> float:
        """After its payer's own, but for what may wait longer, and as much of each other's."""
        mine = self._queues.get(payer)
        own = mine.seconds_before(priority) if mine else 0.0
        queued = Queued(own, own + seconds, own + self._shares.ahead(payer))
        waiting = {each: queue.seconds for each, queue in self._queues.items()}
        stretch = self._service_rate.seconds_for(1.0)
        return self._demand.wait(payer, queued, waiting, self._clock(), first=0.0, stretch=stretch)

    def _run(self) -> None:
        began = now = self._clock()
        self._service_rate.begins(began)
        worked = self._worked()
        if self._worked_before is not None:
            self._owed += self._share * (worked - self._worked_before)
        if self._unheard:
            self._unheard -= 1
            if self._queues and began < self._refuses_until and 2 * self._owed <= CREDIT_SECONDS:
                self._worked_before = worked
                self._later(self._run)
                return
        slice_seconds = min(self._seconds + max(0.0, self._owed - CREDIT_SECONDS), SLICE_SECONDS_MAX)
        while self._queues and now - began < slice_seconds:
            payer = min(self._queues, key=self._shares.had)
            seconds, work = self._next(payer)
            work()
            before, now = now, self._clock()
            self._shares.charge(payer, now - before)
            self._service_rate.ran(seconds, now)
        if self._queues:
            self._worked_before = self._worked()
            self._owed = max(0.0, self._owed - (self._worked_before - worked))
            self._later(self._run)
        else:
            self._has_begun, self._worked_before, self._owed = False, None, 0.0
            self._service_rate.idles()

    def _next(self, payer: str) -> tuple[float, Work]:
        self._shares.serve(payer)
        queue = self._queues[payer]
        priority, _, seconds, work, *_ = heappop(queue.heap)
        queue.add(priority, -seconds)
        if not queue.heap:
            del self._queues[payer]
        return seconds, work
