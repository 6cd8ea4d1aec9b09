"""Whether the event loop is behind, for good: then who has waited beyond use is refused before being read.

What runs on the loop itself stands in no queue of ours: callers wait in the loop's own. One stall (a page fault, a
sleeping machine) makes many late at once, and they are answered as fast as ever; only when the wait has been too long
for a while is more coming than can be answered. That is CoDel's rule for the queues of routers (Nichols and Jacobson,
ACM Queue 10(5), 2012; RFC 8289): the wait, not the length, and only when it stays.
"""

from typing import Final

from aias.serving.refusals import Overloaded

PATIENCE: Final = 0.5
"""Of the bound: for how long it may be overstepped before anybody is refused."""


class LoopLag:
    """Of requests that tell how long they have waited."""

    def __init__(self) -> None:
        self._behind_since: float | None = None

    def check(self, late_seconds: float, bound_seconds: float, now: float) -> None:
        """Refuse a request that has waited so long already, if that has been so for a while. Raises `Overloaded`."""
        if late_seconds <= bound_seconds:
            self._behind_since = None
            return
        if self._behind_since is None:
            self._behind_since = now
        if now - self._behind_since > PATIENCE * bound_seconds:
            raise Overloaded("more has come than can be looked at in time", retry_seconds=late_seconds)
