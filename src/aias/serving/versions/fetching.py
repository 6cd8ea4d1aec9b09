"""Requests for models that are not in memory: they wait on the event loop while a thread loads each, once for all.

request ─ its model is being loaded ─────────────────────▶ waits for that
          └ in its payer's queue ─ a thread is free: next ─▶ loaded
                                   come, by turns, those of each payer
"""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final

from aias.core.limits import LOADS_MAX
from aias.serving.bounds import Bounds
from aias.serving.refusals import Busy, NotReady, TooLate
from aias.serving.versions.model import Model

FETCH_SECONDS_MAX: Final = 30.0
"""What a request waits for its model; a large sentence encoder is loaded in five. Loading goes on without it."""


class Fetching:
    """`bring` loads the model of an endpoint, or raises why it cannot be; it is called in a thread."""

    def __init__(self, bring: Callable[[str], Model], bounds: Bounds) -> None:
        self._bring, self._waiting_max = bring, bounds.waiting_requests
        self._seconds_max = min(FETCH_SECONDS_MAX, bounds.answer_seconds)
        self._threads = ThreadPoolExecutor(LOADS_MAX, "aias-fetch")
        self._under_way: dict[str, asyncio.Future[Model]] = {}
        # By payer, who was served last at the end; a model that several want is in the queue of each.
        self._queues: dict[str, dict[str, None]] = {}
        self._loading: set[str] = set()
        self._waiting: Counter[str] = Counter()

    async def model(self, endpoint: str, deadline: float | None = None, *, payer: str = "") -> Model:
        """Raises `NotReady`, `TooLate`, `Busy`; that only of a payer who has his share of those that may wait."""
        if self._waiting[payer] >= max(1, self._waiting_max // len({*self._waiting, payer})):
            raise Busy("too many requests are waiting for models to be loaded", hint="try again in a moment")
        under_way = self._under_way.get(endpoint)
        if under_way is None:
            under_way = self._under_way[endpoint] = asyncio.get_running_loop().create_future()
        if endpoint not in self._loading:
            self._queues.setdefault(payer, {})[endpoint] = None
            self._load_next()
        seconds = min(self._seconds_max, math.inf if deadline is None else deadline - time.monotonic())
        self._waiting[payer] += 1
        try:
            return await asyncio.wait_for(asyncio.shield(under_way), seconds)
        except TimeoutError:
            if seconds < self._seconds_max:
                raise TooLate("its model is being loaded, beyond the deadline", hint="allow more time") from None
            raise NotReady(f"endpoint `{endpoint}` is still being loaded", hint="try again in a moment") from None
        finally:
            self._waiting[payer] -= 1
            if not self._waiting[payer]:
                del self._waiting[payer]

    def close(self) -> None:
        self._queues.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _load_next(self) -> None:
        while self._queues and len(self._loading) < LOADS_MAX:
            payer, queue = next(iter(self._queues.items()))
            endpoint = next(iter(queue))
            del queue[endpoint], self._queues[payer]
            if queue:
                self._queues[payer] = queue
            if endpoint in self._under_way and endpoint not in self._loading:
                self._loading.add(endpoint)
                loading = asyncio.get_running_loop().run_in_executor(self._threads, self._bring, endpoint)
                loading.add_done_callback(partial(self._arrived, endpoint))

    def _arrived(self, endpoint: str, loaded: "asyncio.Future[Model]") -> None:
        self._loading.discard(endpoint)
        waiting = self._under_way.pop(endpoint)
        if loaded.cancelled():
            waiting.cancel()
        elif (fault := loaded.exception()) is not None:
            waiting.set_exception(fault)
            # Who waited has been told; where nobody waits any more, the log has it.
            waiting.exception()
        else:
            waiting.set_result(loaded.result())
        self._load_next()
