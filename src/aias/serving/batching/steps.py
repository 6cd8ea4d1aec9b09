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
    """`seconds`: what it should take, of a body; `form`: of that, as bodies of one form are like each other; `until`:
    when it is given up, if it has not begun; `priority`: among its payer's own, 0 goes first; `first`: of an answer
    whose body has been read, before all of these; `of_read`: in such a thread, too. `work`: while somebody waits for
    it, as it holds the body."""

    seconds: float = 0.0
    until: float = math.inf
    priority: int = 1
    form: str = ""
    first: bool = False
    of_read: bool = False
    work: Callable[[], Any] | None = None
    is_begun: bool = False
    is_left: bool = False


_Waiting = tuple[Step, "asyncio.Future[Any]"]


class _Pace:
    """How long bodies of one form take, beside what they should."""

    __slots__ = ("_should", "_took")

    def __init__(self) -> None:
        self._took = self._should = 0.0

    @property
    def stretch(self) -> float:
        return self._took / self._should if self._should else 1.0

    def learn(self, took: float, should: float, *, of_read: bool) -> None:
        """Answers to bodies that the loop read say nothing of those that wait here: there may be any number of them."""
        if should:
            if not self._should:
                # Starts as if many had taken what they should.
                self._took = self._should = should / (1 - _FORGET)
            took = min(took, _LONGEST * self.stretch * should)
            self._took, self._should = _FORGET * self._took + took, _FORGET * self._should + should
        elif of_read:
            self._took += min(took, _LONGEST * self._took * (1 - _FORGET))


@dataclass(eq=False, slots=True)
class _Queue:
    """What one payer has waiting: by rank, each in the order in which it came; and the seconds of all, by their form as
    well."""

    ranks: "dict[int, deque[_Waiting]]" = field(default_factory=dict)
    seconds: dict[tuple[int, str], float] = field(default_factory=dict)

    def __iter__(self) -> "Iterator[_Waiting]":
        return chain.from_iterable(self.ranks.values())

    def add(self, waiting: "_Waiting") -> None:
        step = waiting[0]
        which = _rank(step), step.form
        self.ranks.setdefault(which[0], deque()).append(waiting)
        self.seconds[which] = self.seconds.get(which, 0.0) + step.seconds

    def next(self) -> "_Waiting":
        rank = min(self.ranks)
        found = self.ranks[rank].popleft()
        if not self.ranks[rank]:
            del self.ranks[rank]
        return found

    def let_go(self, step: Step) -> None:
        which = _rank(step), step.form
        self.seconds[which], step.seconds, step.work = max(0.0, self.seconds[which] - step.seconds), 0.0, None

    def seconds_before(self, priority: float, stretch: Callable[[str], float]) -> float:
        """Of what one of this priority would wait for, at the pace of each form."""
        return sum(seconds * stretch(form) for (rank, form), seconds in self.seconds.items() if rank <= priority)


def _rank(step: Step) -> int:
    return -1 if step.first else step.priority


class Steps:
    """For the event loop's own thread. `clock` counts seconds."""

    def __init__(self, threads: int, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool, self._threads, self._clock = ThreadPoolExecutor(threads, name), threads, clock
        self._free = threads
        self._queues: dict[str, _Queue] = {}
        self._shares = Shares()
        self._paces: dict[str, _Pace] = {}
        # When what runs began, and how long it should take from then on.
        self._running: dict[Step, tuple[float, float]] = {}

    def check(
        self, payer: str, seconds: float, *, wait_max: float, deadline: float | None, priority: int = 1,
        form: str = "",
    ) -> None:  # fmt: skip
        """Refuse what should take so long and would wait longer than that, or be over after its deadline. Raises
        `Overloaded`."""
        wait, own = self.expected_wait(payer, seconds, priority, form), seconds * self._stretch(form)
        bound = max(wait_max, OBJECTIVE_RUNS_MIN * own)
        over, why = wait - bound, "more waits to be read than is of use to anybody"
        if deadline is not None:
            over, why = self._clock() + wait + own - deadline, "it would be answered after its deadline"
        if wait and over > 0:
            raise Overloaded(why, retry_seconds=over)

    def expected_wait(self, payer: str, seconds: float, priority: int = 1, form: str = "") -> float:
        """Until it begins: after the first that runs, what its payer has of no lower priority, and as much of each
        other's."""
        if self._free and not self._queues:
            return 0.0
        mine = self._queues.get(payer)
        own = mine.seconds_before(priority, self._stretch) if mine else 0.0
        most = own + seconds * self._stretch(form)
        others = (each.seconds_before(math.inf, self._stretch) for each in self._queues.values() if each is not mine)
        return self._left() + (own + sum(min(most, each) for each in others)) / self._threads

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

    @property
    def is_running(self) -> bool:
        return self._free < self._threads

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

    def _stretch(self, form: str) -> float:
        pace = self._paces.get(form)
        return 1.0 if pace is None else pace.stretch

    def _left(self) -> float:
        """Until the first of those that run should be over. What takes longer than it should is expected to go on for
        as long again, within bounds."""
        now = self._clock()
        left = (min(abs(ends_at - now), _LONGEST * seconds) for ends_at, seconds in self._running.values())
        return min(left, default=0.0)

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
            should = seconds * self._stretch(step.form)
            self._running[step] = now + should, should
            running = asyncio.get_running_loop().run_in_executor(self._pool, work)
            running.add_done_callback(partial(self._end, payer, step, found, began=now, seconds=seconds))

    def _end(
        self, payer: str, step: Step, found: "asyncio.Future[Any]", ran: "asyncio.Future[Any]", *, began: float,
        seconds: float,
    ) -> None:  # fmt: skip
        self._free += 1
        del self._running[step]
        took = self._clock() - began
        self._shares.charge(payer, took)
        self._paces.setdefault(step.form, _Pace()).learn(took, seconds, of_read=step.of_read)
        if ran.cancelled():
            found.cancel()
        elif (fault := ran.exception()) is not None:
            if not found.done():
                found.set_exception(fault)
        elif not found.done():
            found.set_result(ran.result())
        self._begin()


async def _leave(step: Step, found: "asyncio.Future[Any]", gone: Callable[[], Awaitable[None]]) -> None:
    await gone()
    if not step.is_begun:
        step.is_left = True
        found.cancel()
