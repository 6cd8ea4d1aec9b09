"""How much time would have been enough for candidates that had none, by what it took to try the others.

search      what was over before the first was tried, what was spent, and what those would take that were never begun:
            as long as others of their technique, or else as any that takes seconds; in the share that is for searching.
            What a run before this one had made already is made again: with more time it is another candidate
certify     and after that what was finished, and those for which there was no time left
a fit       that its share of the time cut says what it would have taken, if it says how far it came
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from aias.compress.applicable import MINUTES
from aias.compress.context import FINISH_SHARE, FITTED_SHARE
from aias.compress.halving import LATE
from aias.compress.trial import Trial

MORE: Final = 1.2
"""Times what is reckoned: some candidates take more where they have more time, and a machine is not always as busy."""

COMBINED: Final = 2
"""Candidates that a technique makes of what was found by then, at most."""

DIGITS: Final = 2


@dataclass(frozen=True, slots=True)
class Spent:
    """Seconds: that were `given`; until the first candidate was tried; until the last was; and, after that, to finish
    those that were nominated."""

    given: float
    before: float
    searched: float = 0.0
    finished: float = 0.0


def enough(trials: Sequence[Trial], others: Iterable[float], spent: Spent, *, turns: int = 0) -> str:
    """What to give. `others`: how much each took of which there is no trial; 0 where that is not known. `turns`: how
    many techniques that combine what was found never had theirs."""
    late = [each for each in trials if each.reason.startswith(LATE)]
    tried = [each for each in trials if each.spent and each.evidence]
    found = [*(_needed(each, tried) for each in late), *[_usual(tried)] * (COMBINED * turns)]
    again = sum(each.restored for each in trials if not each.reason.startswith(LATE))
    search = max(spent.searched, spent.before) + again + sum(each.search for each in found if each)
    certify = spent.finished + sum(each.certify for each in found if each)
    whole = [*others, *(each.whole for each in found if each and each.whole)]
    seconds = MORE * max(search / (1 - FINISH_SHARE), search + certify, spent.given, *whole)
    if all(found) and all(whole):
        return f"about {rounded_up(seconds)} s would be enough"
    return f"give at least {rounded_up(max(seconds, 2 * spent.given, 3 * spent.before))} s"


def enough_to_fit(seconds: Sequence[float], *, before: float, spent: float, share: float = FITTED_SHARE) -> float:
    """Seconds in all, of which a `share` is for fits as in training: for those that were made, `spent`, and for others;
    0 where nobody knows how long one takes."""
    return (before + (spent + sum(seconds)) / share) / (1 - FINISH_SHARE) if all(seconds) else 0.0


def rounded_up(seconds: float) -> str:
    """To two digits: 96, and 1,300."""
    unit = 10 ** max(0, math.floor(math.log10(max(seconds, 1.0))) + 1 - DIGITS)
    return f"{unit * math.ceil(seconds / unit):,}"


@dataclass(frozen=True, slots=True)
class _Needed:
    """Seconds: of the search, to be certified, or of all that is given."""

    search: float = 0.0
    certify: float = 0.0
    whole: float = 0.0


def _needed(trial: Trial, tried: Sequence[Trial]) -> _Needed | None:
    """What one that was late would have taken; None where nothing says so."""
    if trial.enough:
        return _Needed(whole=trial.enough)
    if trial.evidence is not None:
        return _Needed(certify=trial.certify_seconds) if trial.certify_seconds else None
    alike = [each for each in tried if each.technique == trial.technique]
    return _usual(alike if alike or trial.technique in MINUTES else tried)


def _usual(tried: Sequence[Trial]) -> _Needed | None:
    """The mean of these; None of none."""
    return _Needed(search=sum(each.spent for each in tried) / len(tried)) if tried else None


__all__ = ["Spent", "enough", "enough_to_fit", "rounded_up"]
