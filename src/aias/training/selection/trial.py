"""A trial: a configuration on its way to become a member, fold by fold."""

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final

from aias.core.catalog import member
from aias.training.ledger import Ledger
from aias.training.selection.configuration import Configuration, Unit
from aias.training.table import Table

STRETCH: Final = 1.3
"""A configuration is left out when it should take more than this many times what is left: cut that short, it would only
weaken the others."""

PACED_STRETCH: Final = 2.0
"""The same for a learner that fits its schedule to the time it is given."""


GUESS_STRETCH: Final = 4.0
"""As `STRETCH`, for one fold of a learner whose pace is only guessed from that of others."""

RESERVED_SHARE: Final = 0.4
"""Of the time left, at most, that a learner which takes whatever it is given leaves to others that are wanted."""

LEAD_MIN: Final = 0.1
"""Of what all others leave to a perfect score, from which less than all folds judge for the sake of one: of fewer folds
fewer fits answer together, too."""

READING_SECONDS: Final = 1.0
"""After the time for fitting, for what an earlier run has left in the ledger."""


@dataclass(eq=False)
class Trial:
    """A configuration on its way to become a member."""

    configuration: Configuration
    waiting: deque[Unit]
    done: dict[int, Unit] = field(default_factory=dict)
    seconds: float = 0.0
    alone_seconds: float = 0.0
    """What that would have been, had nobody else had the processors."""
    held: bool = False
    """Whether its other folds wait until it is known how good the first ones of all are."""
    wanted: bool = False
    """Whether its first fold has a weight among those of all."""
    shared: dict[str, Any] = field(default_factory=dict)
    """What the first fold chose for all."""

    @property
    def through(self) -> int:
        """How many of the first folds are, without a gap."""
        return next(fold for fold in count() if fold not in self.done)

    @property
    def first_chooses(self) -> bool:
        """Whether its first fold is still to choose for all."""
        return bool(shared_settings(self.configuration)) and not self.done

    def unit(self, fold: int, seed: int) -> Unit:
        """With what the first fold chose, where it is through."""
        return Unit(replace(self.configuration, settings=self.configuration.settings | self.shared), fold, seed)

    def share(self, settings: dict[str, Any]) -> None:
        """What the first fold chose, its others take."""
        shared = {name: settings[name] for name in shared_settings(self.configuration) if name in settings}
        self.shared = self.shared or shared
        if shared and self.waiting:
            held = replace(self.configuration, settings=self.configuration.settings | shared)
            self.waiting = deque(replace(unit, configuration=held) for unit in self.waiting)


def is_whole(unit: Unit, table: Table, ledger: Ledger) -> bool:
    """Whether it is there, and no time has cut it short."""
    entry = ledger.get(unit.key(table.digest))
    return entry is not None and not entry.cut


def left_before(
    configurations: Iterable[Configuration], table: Table, ledger: Ledger, *, seed: int, ends_at: float
) -> Iterator[Trial]:
    """What an earlier run has fitted whole, where this one had no time to come to it; fitting takes time, reading
    hardly any."""
    until = max(ends_at, time.monotonic()) + READING_SECONDS
    for configuration in configurations:
        if time.monotonic() > until:
            return
        trial = Trial(configuration, deque())
        for fold in range(table.fold_count):
            unit = trial.unit(fold, seed)
            entry = ledger.get(unit.key(table.digest))
            if entry is None or entry.cut:
                break
            trial.done[fold] = unit
            trial.seconds += entry.seconds
            trial.share(entry.settings)
        else:
            yield trial


def unended(trials: Iterable[Trial], ended: Collection[str], lead: Callable[[Trial], float] | None) -> list[Trial]:
    """Those with some folds only that are to be used: the furthest, where none has `ended`; else the one that leads
    by most, if by far, and those of which the same folds are through."""
    some = [each for each in trials if each.through and each.configuration.name not in ended]
    if not ended or not some:
        return sorted(some, key=lambda each: -each.through)[:1]
    if lead is None:
        return []
    leads = [lead(each) for each in some]
    best = max(range(len(some)), key=leads.__getitem__)
    others = [each for each in some if each is not some[best] and each.through >= some[best].through]
    return [some[best], *others] if leads[best] >= LEAD_MIN else []


def reserved(trial: Trial, trials: Iterable[Trial], *, left: float, workers: int) -> float:
    """Seconds of those left for others that are wanted, where this one would take whatever it is given."""
    if not paced(trial.configuration):
        return 0.0
    others = (each for each in trials if each.held and each.wanted and each is not trial)
    needed = sum(each.seconds * len(each.waiting) for each in others if each.done) / workers
    return min(RESERVED_SHARE * left, needed)


def left_for_folds(configuration: Configuration, left: float, *, again: float, alone: bool) -> float:
    """Seconds of those left for its folds, where to fit it `again` on all rows takes so many. What takes whatever time
    it is given has half at least. `alone`: whether there is one fit; it has all, as it may answer without another
    (`Leaderboard.refits`)."""
    if paced(configuration):
        return max(left - again, left / 2)
    return left if alone else left - again


def paced(configuration: Configuration) -> bool:
    """Whether it fits its schedule to the time it is given."""
    return bool(getattr(member("learners", configuration.learner), "paced", False))


def patience(configuration: Configuration, *, guessed: bool = False) -> float:
    """By how many times what is left it may be too long; `guessed`: its pace is only known from that of others."""
    known = PACED_STRETCH if paced(configuration) else STRETCH
    return max(known, GUESS_STRETCH) if guessed else known


def shared_settings(configuration: Configuration) -> tuple[str, ...]:
    """The settings that the first fold chooses for all."""
    return getattr(member("learners", configuration.learner), "shared", ())
