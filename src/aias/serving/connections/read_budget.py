"""How much one turn of the event loop reads, so that none goes on for ever.

The loop asks the kernel for 1,024 sockets with news at a time, and as long as it is given so many it asks again, up to
48 times, before it looks at anything else (libuv, `uv__io_poll`). With more than 1,024 busy callers, each of whom asks
again as soon as it is answered, one turn would last for 50,000 requests: for seconds nobody new would be heard, no
thread's answer sent, no clock looked at.

So whoever has been heard in a turn that is that long is heard again only in the next one.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

TURN_READS_MAX: Final = 1_000
"""Of one turn; with fewer connections than this it ends by itself."""


class Line(Protocol):
    """The part of a transport that reads."""

    def is_closing(self) -> bool: ...

    def is_reading(self) -> bool: ...

    def pause_reading(self) -> None: ...


class ReadBudget:
    """One for all connections of a loop, to be asked when there are more of them than `reads_max`."""

    __slots__ = ("_reads", "_resting", "reads_max")

    def __init__(self, reads_max: int = TURN_READS_MAX) -> None:
        self.reads_max, self._reads = reads_max, 0
        self._resting: list[Callable[[], None]] = []

    def heard(self, line: Line, resume: Callable[[], None]) -> None:
        """Something has come on a line; `resume` has it read again."""
        self._reads += 1
        if self._reads == 1:
            asyncio.get_running_loop().call_soon(self._end)
        if self._reads > self.reads_max and line.is_reading() and not line.is_closing():
            line.pause_reading()
            self._resting.append(resume)

    def _end(self) -> None:
        resting, self._resting, self._reads = self._resting, [], 0
        for resume in resting:
            resume()
