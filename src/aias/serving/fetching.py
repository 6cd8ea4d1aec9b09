"""Requests for a model that is not in memory: they wait on the event loop while a thread loads it, once for all."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final

from aias.serving.bounds import Bounds
from aias.serving.models import Model
from aias.serving.refusals import Busy, NotReady, TooLate

FETCH_SECONDS_MAX: Final = 30.0
"""What a request waits for its model; a large sentence encoder is loaded in five. Loading goes on without it."""


class Fetching:
    """`bring` loads the model of an endpoint, or raises why it cannot be; it is called in a thread."""

    def __init__(self, bring: Callable[[str], Model], bounds: Bounds) -> None:
        self._bring, self._waiting_max = bring, bounds.waiting_requests
        self._seconds_max = min(FETCH_SECONDS_MAX, bounds.answer_seconds)
        self._thread = ThreadPoolExecutor(1, "aias-fetch")
        self._under_way: dict[str, asyncio.Future[Model]] = {}
        self._waiting: Counter[str] = Counter()

    async def model(self, endpoint: str, deadline: float | None = None, *, payer: str = "") -> Model:
        """Raises `NotReady`, `TooLate`, `Busy`; that only of a payer who has his share of those that may wait."""
        if self._waiting[payer] >= max(1, self._waiting_max // len({*self._waiting, payer})):
            raise Busy("too many requests are waiting for models to be loaded", hint="try again in a moment")
        under_way = self._under_way.get(endpoint)
        if under_way is None:
            under_way = asyncio.get_running_loop().run_in_executor(self._thread, self._bring, endpoint)
            self._under_way[endpoint] = under_way
            under_way.add_done_callback(lambda done: self._arrived(endpoint, done))
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
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _arrived(self, endpoint: str, done: "asyncio.Future[Model]") -> None:
        del self._under_way[endpoint]
        # Who waited has been told; where nobody waits any more, the log has it.
        with suppress(asyncio.CancelledError):
            done.exception()
