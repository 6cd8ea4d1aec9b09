"""The highest rate at which a server keeps the objective, and what it does when asked twice as often."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aias.client.load.result import Result

KEPT: Final = 0.99
"""Of all requests that were meant to go out: so many must be good."""

_FIRST: Final = 0.5
"""Of what a closed loop gets: an open one never keeps the objective with all of it."""

_GROWTH: Final = 1.3
"""From one rate that is kept to the next; each time that much faster, for the guess may be far off."""

_FINE: Final = 1.06
_STEPS_MAX: Final = 12


@dataclass(slots=True)
class Peak:
    """`steps` in the order in which they were measured; `best` the highest that kept it; `beyond` at twice its rate."""

    steps: list[Result] = field(default_factory=list)
    best: Result | None = None
    beyond: Result | None = None

    @property
    def held(self) -> float:
        """Which share of its best goodput the server still has when it is asked twice as often."""
        if self.best is None or self.beyond is None or not self.best.goodput:
            return math.nan
        return self.beyond.goodput / self.best.goodput

    @property
    def generator_failed(self) -> bool:
        """Whether a rate was too much for the generator, and perhaps not for the server; where none was found, whether
        all were."""
        lags = [step.lags for step in self.steps]
        return any(lags) if self.best is not None else bool(lags) and all(lags)

    def as_dict(self) -> dict[str, object]:
        best = self.best
        return {
            "peak_rate": None if best is None or best.plan.rate is None else round(best.plan.rate, 3),
            "peak_goodput": None if best is None else round(best.goodput, 3),
            "goodput_at_twice": None if math.isnan(self.held) else round(self.held, 4),
            "generator_failed": self.generator_failed,
            "steps": [each.as_dict() for each in self.steps],
            "beyond": None if self.beyond is None else self.beyond.as_dict(),
        }


def find_peak(measure: Callable[[float], Result], *, capacity: float) -> Peak:
    """`measure` a rate; `capacity`: the requests a second of a closed loop, from which the search begins."""
    found, rate = Peak(), _FIRST * capacity
    kept, missed, growth = 0.0, math.inf, _GROWTH
    while len(found.steps) < _STEPS_MAX and (missed == math.inf or not kept or missed / kept > _FINE):
        step = measure(rate)
        found.steps.append(step)
        if step.interrupted:
            return found
        if keeps(step):
            kept, found.best = rate, step
        elif step.lags and kept:
            break
        else:
            # One that the generator cannot keep may be far beyond what it can: a closed loop asks of it less.
            missed = rate
        rate = kept * growth if missed == math.inf else math.sqrt(kept * missed) if kept else missed / growth
        growth *= _GROWTH
    if found.best is not None and found.best.plan.rate is not None and not found.generator_failed:
        found.beyond = measure(2 * found.best.plan.rate)
    return found


def keeps(step: Result) -> bool:
    """Whether the objective was kept, by a generator that kept its schedule."""
    return step.good_share >= KEPT and not step.lags
