"""What this process does not know, an endpoint or a key, another may have made since it has looked. So it looks once
more before it says so; for all who ask at one time together, and not more often than it may."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from aias.core.errors import AiasError

LOOK_SECONDS: Final = 0.02
"""From one look to the next. Each reads one number, in some 10 us, or what is new where that number has moved."""

WAIT_SECONDS_MAX: Final = 1.0
"""What a request waits for a look, where a database does not answer."""


class CatchingUp:
    """`look` is called in a thread."""

    def __init__(self, look: Callable[[], None]) -> None:
        self._look, self._thread, self._one = look, ThreadPoolExecutor(1, "aias-look"), asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self._looked_at = 0.0

    async def look(self) -> None:
        """Ends when a look that began after this is over."""
        if self._next is None:
            self._next = asyncio.create_task(self._look_soon())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(self._next), WAIT_SECONDS_MAX)

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    async def _look_soon(self) -> None:
        async with self._one:
            await asyncio.sleep(self._looked_at + LOOK_SECONDS - time.monotonic())
            self._next, self._looked_at = None, time.monotonic()
            # Who cannot look says what it knows.
            with contextlib.suppress(AiasError, OSError):
                await asyncio.get_running_loop().run_in_executor(self._thread, self._look)
