"""How long who comes now would wait, as others go on asking meanwhile.

Time is shared among payers: until it is its turn, each other has as much of it as this one, if it has that much to do.
Some of that waits already, and more will come, at the pace at which it came of late. By what waits alone, who asks
little at a time, but at once again, is hardly foreseen, and has half of the time.
"""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

HORIZON_SECONDS: Final = 1.0
"""What was asked so long ago counts for a third."""

ROUNDS_MAX: Final = 8
"""Each finds somebody less who has all that may go first; there are hardly ever more than three."""

_SWEEP_SECONDS: Final = 5.0
_REMEMBERED_MAX: Final = 64
_FADED: Final = 0.002
"""Seconds a second, of who asks no more."""


class Queued(NamedTuple):
    """Seconds of work: what the payer of who comes has before it (`own`), what may go first of another's that waits
    (`most`), and of what that one will ask for (`later`): who comes after somebody whose turn it is goes behind."""

    own: float
    most: float
    later: float


class Demand:
    """Of each payer, how many seconds of work were let in a second, of late; `now` by one clock."""

    def __init__(self) -> None:
        # Weights grow with time instead of all that is older fading.
        self._asked: dict[str, float] = {}
        self._since = -math.inf

    def add(self, payer: str, seconds: float, now: float) -> None:
        if now - self._since > _SWEEP_SECONDS or len(self._asked) > _REMEMBERED_MAX:
            self._sweep(now)
        weight = math.exp((now - self._since) / HORIZON_SECONDS)
        self._asked[payer] = self._asked.get(payer, 0.0) + weight * seconds / HORIZON_SECONDS

    def wait(
        self, payer: str, queued: Queued, waiting: Mapping[str, float], now: float, *, first: float, stretch: float
    ) -> float:
        """Until it is its turn, where so many seconds come `first`, and others' work takes `stretch` times as long as
        it should. `waiting`: of each payer, so many seconds."""
        own, most, later = queued
        if waiting.keys() <= {payer} and self._asked.keys() <= {payer}:
            # Alone, as mostly.
            return first + stretch * own
        others = self._others(payer, waiting, now)
        fixed, growing = own, list[tuple[float, float, float]]()
        for there, pace in others:
            least = min(most, there)
            bound = max(least, later)
            if bound > least and pace:
                growing.append((there, pace, bound))
            else:
                fixed += least
        # From above: where all of these have all that may go first. What comes in a wait grows with it, up to that.
        wait = first + stretch * (fixed + sum(bound for _, _, bound in growing))
        for _ in range(ROUNDS_MAX if growing else 0):
            work, pace = fixed, 0.0
            for there, each, bound in growing:
                if there + each * wait < bound:
                    work, pace = work + there, pace + each
                else:
                    work += bound
            # Below 1, as what may go first of these is all within the wait; but for rounding.
            before, wait = wait, min(wait, (first + stretch * work) / max(1e-9, 1 - stretch * pace))
            if wait == before:
                break
        return wait

    def _others(self, payer: str, waiting: Mapping[str, float], now: float) -> list[tuple[float, float]]:
        """Of each, what waits, and its pace."""
        fade, asked = math.exp((self._since - now) / HORIZON_SECONDS), self._asked
        found = [(there, fade * asked.get(each, 0.0)) for each, there in waiting.items() if each != payer]
        return found + [
            (0.0, fade * weight)
            for each, weight in asked.items()
            if each not in waiting and each != payer and fade * weight > _FADED
        ]

    def _sweep(self, now: float) -> None:
        """Forget who asks no more, and of too many those who ask least."""
        fade = math.exp((self._since - now) / HORIZON_SECONDS)
        paces = sorted(((fade * weight, each) for each, weight in self._asked.items()), reverse=True)
        self._asked = {each: pace for pace, each in paces[: _REMEMBERED_MAX // 2] if pace > _FADED}
        self._since = now
