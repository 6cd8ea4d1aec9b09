"""Successive halving of candidates on growing samples (Jamieson and Talwalkar 2016).

All are timed, and judged on 200 to 800 rows; each next sample has four times as many, until all rows of three folds are
in it.
What is certain to lose more than the margin falls at once. Of what goes on the better half does, by what each gains
times the chance that it would be certified; never fewer than twice those that can be nominated. Who is out of fold
already costs nothing more: it is judged on all rows, and nobody's half is taken by it.

When the time is over, each stands on the rows that it was judged on by then.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from aias.compress.trial import Judged, Trial
from aias.core.arrays import Ints

LEFT_MIN: Final = 6
"""Candidates that are judged on all rows."""

LATE: Final = "there was no time"
"""So begin all reasons for which more time would be the answer."""

NO_TIME: Final = f"{LATE} for it"


@dataclass(frozen=True, eq=False)
class Halving:
    """`attempt` makes, judges and times a trial on some rows, and gives its `reason` when it falls; `over`: the time;
    `promise`: what a trial gains, times the chance that it is certified."""

    judged: Judged
    attempt: Callable[[Trial, Ints], None]
    over: Callable[[], bool]
    promise: Callable[[Trial], float]

    def run(self, trials: Sequence[Trial]) -> None:
        known = [each for each in trials if each.candidate.scores is not None]
        for each in known:
            self._try(each, self.judged.searched)
        going = [each for each in trials if each.candidate.scores is None]
        for step, rows in enumerate(samples := self.judged.samples()):
            for each in going:
                self._try(each, rows)
            going = [each for each in going if not each.reason]
            if step + 1 < len(samples):
                going = self._better_half(going, len(rows))

    def _try(self, trial: Trial, rows: Ints) -> None:
        if not self.over():
            self.attempt(trial, rows)
        elif trial.evidence is None and not trial.reason:
            trial.reason = NO_TIME

    def _better_half(self, going: list[Trial], rows: int) -> list[Trial]:
        count = max(LEFT_MIN, math.ceil(len(going) / 2))
        ranked = sorted(going, key=lambda each: -self.promise(each))
        for each in ranked[count:]:
            each.reason = f"{count} others promised more after {rows:,} rows"
        kept = {id(each) for each in ranked[:count]}
        return [each for each in going if id(each) in kept]
