"""A queue on the event loop itself, for requests that are too long for all of a turn to be answered in it.

    request ─ first of its turn, nobody waits ───────────────▶ answered at once
              └ would wait beyond its objective or deadline ──▶ refused at once
              └ queue ─▶ a slice ─ sockets ─▶ a slice ─ sockets ─▶ …

Between two slices the loop looks at its sockets: whoever comes new is heard, and refused if need be, within
milliseconds, however many wait. What takes less than its share of the objective never comes here: there are too few
connections for anybody to wait long.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final

from aias.serving.pace import Pace
from aias.serving.refusals import Overloaded

SLICE_SECONDS: Final = 0.003
"""At least; a poll between two slices costs a hundredth of it."""

SLICE_SECONDS_MAX: Final = 0.2
"""After a stall of the machine, too."""

SHARE: Final = 3.0
"""Of a slice in what passed since the one before: three quarters of the time are for those that were let in, however
many come and have to be refused."""

Work = Callable[[], None]


def soon(work: Work) -> None:
    """In the next turn of the loop."""
    asyncio.get_running_loop().call_soon(work)


class Slices:
    """`later` calls in the next turn; all on the loop's own thread."""

    def __init__(self, *, later: Callable[[Work], object] = soon, clock: Callable[[], float] = time.monotonic) -> None:
        self._later, self._clock = later, clock
        self._waiting: deque[tuple[float, Work]] = deque()
        self._expected_seconds, self._pace = 0.0, Pace(1)
        self._has_begun = False
        self._ended_at: float | None = None

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def begins(self) -> bool:
        """Whether who comes now is the first of its turn, and nobody waits: it need not either."""
        if self._has_begun:
            return False
        self._has_begun = True
        self._later(self._run)
        return True

    def check(self, seconds: float, *, objective_seconds: float, deadline: float | None) -> None:
        """Refuse what would begin after its objective, or be answered after its deadline. Raises `Overloaded`."""
        wait = self._pace.of(self._expected_seconds)
        over, bound = wait - objective_seconds, "more waits than can be answered in time"
        if deadline is not None:
            over, bound = self._clock() + wait + seconds - deadline, "it would be answered after its deadline"
        if over > 0:
            raise Overloaded(bound, retry_seconds=over)

    def add(self, seconds: float, work: Work) -> None:
        """Do some work, that should take so long, when it is its turn. It must not raise."""
        assert self._has_begun, "the first of a turn need not wait"
        self._waiting.append((seconds, work))
        self._expected_seconds += seconds

    def _run(self) -> None:
        began = now = self._clock()
        self._pace.begins(began)
        away = 0.0 if self._ended_at is None else began - self._ended_at
        slice_seconds = min(max(SLICE_SECONDS, SHARE * away), SLICE_SECONDS_MAX)
        while self._waiting and now - began < slice_seconds:
            seconds, work = self._waiting.popleft()
            self._expected_seconds -= seconds
            work()
            now = self._clock()
            self._pace.ran(seconds, now)
        if self._waiting:
            self._ended_at = now
            self._later(self._run)
        else:
            self._has_begun, self._expected_seconds, self._ended_at = False, 0.0, None
            self._pace.idles()
