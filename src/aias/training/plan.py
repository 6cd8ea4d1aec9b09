"""The plan: configurations in their order, their folds side by side in worker processes, all inside the time.

A configuration whose folds are all fitted is a member. The plan ends when the time for fitting is over, when members
stop helping, or when somebody says so; what a unit reached by then is used.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from typing import Any, Final

import numpy as np

from aias.core.catalog import member
from aias.core.events import Event, Level, Watch
from aias.encoders.contract import Floats
from aias.training.configuration import ALL, Configuration, Unit
from aias.training.ledger import Ledger
from aias.training.memory import Memory
from aias.training.table import Table
from aias.training.worker import Order, Word
from aias.training.workers import InlineWorkers, Worker, Workers

FIRST_SHARE: Final = 0.5
"""Of the time left that the folds of one configuration may take while others wait."""

UNIT_SECONDS_MIN: Final = 1.0
"""In less a unit cannot even start its libraries."""

START_SECONDS_MIN: Final = 0.2
"""With less left nothing is begun."""

GRACE_SECONDS: Final = 0.8
"""From a unit's deadline to its end; a learner that is not back by then is killed."""

IMPORT_SECONDS: Final = 3.0
"""What a worker gets besides when a learner's library has to be loaded, on a machine with other work to do."""

START_SECONDS: Final = 5.0
"""And for its process to start, when this is its first unit; there is nothing else to go on with yet."""

STRETCH: Final = 1.3
"""A configuration is left out when it should take more than this many times what is left: cut that short, it would only
weaken the others."""

PACED_STRETCH: Final = 4.0
"""The same for a learner that fits its schedule to the time it is given."""

LAST_SHARE: Final = 0.9
"""Of the time left that the folds of one configuration may take at most, those still waiting to be begun included."""

SKIPPED_MAX: Final = 30
"""In a row, more than a portfolio holds: a search that goes on without end then has nothing that could be started."""

LISTEN_SECONDS: Final = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class Member:
    """A configuration fitted on every fold."""

    configuration: Configuration
    units: tuple[Unit, ...]
    scores: Floats  # (rows that judge, outputs) out of fold, in the order of `Table.judged`
    refit: Unit
    """The same on all rows: with the settings of the first fold, and rounds and the like as the mean of all."""
    seconds: float
    """Of all folds together."""

    @property
    def name(self) -> str:
        return self.configuration.name

    @property
    def merges(self) -> bool:
        """Whether any number of its fits answer as fast as one (`ensemble.bagged`)."""
        learner = member("learners", self.configuration.learner)
        return bool(learner.sparse or getattr(learner, "thins", False))


@dataclass(eq=False)
class _Trial:
    """A configuration on its way to become a member."""

    configuration: Configuration
    waiting: deque[Unit]
    done: dict[int, Unit] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def pace(self) -> float:
        """Seconds of a fold, of something that costs 1."""
        return self.seconds / max(len(self.done), 1) / self.configuration.cost

    def share(self, settings: dict[str, Any]) -> None:
        """What the first fold chose, its others take."""
        shared = {name: settings[name] for name in _shared(self.configuration) if name in settings}
        if shared and self.waiting:
            held = replace(self.configuration, settings=self.configuration.settings | shared)
            self.waiting = deque(replace(unit, configuration=held) for unit in self.waiting)


