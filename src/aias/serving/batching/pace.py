"""How fast a queue moves: its runs, and what passes between them.

Whoever waits does not wait for runs alone. A place stands empty until the next run has begun; with one processor for
all, requests are read and answered, and others refused, between the runs. What it was, nobody needs to know: of the
time in which no place was free so much was running, and what is to come will take as much longer.
"""

from typing import Final

_FORGET: Final = 0.98
"""Half of what is known of a run is forgotten 34 runs later, as of its cost."""

_LONGEST: Final = 8.0
"""Times the run. What passes for longer between two counts for so much, or a stall would turn everybody away."""


class Pace:
    """Of `places` runs at a time; all times by one clock."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._ran = self._passed = 0.0
        self._since: float | None = None

    def ran(self, seconds: float, ended_at: float) -> None:
        """A run has ended."""
        if not self._ran:
            # Before the first, as if many had run without a pause.
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

    def of(self, seconds: float) -> float:
        """How long it takes until so much has run."""
        stretch = max(1.0, self._passed / self._ran) if self._ran else 1.0
        return seconds * stretch / self._places
