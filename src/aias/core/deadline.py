"""A time budget: when it ends, and how much of it is left."""

import time
from collections.abc import Callable
from dataclasses import dataclass

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Deadline:
    """Made once, asked often. `clock` gives seconds and never goes back."""

    ends_at: float
    seconds: float
    clock: Clock = time.monotonic

    @classmethod
    def after(cls, seconds: float, clock: Clock = time.monotonic) -> "Deadline":
        return cls(clock() + seconds, seconds, clock)

    @classmethod
    def until(cls, ends_at: float, clock: Clock = time.monotonic) -> "Deadline":
        return cls(ends_at, max(0.0, ends_at - clock()), clock)

    @property
    def left(self) -> float:
        """Seconds to go; never negative."""
        return max(0.0, self.ends_at - self.clock())

    @property
    def passed(self) -> bool:
        return self.clock() >= self.ends_at

    def share(self, part: float) -> "Deadline":
        """A deadline within this one that ends after `part` of what is left."""
        return Deadline(self.clock() + self.left * part, self.left * part, self.clock)
