"""The plan: configurations in their order, their folds side by side in worker processes, all inside the time.

    first configuration, all folds ─▶ one fold of each learner ─▶ all folds of what is wanted, then its like ─▶ the rest

A configuration whose folds are all fitted is a member. The plan ends when the time for fitting is over, when members
stop helping, or when somebody says so; what a unit reached by then is used, and without a member the folds that are.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any, Final

from aias.core.events import Event, Level, Watch
from aias.core.load import Load
from aias.training.ledger import Ledger
from aias.training.processes import timeouts
from aias.training.processes.memory import NO_MEMORY, Memory, on_some_rows
from aias.training.processes.worker import Order, Word
from aias.training.processes.workers import InlineWorkers, Worker, Workers
from aias.training.selection.configuration import ALL, Configuration, Unit
from aias.training.selection.fit_seconds import FitSeconds, allowed
from aias.training.selection.members import Member, member_of
from aias.training.selection.screening import Stage, by_promise, judging_folds
from aias.training.selection.trial import Trial, is_whole, left_before, left_for_folds, paced, patience, unended
from aias.training.table import Table

START_SECONDS_MIN: Final = 0.2
"""With less left nothing is begun."""

OPENING_SHARE: Final = 0.4
"""Of the time for fitting in which configurations may be begun by one fold."""

SKIPPED_MAX: Final = 30
"""In a row, more than a portfolio holds: a search that goes on without end then has nothing that could be started."""

LISTEN_SECONDS: Final = 0.1


class Plan:
    """`fit_ends_at()`: when fitting must be over, on the monotonic clock; it may move as members become known."""

    def __init__(
        self, table: Table, ledger: Ledger, workers: Workers | InlineWorkers, *, seed: int,
        fit_ends_at: Callable[[], float], memory: Memory, watch: Watch, load: Load | None = None,
    ) -> None:  # fmt: skip
        self.table, self.ledger, self.workers, self.memory, self.watch = table, ledger, workers, memory, watch
        self.load = load or Load()
        self.seed, self.fit_ends_at = seed, fit_ends_at
        self.as_left = False  # what the time of an earlier run cut stands: a version is made of it
        self._coming: Iterator[Configuration] = iter(())
        self._through = False  # whether the last of them has come
        self._stage, self._opening_ends_at = Stage.ALL, 0.0
        self._opened: list[Trial] = []
        self._others: list[Configuration] = []
        self._last: Iterator[Configuration] = iter(())
        self._narrow: Callable[[int], None] | None = None
        self._alone = False
        self._lead: Callable[[Member], float] | None = None
        self._begun: list[Trial] = []  # all of which a fold is through
        self._trials: list[Trial] = []
        self._fitting: dict[int, tuple[Trial, Unit]] = {}
        self._due: dict[int, float] = {}  # when each worker's unit should be through
        self._paces = FitSeconds()

    def run(
        self, configurations: Iterable[Configuration], told: Callable[[Member], bool], *,
        opening: Iterable[Configuration] = (), others: Iterable[Configuration] = (),
        narrow: Callable[[int], None] | None = None, lead: Callable[[Member], float] | None = None, alone: bool = False,
    ) -> None:  # fmt: skip
        """Fit until the time for it is over, or `told`, which gets each new member, says False.

        Of `opening` all but the first are begun by one fold. What an ensemble of these wants is ended first, then come
        `others` of the learners that it wants, then the rest. `narrow` is told when only so many folds are to judge,
        for want of time; without it, all judge. `lead`: by how much what has only its first folds is ahead of all that
        was told (`lead.lead`). `alone`: nothing is begun beside the first.
        """
        opening, others, self._narrow, self._through = list(opening), list(others), narrow, False
        self._coming, self._alone, self._lead, self._begun = chain(opening, others, configurations), alone, lead, []
        if self.table.fold_count > 1:
            now = time.monotonic()
            self._stage, self._opening_ends_at = Stage.OPENING, now + OPENING_SHARE * (self.fit_ends_at() - now)
            self._coming, self._others, self._last = iter(opening), list(others), iter(configurations)
        ended = set[str]()
        while self._go_on() or self._whole():
            for trial in self._whole():
                self._trials.remove(trial)
                ended.add(trial.configuration.name)
                if not told(self._member(trial)):
                    return self.stop()
                self._alone = False
        self.stop()
        rest = [each for each in [*opening, *others] if each.name not in ended]
        for trial in left_before(rest, self.table, self.ledger, seed=self.seed, ends_at=self.fit_ends_at()):
            ended.add(trial.configuration.name)
            if not told(self._member(trial)):
                break
        for trial in self._unended(ended):
            told(self._member(trial))
        return None

    def refit(self, members: Sequence[Member], ends_at: float) -> list[Member]:
        """Fit each again on all rows; gives those for which that could be done in time, and was not cut short by it."""
        self._coming, self.fit_ends_at = iter(()), lambda: ends_at
        trials = [Trial(each.configuration, deque([each.refit])) for each in members]
        self._trials = list(trials)
        while self._go_on():
            pass
        self.stop()
        return [
            each
            for each, trial in zip(members, trials, strict=True)
            if ALL in trial.done and is_whole(each.refit, self.table, self.ledger)
        ]

    def _unended(self, ended: set[str]) -> list[Trial]:
        """What has only its first folds, where there is nothing else or it is far ahead: from then on these judge."""
        lead = self._lead if self._narrow and self.table.blocks is None else None
        found = unended(self._begun, ended, lead and (lambda each: lead(self._member(each, folds=each.through))))
        return found if found and self._judge_by(found[0].through, "the others were not through in time") else []

    def _whole(self) -> list[Trial]:
        return [each for each in self._trials if all(fold in each.done for fold in range(self.table.fold_count))]

    def stop(self) -> None:
        """Leave everything that is not finished."""
        for worker in list(self.workers.busy):
            self.workers.replace(worker)
        self._trials, self._fitting, self._coming, self._stage = [], {}, iter(()), Stage.ALL

    def _go_on(self) -> bool:
        """Give work and listen once; False when nothing is left to do."""
        self._give_work()
        if not self.workers.busy:
            return False
        for worker, word in self.workers.listen(LISTEN_SECONDS):
            self._hear(worker, word)
        self._end_loading()
        self._end_overdue()
        self._end_too_large()
        return True

    # Giving work

    def _give_work(self) -> None:
        for worker in self.workers.idle[: self.memory.workers_max(len(self.workers.all)) - len(self.workers.busy)]:
            while (trial := self._next_trial()) is not None:
                unit = trial.waiting.popleft()
                found = self.ledger.get(unit.key(self.table.digest))
                if found is not None and found.cut and not self.as_left:  # there is more time now
                    self.ledger.drop(unit.key(self.table.digest))
                    found = None
                if found is None:
                    self._order(worker, trial, unit)
                    break
                self._finish(trial, unit, found.seconds, found.settings)

    def _order(self, worker: Worker, trial: Trial, unit: Unit) -> None:
        self._fitting[id(worker)] = (trial, unit)
        self._tell(unit, ended=False)
        now, seconds = time.monotonic(), self._unit_seconds(trial, unit)
        self._due[id(worker)] = now + seconds
        last = max(self.fit_ends_at(), now + seconds)
        early = timeouts.early(seconds, stretch=self.load.stretch)
        order = Order(unit.configuration, unit.fold, unit.seed, seconds - early, last - early, self.workers.threads)
        self.workers.give(worker, order)

    def _unit_seconds(self, trial: Trial, unit: Unit) -> float:
        left = self.fit_ends_at() - time.monotonic()
        if unit.fold == ALL:
            return left
        left = max(self._left(unit.configuration), left / 2)
        workers, estimate, whole = len(self.workers.all), self._estimate(unit.configuration), self.table.seen_whole
        turns = -(-(len(trial.waiting) + self._running(trial)) // workers)  # this unit already runs
        return allowed(trial, self._trials, left, turns=turns, workers=workers, estimate=estimate, seen_whole=whole)

    def _next_trial(self) -> Trial | None:
        if time.monotonic() + START_SECONDS_MIN > self.fit_ends_at():
            return None
        while True:
            trial = self._waiting_trial() or self._new_trial()
            if trial is not None or not self._through or not self._next_stage():
                return trial

    def _waiting_trial(self) -> Trial | None:
        for trial in list(self._trials):
            if trial.held:
                due = self._stage is Stage.ALL or (self._stage is Stage.WANTED and trial.wanted)
                if not due or not self._worth_ending(trial):
                    continue
                trial.held = False
            if trial.waiting and not (trial.first_chooses and self._running(trial)):
                return trial
        return None

    def _next_stage(self) -> bool:
        """Whether there is another, and all is there that it needs."""
        if self._stage is Stage.ALL or any(each.held and not each.done for each in self._trials):
            return False
        if self._stage is Stage.OPENING:
            self._coming = iter(self._end_opening())
        else:
            self._coming = chain(self._others, self._last)
        self._stage, self._through = Stage(self._stage.value + 1), False
        return True

    def _end_opening(self) -> list[Configuration]:
        """What promises most is ended first; gives the others of its learners. All are compared at once, so the order
        does not hang on who was first."""
        table = self.table
        found = [(each, self.ledger.get(each.done[0].key(table.digest))) for each in self._opened if 0 in each.done]
        opened = [each for each, entry in found if entry is not None]
        scores = [entry.scores for _, entry in found if entry is not None]
        places = by_promise(table.task, table.whole.y[table.outside(0)], scores, table.class_costs)
        for place, wanted in places:
            opened[place].wanted = wanted
        order = [id(opened[place]) for place, _ in places]
        self._trials.sort(key=lambda each: order.index(id(each)) if each.held and id(each) in order else -1)
        learners = {each.configuration.learner for each in opened if each.wanted}
        first = [each for each in self._others if each.learner in learners]
        self._others = [*self._coming, *(each for each in self._others if each.learner not in learners)]
        self._use_fewer_folds()
        return first

    def _use_fewer_folds(self) -> None:
        wanted = [each.seconds for each in self._trials if each.held and each.wanted]
        left = (self.fit_ends_at() - time.monotonic()) * len(self.workers.all)
        count = judging_folds(self.table.fold_count, self.table.rows, wanted=wanted, seconds=left)
        if count < self.table.fold_count:
            self._judge_by(count, "the time of the others goes to more configurations")

    def _judge_by(self, count: int, reason: str) -> bool:
        """From now on by the first `count` folds alone, if it is not said that all judge."""
        if self._narrow is None or self.table.blocks is not None:
            return False
        said = f"{count} of {self.table.fold_count} folds validate: {reason}"
        self.watch(Event("train.folds", said, facts={"folds": self.table.fold_count, "judging": count}))
        self.table = self.table.narrowed(count)
        for trial in self._trials:
            trial.waiting = deque(unit for unit in trial.waiting if unit.fold < count)
        self._narrow(count)
        return True

    def _new_trial(self) -> Trial | None:
        """The next configuration's; None for now, or because it was the last one."""
        if self._alone and self._trials:
            return None
        if self._stage is Stage.OPENING and time.monotonic() > self._opening_ends_at:
            self._through = True
            return None
        for configuration in islice(self._coming, SKIPPED_MAX):
            if not self._worth_starting(configuration):
                continue
            share = self.memory.rows_share(self.table, configuration)
            if self.workers.busy and share != configuration.settings.get("rows_share", 1.0):
                self._coming = chain((configuration,), self._coming)  # there is more when these are through
                return None
            if share is None:
                self._skip(configuration, NO_MEMORY)
                continue
            held = on_some_rows(configuration, share, self.watch)
            units = (Unit(held, fold, self.seed) for fold in range(self.table.fold_count))
            self._trials.append(Trial(held, deque(units)))
            if self._stage is Stage.OPENING:
                self._opened.append(self._trials[-1])
                self._trials[-1].held = len(self._opened) > 1
            return self._trials[-1]
        self._coming, self._through = iter(()), True
        return None

    def _worth_starting(self, configuration: Configuration) -> bool:
        if missing := self.workers.misses(configuration.learner):
            self._skip(configuration, f"there was no time to load {', '.join(sorted(missing))}")
            return False
        if not self._paces:  # the first is begun, however little time there is
            return True
        guessed = not self._paces.knows(configuration) and (self._stage is Stage.OPENING or paced(configuration))
        patient = patience(configuration, guessed=guessed)
        return self._fits(configuration, self._estimate(configuration), self.table.fold_count, patient)

    def _worth_ending(self, trial: Trial) -> bool:
        """Whether the folds that are left can be fitted, now that it is known what one takes."""
        each = self.load.stretch * trial.alone_seconds / max(len(trial.done), 1)
        if self._fits(trial.configuration, each, len(trial.waiting), patience(trial.configuration)):
            return True
        self._trials.remove(trial)
        return False

    def _fits(self, configuration: Configuration, each: float, folds: int, patient: float) -> bool:
        """Whether so many fits of so many seconds, with some patience, go into what is left; if not, that is told."""
        turns = -(-folds // len(self.workers.all))
        left = self._left(configuration)
        if each * turns <= patient * left:
            return True
        needed = f"{each * turns:,.1f} s of the {max(left, 0):,.1f} s that are left"
        self._skip(configuration, f"there was no time for it, which would take {needed}", "debug", seconds=each * turns)
        return False

    def _left(self, configuration: Configuration) -> float:
        """Seconds for its folds, beside those to keep free: it may have to be fitted once more, on all rows."""
        again = self._estimate(configuration) if self._paces and not self.table.seen_whole else 0.0
        left = self.fit_ends_at() - time.monotonic()
        return left_for_folds(configuration, left, again=again, alone=self.table.holds_out)

    def _estimate(self, configuration: Configuration) -> float:
        """Seconds of a fold, beside what else the machine does now."""
        return self._paces.estimate(configuration) * self.load.stretch

    # Hearing what became of it

    def _hear(self, worker: Worker, word: Word) -> None:
        if word.kind == "event":
            trial, unit = self._fitting[id(worker)]
            facts = {"configuration": trial.configuration.name, "fold": unit.fold, **word.facts}
            self.watch(Event(word.name, word.message, "debug", facts))
        elif word.kind == "done":
            trial, unit = self._released(worker)
            self._finish(trial, unit, word.facts["seconds"], word.facts["settings"], stretch=self.load.stretch)
        elif word.kind in {"failed", "gone"} and id(worker) in self._fitting:
            trial, _ = self._released(worker)
            self._give_up(trial, word.message, fault=word.name, first=not trial.done)

    def _released(self, worker: Worker) -> tuple[Trial, Unit]:
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

    def _finish(
        self, trial: Trial, unit: Unit, seconds: float, settings: dict[str, Any], *, stretch: float = 1.0
    ) -> None:
        trial.done[unit.fold] = unit
        if trial not in self._begun:
            self._begun.append(trial)
        trial.seconds += seconds
        trial.alone_seconds += seconds / stretch
        trial.share(settings)
        if unit.fold != ALL:
            self._paces.learn(unit.configuration, trial.alone_seconds / len(trial.done))

    def _give_up(self, trial: Trial, reason: str, **facts: Any) -> None:
        if trial in self._trials:
            self._trials.remove(trial)
            self._skip(trial.configuration, reason, **facts)
        trial.waiting.clear()

    def _skip(self, configuration: Configuration, reason: str, level: Level = "info", **facts: Any) -> None:
        facts |= {"configuration": configuration.name, "learner": configuration.learner, "reason": reason}
        self.watch(Event("train.skipped", f"{configuration.name} is left out: {reason}", level, facts))

    # Watching time and memory

    def _end_overdue(self) -> None:
        for worker in list(self.workers.busy):
            assert worker.order is not None
            if not worker.started:  # its time begins when it is there, which a busy machine puts off
                due = min(time.monotonic() + worker.order.seconds, self.fit_ends_at())
                self._due[id(worker)] = max(self._due[id(worker)], due)
            over = timeouts.at(worker, self._due[id(worker)], fit_ends_at=self.fit_ends_at(), fitted=bool(self._paces))
            if time.monotonic() > over:
                self._kill(worker, "it did not finish in time" if self.fit_ends_at() else "it was stopped")

    def _end_loading(self) -> None:
        most = timeouts.loading(self.fit_ends_at() - time.monotonic(), stretch=self.load.stretch)
        for worker in self.workers.give_up_loading(most):
            trial, _ = self._released(worker)
            missing = ", ".join(sorted(self.workers.misses(trial.configuration.learner)))
            self._give_up(trial, f"{missing} was not loaded within {most:.0f} s")
            self.workers.replace(worker)

    def _end_too_large(self) -> None:
        if self.memory.exhausted and self.workers.busy:
            self._kill(max(self.workers.busy, key=lambda each: each.memory_bytes), "it ran out of memory")
            self.memory.shrink()

    def _kill(self, worker: Worker, reason: str) -> None:
        """What it had kept takes the place of the whole fit."""
        trial, unit = self._released(worker)
        self.workers.replace(worker)
        key = unit.key(self.table.digest)
        if (kept := self.ledger.kept(key)) is None:
            return self._give_up(trial, reason)
        self.ledger.put(key, kept)
        return self._finish(trial, unit, kept.seconds, kept.settings, stretch=self.load.stretch)

    def _running(self, trial: Trial) -> int:
        return [held for held, _ in self._fitting.values()].count(trial)

    def _member(self, trial: Trial, *, folds: int = 0) -> Member:
        table = self.table.narrowed(folds) if folds else self.table
        units = [trial.done[fold] for fold in range(table.fold_count)]
        return member_of(trial.configuration, units, trial.seconds, table, self.ledger)
