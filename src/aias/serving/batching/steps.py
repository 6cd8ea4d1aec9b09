"""Threads for what is read and written around runs, shared out as the runs are: by seconds, among those who wait.

step ─ a thread is free ─────────▶ at once
       └ the queue of its payer ─▶ when one is: next comes the payer that has had least
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from aias.serving.batching.shares import Shares

T = TypeVar("T")

_Step = tuple[Callable[[], Any], "asyncio.Future[Any]"]


class Steps:
    """For the event loop's own thread. `clock` counts seconds."""

    def __init__(self, threads: int, name: str, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool, self._free, self._clock = ThreadPoolExecutor(threads, name), threads, clock
        self._queues: dict[str, deque[_Step]] = {}
        self._shares = Shares()

    async def run(self, work: Callable[[], T], payer: str) -> T:
        """What `work` gives, in a thread, when it is the turn of whoever pays."""
        found: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        queue = self._queues.get(payer)
        if queue is None:
            self._shares.enter(payer)
            queue = self._queues[payer] = deque()
        queue.append((work, found))
        self._begin()
        return await found

    def close(self) -> None:
        self._queues.clear()
        self._pool.shutdown(cancel_futures=True)

    def _begin(self) -> None:
        while self._free and self._queues:
            payer = min(self._queues, key=self._shares.had)
            queue = self._queues[payer]
            work, found = queue.popleft()
            if not queue:
                del self._queues[payer]
            if found.done():
                # Whoever waited for it has gone.
                continue
            self._shares.serve(payer)
            self._free -= 1
            running = asyncio.get_running_loop().run_in_executor(self._pool, work)
            running.add_done_callback(partial(self._end, payer, found, self._clock()))

    def _end(self, payer: str, found: "asyncio.Future[Any]", began: float, ran: "asyncio.Future[Any]") -> None:
        self._free += 1
        self._shares.charge(payer, self._clock() - began)
        if ran.cancelled():
            found.cancel()
        elif (fault := ran.exception()) is not None:
            if not found.done():
                found.set_exception(fault)
        elif not found.done():
            found.set_result(ran.result())
        self._begin()
