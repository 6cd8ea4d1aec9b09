"""How long who comes now would wait, as others go on asking meanwhile.

Time is shared among payers: until it is its turn, each other has as much of it as this one, if it has that much to do.
Some of that waits already, and more will come, at the pace at which it came of late. By what waits alone, who asks
little at a time, but at once again, is hardly foreseen, and has half of the time.
"""

import math
from collections.abc import Callable, Mapping
from typing import Final

HORIZON_SECONDS: Final = 1.0
"""What was asked so long ago counts for a third."""

ROUNDS_MAX: Final = 8
"""Of finding what comes in a wait that grows with what comes in it; each adds less than the one before."""

CLOSE: Final = 0.02
"""Of the wait: by so little it may be foreseen too short."""

_REMEMBERED_MAX: Final = 128
_FADED: Final = 0.001


class Demand:
    """Of each payer, how many seconds of work were let in a second, of late; `now` by one clock."""

    def __init__(self) -> None:
        self._paces: dict[str, tuple[float, float]] = {}

    def add(self, payer: str, seconds: float, now: float) -> None:
        pace = self._pace(payer, now) + seconds / HORIZON_SECONDS
        self._paces[payer] = pace, now
        if len(self._paces) > _REMEMBERED_MAX:
            paces = sorted(((self._pace(each, now), each) for each in self._paces), reverse=True)
            kept = paces[: _REMEMBERED_MAX // 2]
            self._paces = {each: (pace, now) for pace, each in kept if pace > _FADED}

    def wait(
        self, payer: str, own: float, most: float, waiting: Mapping[str, float], now: float,
        seconds_for: Callable[[float], float],
    ) -> float:  # fmt: skip
        """Until all of its `own` seconds are over, and of each other's no more than `most`, of what it has `waiting`
        and what will come. `seconds_for`: how long so much work takes."""
        paces = {each: self._pace(each, now) for each in (*self._paces, *waiting)}
        others = [(waiting.get(each, 0.0), pace) for each, pace in paces.items() if each != payer]
        wait = seconds_for(own + sum(min(most, there) for there, _ in others))
        for _ in range(ROUNDS_MAX if others else 0):
            before = wait
            wait = seconds_for(own + sum(min(most, there + pace * before) for there, pace in others))
            if wait - before <= CLOSE * wait:
                break
        return wait

    def _pace(self, payer: str, now: float) -> float:
        pace, at = self._paces.get(payer, (0.0, now))
        return pace * math.exp((at - now) / HORIZON_SECONDS)
