"""Threads for what is read and written around runs, shared out as the runs are: by seconds, among those who wait.

body ─ would wait too long? Overloaded ─▶ its payer's queue ─ a thread is free: next comes who has had least
answer ─ first of all that waits there ─▶                     └▶ in a thread; what its caller has left is passed over
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Any, Final, TypeVar

from aias.serving.batching.shares import Shares
from aias.serving.batching.tickets import OBJECTIVE_RUNS_MIN
from aias.serving.http.bodies import ClientGone
from aias.serving.refusals import Overloaded, too_late

T = TypeVar("T")

_FORGET: Final = 0.9
"""Half of what is known of a step is forgotten seven steps later: another kind of body may take ten times as long."""

_LONGEST: Final = 4.0
"""Times what was expected, at most, that a step counts for: the first table of Arrow waits for its reader to start."""


@dataclass(eq=False, slots=True)
class Step:
    """`seconds`: what it should take, of a body; `until`: when it is given up, if it has not begun; `priority`: among
    its payer's own, 0 goes first; `first`: of an answer whose body has been read, before all of these; `of_read`: in
    such a thread, too. `work`: while somebody waits for it, as it holds the body."""

    seconds: float = 0.0
    until: float = math.inf
    priority: int = 1
    first: bool = False
    of_read: bool = False
    work: Callable[[], Any] | None = None
    is_begun: bool = False
    is_left: bool = False


_Waiting = tuple[Step, "asyncio.Future[Any]"]


@dataclass(eq=False, slots=True)
class _Queue:
    """What one payer has waiting: by rank, each in the order in which it came; and the seconds of all."""

    ranks: "dict[int, deque[_Waiting]]" = field(default_factory=dict)
    seconds: dict[int, float] = field(default_factory=dict)

    def __iter__(self) -> "Iterator[_Waiting]":
        return chain.from_iterable(self.ranks.values())

    def add(self, waiting: "_Waiting") -> None:
        rank = _rank(waiting[0])
        self.ranks.setdefault(rank, deque()).append(waiting)
        self.seconds[rank] = self.seconds.get(rank, 0.0) + waiting[0].seconds

    def next(self) -> "_Waiting":
        rank = min(self.ranks)
        found = self.ranks[rank].popleft()
        if not self.ranks[rank]:
            del self.ranks[rank]
        return found

    def let_go(self, step: Step) -> None:
        rank = _rank(step)
        self.seconds[rank], step.seconds, step.work = max(0.0, self.seconds[rank] - step.seconds), 0.0, None

    def seconds_before(self, priority: int) -> float:
        """Of what one of this priority would wait for."""
        return sum(seconds for rank, seconds in self.seconds.items() if rank <= priority)


def _rank(step: Step) -> int:
    return -1 if step.first else step.priority


class Steps:
    """For the event loop's own thread. `clock` counts seconds."""

    def __init__(self, threads: int, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool, self._threads, self._clock = ThreadPoolExecutor(threads, name), threads, clock
        self._free = threads
        self._queues: dict[str, _Queue] = {}
        self._shares = Shares()
        # What steps have taken, and what they should have.
        self._took = self._should = 0.0

    def check(
        self, payer: str, seconds: float, *, objective_seconds: float, deadline: float | None, priority: int = 1
    ) -> None:
        """Refuse what should take so long and would begin after its objective, or be over after its deadline. Raises
        `Overloaded`."""
        wait = self.expected_wait(payer, seconds, priority)
        bound = max(objective_seconds, OBJECTIVE_RUNS_MIN * seconds * self._stretch)
        over, why = wait - bound, "more waits to be read than is of use to anybody"
        if deadline is not None:
            over, why = self._clock() + wait + seconds - deadline, "it would be answered after its deadline"
        if wait and over > 0:
            raise Overloaded(why, retry_seconds=over)

    def expected_wait(self, payer: str, seconds: float, priority: int = 1) -> float:
        """Until it begins: after its payer's own of no lower priority, and as much of each other's."""
        if self._free and not self._queues:
            return 0.0
        mine = self._queues.get(payer)
        own = mine.seconds_before(priority) if mine else 0.0
        others = (sum(each.seconds.values()) for each in self._queues.values() if each is not mine)
        ahead = own + sum(min(own + seconds, each) for each in others)
        return ahead * self._stretch / self._threads

    async def run(
        self, work: Callable[[], T], payer: str, step: Step | None = None,
        gone: Callable[[], Awaitable[None]] | None = None,
    ) -> T:  # fmt: skip
        """What `work` gives, in a thread, when it is the turn of whoever pays. `gone` ends when its caller has hung up.
        Raises `TooLate`, `ClientGone`."""
        step, loop = step or Step(), asyncio.get_running_loop()
        found: asyncio.Future[T] = loop.create_future()
        queue = self._queues.get(payer)
        if queue is None:
            self._shares.enter(payer)
            queue = self._queues[payer] = _Queue()
        step.work = work
        queue.add((step, found))
        self._begin()
        watcher = None
        if gone is not None and not step.is_begun:
            watcher = loop.create_task(_leave(step, found, gone))
        try:
            return await found
        except asyncio.CancelledError:
            if step.is_left:
                raise ClientGone from None
            raise
        finally:
            # If it has not begun, its place is kept until it would be its turn.
            queue.let_go(step)
            if watcher is not None:
                watcher.cancel()

    def expire(self) -> None:
        """Give up what has waited until its time was over; to be called now and then."""
        now = self._clock()
        for queue in self._queues.values():
            for step, found in queue:
                if step.until <= now and not found.done():
                    found.set_exception(too_late())

    def close(self) -> None:
        self._queues.clear()
        self._pool.shutdown(cancel_futures=True)

    @property
    def _stretch(self) -> float:
        return self._took / self._should if self._should else 1.0

    def _begin(self) -> None:
        while self._free and self._queues:
            payer = min(self._queues, key=self._shares.had)
            queue = self._queues[payer]
            step, found = queue.next()
            if not queue.ranks:
                del self._queues[payer]
            seconds, work, now = step.seconds, step.work, self._clock()
            queue.let_go(step)
            if found.done():
                # Whoever waited for it has gone, or been told.
                continue
            if step.until <= now:
                found.set_exception(too_late())
                continue
            assert work is not None
            step.is_begun = True
            self._shares.serve(payer)
            self._free -= 1
            running = asyncio.get_running_loop().run_in_executor(self._pool, work)
            running.add_done_callback(partial(self._end, payer, now, found, seconds=seconds, of_read=step.of_read))

    def _end(
        self, payer: str, began: float, found: "asyncio.Future[Any]", ran: "asyncio.Future[Any]", *, seconds: float,
        of_read: bool,
    ) -> None:  # fmt: skip
        self._free += 1
        took = self._clock() - began
        self._shares.charge(payer, took)
        self._learn(took, seconds, of_read=of_read)
        if ran.cancelled():
            found.cancel()
        elif (fault := ran.exception()) is not None:
            if not found.done():
                found.set_exception(fault)
        elif not found.done():
            found.set_result(ran.result())
        self._begin()

    def _learn(self, took: float, should: float, *, of_read: bool) -> None:
        """Answers to bodies that the loop read say nothing of those that wait here: there may be any number of them."""
        if should:
            if not self._should:
                # Starts as if many had taken what they should.
                self._took = self._should = should / (1 - _FORGET)
            took = min(took, _LONGEST * self._stretch * should)
            self._took, self._should = _FORGET * self._took + took, _FORGET * self._should + should
        elif of_read:
            self._took += min(took, _LONGEST * self._took * (1 - _FORGET))


async def _leave(step: Step, found: "asyncio.Future[Any]", gone: Callable[[], Awaitable[None]]) -> None:
    await gone()
    if not step.is_begun:
        step.is_left = True
        found.cancel()
