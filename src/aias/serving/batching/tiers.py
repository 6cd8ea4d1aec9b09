"""Where a model's requests run: on the event loop itself, or in a thread through the batcher.

Measured at load, and looked at again while it serves: a model that keeps holding up the loop is sent to the threads,
for half a minute at first and twice as long each time it happens again; one that was loaded in a slow moment is
measured again (`versions/model.py`).
"""

import time
from collections.abc import Callable
from typing import Final, Literal

from aias.serving.batching.costs import Cost
from aias.serving.bounds import Bounds

STRIKES_MAX: Final = 5
"""Runs beyond the bound, less those within it. One alone is more often the machine's doing than the model's."""

AWAY_SECONDS: Final = 30.0
AWAY_SECONDS_MAX: Final = 3_600.0


def runs_fast(row_seconds: float, cost: Cost, bounds: Bounds) -> bool:
    """Whether the event loop is the place for a model: its row is short, and rows together would save less than the
    hop to a thread costs each of them."""
    return row_seconds <= bounds.inline_row_seconds and cost.per_run * 0.5 <= bounds.hop_seconds


class Tier:
    """`fast`: whether the loop is its place, by what it was measured to take."""

    def __init__(self, *, fast: bool, bounds: Bounds, clock: Callable[[], float] = time.monotonic) -> None:
        self.fast, self._seconds_max, self._clock = fast, bounds.inline_seconds, clock
        self._strikes, self._away, self._until = 0, AWAY_SECONDS, 0.0

    @property
    def inline(self) -> bool:
        return self.fast and (not self._until or self._clock() >= self._until)

    @property
    def name(self) -> Literal["inline", "thread"]:
        return "inline" if self.inline else "thread"

    def took(self, seconds: float) -> float | None:
        """Note what a run on the loop took. When it is the one too many: for how many seconds the loop is spared."""
        if seconds <= self._seconds_max:
            self._strikes = max(0, self._strikes - 1)
            return None
        self._strikes += 1
        if self._strikes < STRIKES_MAX:
            return None
        away, self._strikes = self._away, 0
        self._until = self._clock() + away
        self._away = min(2 * away, AWAY_SECONDS_MAX)
        return away
