"""How many messages are read at one time: gRPC takes each whole into memory, and tells nothing of it before."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

from aias.serving.bounds import Bounds, share_of
from aias.serving.refusals import Busy, TooManyAtOnce

AT_ONCE_MIN: Final = 4
"""Where there is room for fewer bodies; a message of a few kilobytes is read in no time, and nobody waits for it."""


class Readings:
    """As many as there is room for bodies, of one payer a share of them. A stream is one of its payer's for as long as
    it is open, since at any time a message may be on its way; the last is left to calls."""

    def __init__(self, bounds: Bounds) -> None:
        most = max(AT_ONCE_MIN, bounds.bodies_bytes // bounds.body_bytes)
        self._all, self._share, self._seconds = asyncio.Semaphore(most), share_of(most), bounds.give_way_seconds
        self._waiting, self._streams = 0, Counter[str]()
        self._payers: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    @property
    def waiting(self) -> bool:
        """Whether anybody waits for its turn."""
        return self._waiting > 0

    @asynccontextmanager
    async def turn(self, payer: str) -> AsyncIterator[None]:
        """Raises `TooManyAtOnce`, `Busy` when it does not come soon."""
        mine = self._of(payer)
        if not await self._is_free(mine):
            raise TooManyAtOnce("messages")
        try:
            if not await self._is_free(self._all):
                raise Busy("too many messages at once", hint="try again in a moment")
            try:
                yield
            finally:
                self._all.release()
        finally:
            mine.release()

    @asynccontextmanager
    async def stream(self, payer: str) -> AsyncIterator[None]:
        """Raises `TooManyAtOnce` there and then."""
        mine = self._of(payer)
        if self._streams[payer] >= self._share - 1 or mine.locked():
            raise TooManyAtOnce("streams")
        self._streams[payer] += 1
        try:
            async with mine:
                yield
        finally:
            self._streams[payer] -= 1
            if not self._streams[payer]:
                del self._streams[payer]

    def _of(self, payer: str) -> asyncio.Semaphore:
        found = self._payers.get(payer)
        if found is None:
            found = self._payers[payer] = asyncio.Semaphore(self._share)
        return found

    async def _is_free(self, semaphore: asyncio.Semaphore) -> bool:
        """Whether it could be had soon."""
        self._waiting += 1
        try:
            async with asyncio.timeout(self._seconds):
                return await semaphore.acquire()
        except TimeoutError:
            return False
        finally:
            self._waiting -= 1
