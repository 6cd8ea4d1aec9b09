"""Who is judged on the last rows, and in which order: the safest first, then what gains more and is less certain.

Behind one that does not pass next to nobody does (`gate.verdict`), so a bold one costs nothing if it stands behind a
safe one. Of all such orders that one is taken from which most is to be expected,

    Σ of each    the chance that it and all before it pass    times    what it gains more than the one before it

the gain as a logarithm, and chances as if they did not hang together. A milder form loses no more than a harsher one:
where the rows say otherwise, that is chance, and both are taken to lose their mean (pool adjacent violators, Ayer et
al. 1955).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Final

from scipy.optimize import isotonic_regression
from scipy.special import ndtr, ndtri

from aias.compress.gate.evidence import SPENT, Evidence
from aias.compress.trial import Trial

NOMINATED_MAX: Final = 3
CHANCE_MIN: Final = 0.05
"""Of being certified; less is not worth the rows."""

PASSED_OVER: Final = ("one that promises more was nominated", "others were nominated, which together promise more")

LIKELY: Final = 0.7
"""Who is less likely to be certified has milder forms tried."""

COMPARED_MAX: Final = 16
"""From which the order is chosen, those that promise most: 696 orders."""


@dataclass(frozen=True, slots=True)
class Assurance:
    """The assurance of a certification: the probability that so many `rows` show a loss within the `margin` (O'Hagan,
    Stevens and Campbell 2005, Pharmaceutical Statistics 4, 187-201)."""

    margin: float
    rows: int

    def chance(self, found: Evidence, lost: float | None = None) -> float:
        """The probability that it is certified. The loss itself is known only as well as the search rows tell; `lost`:
        a better estimate of it, if there is one."""
        left = self.margin - (found.value if lost is None else lost)
        spread = max(found.spread, 1e-12)
        if not left > 0 or not math.isfinite(spread):
            return 0.0
        error, doubt = spread / math.sqrt(self.rows), spread / math.sqrt(max(found.rows, 1))
        asked = ndtri(1 - SPENT) * error + _beyond(found) * found.rows / self.rows
        return float(ndtr((left - asked) / math.hypot(error, doubt)))

    def of(self, trial: Trial) -> float:
        assert trial.evidence is not None
        return self.chance(trial.evidence, trial.pooled)

    def promise(self, trial: Trial) -> float:
        """Its probability of being certified, times its gain."""
        return self.of(trial) * _worth(trial)

    def mendable(self, trial: Trial) -> float:
        """Its gain for each margin that it loses: a milder form does not mend a loss of many margins."""
        assert trial.evidence is not None
        lost = trial.evidence.value / self.margin
        return trial.gain / (lost if lost > 1 else 1.0)

    def likely(self, trial: Trial) -> bool:
        return not trial.reason and self.of(trial) >= LIKELY

    def nominate(self, trials: Sequence[Trial], *, late: Callable[[Trial], str] = lambda _: "") -> list[Trial]:
        """In the order in which they are to be judged; the others are told why they are not among them. `late`: why
        there is no time to certify one, or nothing: it would take another's place."""
        able = [each for each in trials if not each.reason or each.reason in PASSED_OVER]
        _pool(able)
        for each in able:
            each.reason = late(each)
            if not each.reason and (chance := self.of(each)) < CHANCE_MIN:
                each.reason = f"{self.rows:,} rows would certify it with a chance of {100 * chance:.0f} %"
                each.loses = True
        able = [each for each in able if not each.reason]
        most = sorted(able, key=lambda each: -self.promise(each))[:COMPARED_MAX]
        known = sorted(((self.of(each), _worth(each), each) for each in most), key=_safest_first)
        orders = [each for count in range(1, NOMINATED_MAX + 1) for each in combinations(known, count)]
        chosen = max(orders, key=_preferred, default=())
        best = [each for _, _, each in chosen]
        for each in able:
            if not any(each is one for one in best):
                each.reason = PASSED_OVER[len(best) > 1]
        return best


def _safest_first(known: tuple[float, float, Trial]) -> tuple[float, float]:
    """Of those that are as safe who gains less: whoever gains more may stand behind it, and not before."""
    chance, worth, _ = known
    return -round(chance, 3), worth


def _preferred(order: Sequence[tuple[float, float, Trial]]) -> tuple[float, ...]:
    """Of orders that are as good the longest, and that of which most is left without the last, and without the last
    two: who was nominated can still turn out to be slow, or there is no time left to make it."""
    left = [round(_expected(order[:count]), 2) for count in range(len(order), 0, -1)]
    return left[0], len(order), *left[1:]


def _expected(order: Sequence[tuple[float, float, Trial]]) -> float:
    """What the best that passes gains, by the chance and the worth of each; below 0 where one gains less than the one
    before it."""
    total, passed, before = 0.0, 1.0, 0.0
    for chance, worth, _ in order:
        passed *= chance
        total += passed * (worth - before) if worth > before else -math.inf
        before = worth
    return total


def _pool(trials: Sequence[Trial]) -> None:
    ladders: dict[int, list[tuple[int, Trial]]] = {}
    for each in trials:
        harsher, place = each.milder_than or (each, -1)
        ladders.setdefault(id(harsher), []).append((place, each))
    for ladder in ladders.values():
        found = [(each, each.evidence) for _, each in sorted(ladder, key=lambda step: step[0]) if each.evidence]
        if len(found) > 1:
            values, rows = zip(*((evidence.value, evidence.rows) for _, evidence in found), strict=True)
            pooled = isotonic_regression(values, weights=rows, increasing=False).x
            for (each, _), lost in zip(found, pooled, strict=True):
                each.pooled = float(lost)


@lru_cache(maxsize=64)
def _beyond(found: Evidence) -> float:
    """How much farther off its limit is than its spread says: a row not seen may be lost, which counts for one of so
    many rows."""
    usual = ndtri(1 - SPENT) * found.spread / math.sqrt(max(found.rows, 1))
    return max(0.0, found.limit(1 - SPENT) - found.value - float(usual))


def _worth(trial: Trial) -> float:
    return math.log(max(trial.gain, 1.01))