class Plan:
    """`fit_ends_at()`: when fitting must be over, on the monotonic clock; it may move as members become known."""

    def __init__(
        self, table: Table, ledger: Ledger, workers: Workers | InlineWorkers, *, seed: int,
        fit_ends_at: Callable[[], float], memory: Memory, watch: Watch,
    ) -> None:  # fmt: skip
        self.table, self.ledger, self.workers, self.memory, self.watch = table, ledger, workers, memory, watch
        self.seed, self.fit_ends_at = seed, fit_ends_at
        self._coming: Iterator[Configuration] = iter(())
        self._trials: list[_Trial] = []
        self._fitting: dict[int, tuple[_Trial, Unit]] = {}
        self._due: dict[int, float] = {}  # when each worker's unit should be through
        self._paces: dict[tuple[str, ...], float] = {}  # of each learner on what it last read, and whatever it read
        self._plain: _Trial | None = None  # the first trees, whose pace stands for learners that were not met yet

    def run(self, configurations: Iterable[Configuration], told: Callable[[Member], bool]) -> None:
        """Fit until the time for it is over, or `told`, which gets each new member, says False."""
        self._coming = iter(configurations)
        while self._go_on() or self._whole():
            for trial in self._whole():
                self._trials.remove(trial)
                if not told(self._member(trial)):
                    return self.stop()
        return self.stop()

    def refit(self, members: Sequence[Member], ends_at: float) -> list[Member]:
        """Fit each again on all rows; gives those for which that could be done in time, and was not cut short by it."""
        self._coming, self.fit_ends_at = iter(()), lambda: ends_at
        trials = [_Trial(each.configuration, deque([each.refit])) for each in members]
        self._trials = list(trials)
        while self._go_on():
            pass
        self.stop()
        return [
            each
            for each, trial in zip(members, trials, strict=True)
            if ALL in trial.done and self._is_whole(each.refit)
        ]

    def _is_whole(self, unit: Unit) -> bool:
        entry = self.ledger.get(unit.key(self.table.digest))
        return entry is not None and not entry.cut

    def _whole(self) -> list[_Trial]:
        return [each for each in self._trials if len(each.done) == self.table.fold_count]

    def stop(self) -> None:
        """Leave everything that is not finished."""
        for worker in list(self.workers.busy):
            self.workers.replace(worker)
        self._trials, self._fitting, self._coming = [], {}, iter(())

    def _go_on(self) -> bool:
        """Give work and listen once; False when nothing is left to do."""
        self._give_work()
        if not self.workers.busy:
            return False
        for worker, word in self.workers.listen(LISTEN_SECONDS):
            self._hear(worker, word)
        self._end_overdue()
        self._end_too_large()
        return True

    # Giving work

    def _give_work(self) -> None:
        for worker in self.workers.idle[: self.memory.workers_max(len(self.workers.all)) - len(self.workers.busy)]:
            while (trial := self._next_trial()) is not None:
                unit = trial.waiting.popleft()
                found = self.ledger.get(unit.key(self.table.digest))
                if found is not None and found.cut:  # by the time of an earlier run: there is more now
                    self.ledger.drop(unit.key(self.table.digest))
                    found = None
                if found is None:
                    self._order(worker, trial, unit)
                    break
                self._finish(trial, unit, found.seconds, found.settings)

    def _order(self, worker: Worker, trial: _Trial, unit: Unit) -> None:
        self._fitting[id(worker)] = (trial, unit)
        self._tell(unit, ended=False)
        now, seconds = time.monotonic(), self._unit_seconds(trial, unit)
        self._due[id(worker)] = now + seconds
        last = max(self.fit_ends_at(), now + seconds)
        self.workers.give(
            worker, Order(unit.configuration, unit.fold, unit.seed, seconds, last, self.workers.threads)
        )  # fmt: skip

    def _unit_seconds(self, trial: _Trial, unit: Unit) -> float:
        left = self.fit_ends_at() - time.monotonic()
        if unit.fold == ALL:
            return left
        left = max(left - self._again(unit.configuration), left / 2)
        running = [held for held, _ in self._fitting.values()].count(trial)
        turns = -(-(len(trial.waiting) + running) // len(self.workers.all))  # with this unit among those running
        wanted = max(FIRST_SHARE * left / turns, STRETCH * self._estimate(unit.configuration), UNIT_SECONDS_MIN)
        return min(left if turns == 1 else LAST_SHARE * left / turns, wanted)

    def _next_trial(self) -> _Trial | None:
        if time.monotonic() + START_SECONDS_MIN > self.fit_ends_at():
            return None
        for trial in self._trials:
            piloting = _shared(trial.configuration) and not trial.done and self._runs(trial)
            if trial.waiting and not piloting:
                return trial
        for configuration in islice(self._coming, SKIPPED_MAX):
            if not self._worth_starting(configuration):
                continue
            share = self.memory.rows_share(self.table, configuration)
            if self.workers.busy and share != configuration.settings.get("rows_share", 1.0):
                self._coming = chain((configuration,), self._coming)  # there is more when these are through
                return None
            if share is None:
                self._skip(configuration, "there is not enough memory")
                continue
            held = self._on_some_rows(configuration, share)
            units = (Unit(held, fold, self.seed) for fold in range(self.table.fold_count))
            self._trials.append(_Trial(held, deque(units)))
            return self._trials[-1]
        self._coming = iter(())
        return None

    def _worth_starting(self, configuration: Configuration) -> bool:
        each = self._estimate(configuration)
        turns = -(-self.table.fold_count // len(self.workers.all))
        left = self.fit_ends_at() - time.monotonic() - self._again(configuration)
        patient = PACED_STRETCH if getattr(member("learners", configuration.learner), "paced", False) else STRETCH
        if self._paces and each * turns > patient * left:  # the first is begun, however little time there is
            self._skip(configuration, f"it would take {each * turns:.0f} s of the {left:.0f} s that are left", "debug")
            return False
        return True

    def _again(self, configuration: Configuration) -> float:
        """Seconds to keep free: if it becomes a member, it may have to be fitted once more, on all rows."""
        return self._estimate(configuration) if self._paces else 0.0

    def _on_some_rows(self, configuration: Configuration, share: float) -> Configuration:
        """The same, told where it is not fitted on all rows for want of memory."""
        before = configuration.settings.get("rows_share", 1.0)
        if share == before:
            return configuration
        said = f"1/{round(1 / share)} of the rows"
        facts: dict[str, object] = {"configuration": configuration.name, "rows_share": share}
        message = f"{configuration.name} is fitted on {said}: there is not enough memory for more"
        self.watch(Event("train.sampled", message, facts=facts))
        return replace(
            configuration, name=f"{configuration.name}, {said}", cost=configuration.cost * share / before,
            settings=configuration.settings | {"rows_share": share},
        )  # fmt: skip

    def _estimate(self, configuration: Configuration) -> float:
        """Seconds of one fold, from what its learner took so far, or else from what other trees took."""
        learner, plain = configuration.learner, self._plain.pace if self._plain else None
        pace = self._paces.get((learner, *configuration.derived), self._paces.get((learner,), plain))
        return UNIT_SECONDS_MIN if pace is None else pace * configuration.cost

    # Hearing what became of it

    def _hear(self, worker: Worker, word: Word) -> None:
        if word.kind == "event":
            trial, unit = self._fitting[id(worker)]
            facts = {"configuration": trial.configuration.name, "fold": unit.fold, **word.facts}
            self.watch(Event(word.name, word.message, "debug", facts))
        elif word.kind == "done":
            trial, unit = self._released(worker)
            self._finish(trial, unit, word.facts["seconds"], word.facts["settings"])
        elif word.kind in {"failed", "gone"} and id(worker) in self._fitting:
            trial, _ = self._released(worker)
            self._give_up(trial, word.message)

    def _released(self, worker: Worker) -> tuple[_Trial, Unit]:
        assert worker.order is not None
        worker.loaded.add(worker.order.configuration.learner)
        worker.order = None
        trial, unit = self._fitting.pop(id(worker))
        self._tell(unit, ended=True)
        return trial, unit

    def _tell(self, unit: Unit, *, ended: bool) -> None:
        facts: dict[str, object] = {"configuration": unit.configuration.name, "fold": unit.fold, "ended": ended}
        message = f"{unit.configuration.name}, fold {unit.fold}: {'ended' if ended else 'begun'}"
        self.watch(Event("train.unit", message, "debug", facts))

    def _finish(self, trial: _Trial, unit: Unit, seconds: float, settings: dict[str, Any]) -> None:
        trial.done[unit.fold] = unit
        trial.seconds += seconds
        trial.share(settings)
        if unit.fold != ALL:
            learner = unit.configuration.learner
            self._paces[(learner,)] = self._paces[(learner, *unit.configuration.derived)] = trial.pace
            if self._plain is None and learner == "boosted_trees":
                self._plain = trial

    def _give_up(self, trial: _Trial, reason: str) -> None:
        if trial in self._trials:
            self._trials.remove(trial)
            self._skip(trial.configuration, reason)
        trial.waiting.clear()

    def _skip(self, configuration: Configuration, reason: str, level: Level = "info") -> None:
        facts: dict[str, object] = {"configuration": configuration.name, "reason": reason}
        self.watch(Event("train.skipped", f"{configuration.name} is left out: {reason}", level, facts))

    # Watching time and memory

    def _end_overdue(self) -> None:
        for worker in list(self.workers.busy):
            assert worker.order is not None
            loading = 0.0 if worker.order.configuration.learner in worker.loaded else IMPORT_SECONDS
            loading += 0.0 if worker.loaded else START_SECONDS
            if time.monotonic() > self._due[id(worker)] + GRACE_SECONDS + loading:
                self._kill(worker, "it did not end in time")

    def _end_too_large(self) -> None:
        if self.memory.exhausted and self.workers.busy:
            self._kill(max(self.workers.busy, key=lambda each: each.memory_bytes), "it ran out of memory")
            self.memory.shrink()

    def _kill(self, worker: Worker, reason: str) -> None:
        """What it had kept takes the place of the whole fit."""
        trial, unit = self._released(worker)
        self.workers.replace(worker)
        key = unit.key(self.table.digest)
        kept = self.ledger.kept(key)
        if kept is None:
            self._give_up(trial, reason)
            return
        self.ledger.put(key, kept)
        self._finish(trial, unit, kept.seconds, kept.settings)

    def _runs(self, trial: _Trial) -> bool:
        return any(held is trial for held, _ in self._fitting.values())

    def _member(self, trial: _Trial) -> Member:
        units = tuple(trial.done[fold] for fold in range(self.table.fold_count))
        entries = [self.ledger.get(unit.key(self.table.digest)) for unit in units]
        scores = np.full((self.table.rows, self.table.task.outputs), np.nan)
        for unit, entry in zip(units, entries, strict=True):
            assert entry is not None
            scores[self.table.outside(unit.fold)] = entry.scores
        settings = _mean_settings([entry.settings for entry in entries if entry is not None])
        refit = Unit(replace(trial.configuration, settings=settings), ALL, self.seed)
        return Member(trial.configuration, units, scores[self.table.judged], refit, trial.seconds)


def _shared(configuration: Configuration) -> tuple[str, ...]:
    """The settings that the first fold chooses for all."""
    return getattr(member("learners", configuration.learner), "shared", ())


def _mean_settings(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Whole numbers that differ, such as rounds, become their mean; the rest is as in the first fold."""
    settings = dict(found[0])
    if "smear" in settings:
        settings["smear"] = sum(each["smear"] for each in found) / len(found)
    for name, value in settings.items():
        held = [each[name] for each in found if type(each.get(name)) is int]
        if type(value) is int and len(held) == len(found):
            settings[name] = round(sum(held) / len(held))
    return settings
