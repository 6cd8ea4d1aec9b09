"""Service rate: how fast a queue moves, counting the runs and the time between them.

A request waits for more than runs. A place stands empty until the next run has begun; with one processor for all,
requests are read, answered and refused between the runs. What took the time does not matter: while no place was free,
runs took a certain share of it, and coming runs are expected to take the same share.
"""

from typing import Final

_FORGET: Final = 0.98
"""The weight of a run halves every 34 runs, as for its cost."""

_LONGEST: Final = 8.0
"""Times the run, at most, that the time between two runs counts for: else one stall would refuse everybody."""


class ServiceRate:
    """For `places` runs at a time; all times by one clock."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._ran = self._passed = 0.0
        self._since: float | None = None

    def ran(self, seconds: float, ended_at: float) -> None:
        """A run has ended."""
        if not self._ran:
            # Starts as if many had run without a pause.
            self._ran = self._passed = seconds / (1 - _FORGET)
        if self._since is not None:
            passed = min(max(0.0, ended_at - self._since) * self._places, _LONGEST * seconds)
            self._ran, self._passed = _FORGET * self._ran + seconds, _FORGET * self._passed + passed
        self._since = ended_at

    def begins(self, at: float) -> None:
        """From now on no place is free."""
        if self._since is None:
            self._since = at

    def idles(self) -> None:
        """A place is free for want of work."""
        self._since = None

    def seconds_for(self, seconds: float) -> float:
        """How long it takes to run so many seconds of work."""
        stretch = max(1.0, self._passed / self._ran) if self._ran else 1.0
        return seconds * stretch / self._places
