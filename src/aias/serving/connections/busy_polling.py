"""The loop looks again at once, for a moment, instead of going to sleep: who has just been answered may ask again.

To wake a sleeping processor takes some 20 us, and what it runs then stands in no cache: together as long as to answer a
row of a tiny model. A caller on the same machine who asks for one row after the other sends the next within some 50.

Where that pays is learnt. After each time in vain twice as many answers pass before it is tried again, so that in the
end it takes a thousandth of the time of those who come later. Where several are answered in one turn of the loop there
is nothing to wait for: meanwhile others come. Where a quota bounds the time of processors, or there is only one, which
whoever asks next needs, none is spent on waiting.
"""

import asyncio
import math
import os
import time
from collections.abc import Callable
from typing import Final

from aias.core.cpus import quota

PASS_MAX: Final = 1_024
"""Answers until it is tried again, where it never pays, or several are answered at once."""


class BusyPolling:
    """One for all connections of a loop. After an answer that was given at once it looks for so many `seconds`; 0:
    never. `is_running`: whether threads or models apart want the processor."""

    __slots__ = ("_answers", "_clock", "_is_running", "_next_pass", "_pass", "_seconds", "_until", "is_on")

    def __init__(
        self, seconds: float, is_running: Callable[[], bool], clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._seconds, self._is_running, self._clock = seconds, is_running, clock
        self.is_on, self._until, self._answers = False, 0.0, 0
        may = seconds and math.isinf(quota()) and (os.cpu_count() or 1) > 1
        self._pass, self._next_pass = (0 if may else 1 << 62), 1

    def answered(self) -> None:
        """A request has just been answered."""
        if self._pass:
            self._pass -= 1
            return
        self._answers += 1
        if not self.is_on:
            self.is_on, self._until = True, 0.0
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        answers, now, self._answers = self._answers, self._clock(), 0
        if answers > 1 or (answers and self._is_running()):
            self.is_on, self._pass = False, PASS_MAX
            return
        if answers:
            if self._until:
                self._next_pass = 1
            self._until = now + self._seconds
        elif now > self._until:
            self.is_on, self._pass = False, self._next_pass
            self._next_pass = min(2 * self._next_pass, PASS_MAX)
            return
        asyncio.get_running_loop().call_soon(self._turn)
