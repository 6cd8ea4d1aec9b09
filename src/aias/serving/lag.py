"""Whether the event loop is behind, for good: then who has waited beyond use is refused before being read.

What runs on the loop itself stands in no queue of ours: callers wait in the loop's own, which a request tells us by how
long it lay between its head and its turn. One stall (a page fault, a sleeping machine) makes many late at once, and
they are answered as fast as ever; only when the wait has been too long for a while is more coming than can be
answered. That is CoDel's rule for the queues of routers (Nichols and Jacobson, ACM Queue 10(5), 2012; RFC 8289): the
wait, not the length, and only when it stays.
"""

from typing import Final

PATIENCE: Final = 0.5
"""Of the bound: for how long it may be overstepped before anybody is refused."""


class Lag:
    def __init__(self) -> None:
        self._behind_since: float | None = None

    def refuses(self, late_seconds: float, bound_seconds: float, now: float) -> bool:
        """Whether a request that has waited so long already is to be refused."""
        if late_seconds <= bound_seconds:
            self._behind_since = None
            return False
        if self._behind_since is None:
            self._behind_since = now
        return now - self._behind_since > PATIENCE * bound_seconds
