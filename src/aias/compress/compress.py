"""A trained version → the cheapest form of it that is proved no worse than asked, or the word that nothing is worth it.

propose     each technique says what it would try, or why it cannot help
search      out of fold, on rows of their own; what is certain to lose more than the margin falls
time        by the serving path, turn about with the parent; what is neither faster nor smaller falls
nominate    three at most, by what they gain times the chance that the rows left can certify them
certify     once, on rows that nobody has looked at
"""

import math
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from aias.compress.certification import Finished, Last, by_other_engine, finish, served_bytes
from aias.compress.conclusion import Conclusion, Decided
from aias.compress.frontier import FELL, Frontier, Point
from aias.compress.gate.evidence import RISK
from aias.compress.gate.power import DIFFERING, Power, guessed
from aias.compress.gate.verdict import Sealed
from aias.compress.latency import race
from aias.compress.techniques.contract import Candidate, CannotHelp, Made
from aias.compress.trial import Judged, Trial
from aias.compress.workshop import FINISH_SHARE, workshop
from aias.core.catalog import member, members
from aias.core.deadline import Deadline
from aias.core.errors import Damaged, NotFound, UserError
from aias.core.events import Event, Watch, nobody
from aias.data.dataset import Dataset
from aias.graph.parity import ParityBroken
from aias.training import metrics
from aias.training.configuration import Configuration
from aias.training.finish import Trained, compiled
from aias.training.ledger import Ledger
from aias.training.members import Member
from aias.training.memory import Memory
from aias.training.parent import Parent
from aias.training.plan import Plan
from aias.training.reserve import Reserve, reserve
from aias.training.room import room
from aias.training.train import workers_for
from aias.training.unit import Bench

RESERVED: Final = 0.5
"""Of the folds, to certify by: a proof takes more rows than a choice."""

ONE_FIT: Final = (
    "no row was set aside (`aias train --test 0.2` does): it is not counted what the parent gains by the mean of its "
    "folds, which are"
)

NOMINATED_MAX: Final = 3
CHANCE_MIN: Final = 0.05
"""Of being certified; less is not worth the rows."""

BY_TEACHER: Final = ("cut_trees", "distill", "fewer_columns", "half_weights", "int8", "prune_weights", "smaller_model")
"""Techniques that need the parent's answers or its graph only, and no member of it."""

FITTED_SHARE: Final = 0.5
"""Of the time left for searching that goes to what is fitted as training fits."""

TIMED_SECONDS: Final = 1.0
TIMED_AGAIN_SECONDS: Final = 3.0
TIMED_ROWS: Final = 60


@dataclass(frozen=True, slots=True)
class Wanted:
    """`max_loss`: a share of the parent's own value of the metric; the others bound what may be nominated."""

    max_loss: float = 0.005
    latency_us: float | None = None
    size_bytes: int | None = None

    def __post_init__(self) -> None:
        if not 0 < self.max_loss <= 1:
            raise UserError(f"a loss of {self.max_loss:g} cannot be accepted", hint="for example 0.5%")


@dataclass(frozen=True, slots=True)
class Outcome:
    """`trained` is None when nothing is worth it; the frontier's `verdict` says why."""

    frontier: Frontier
    trained: Trained | None


def compress(
    parent: Parent, dataset: Dataset, wanted: Wanted, *, deadline: Deadline, test: Dataset | None = None,
    work: Path | None = None, number: int = 0, techniques: Sequence[str] = (), inline: bool = False,
    stop: threading.Event | None = None, watch: Watch = nobody,
) -> Outcome:  # fmt: skip
    """`dataset`: the rows that the parent was trained on or, of one that was imported, labelled ones; `test`: those it
    was measured on, if they were a file. `work`: where training kept its ledger; what lies there is not fitted again.
    `techniques`: by default all.

    Raises `OtherRows` when the rows are not the parent's, and `UserError` when there is too little time or data.
    """
    known = members("compress.techniques")
    if unknown := [name for name in techniques if name not in known]:
        raise NotFound(f"there is no technique `{unknown[0]}`", hint=f"choose from: {', '.join(known)}")
    kept = Ledger(work, of_home=True) if work is not None and work.is_dir() else None
    if parent.imported:
        prepared = parent.taught(dataset, seconds=deadline.left, watch=watch)
    else:
        prepared = parent.prepared(dataset, test, ledger=kept, seconds=deadline.left, watch=watch)
    bagged = prepared.table.fold_count > 1 and not parent.imported  # both forms are means of several fits
    if bagged and not prepared.test.rows:
        watch(Event("compress.one-fit", f"{ONE_FIT} {prepared.table.fold_count}", "warning"))
    # What a mean of all folds gains over one of them, only rows of no fold can tell.
    held = reserve(prepared, seed=parent.recipe.seed + number, share=RESERVED, beside_test=not bagged)
    with room(work, prepared.table.digest) as folder:
        job = _Job(
            parent, held, Ledger(folder), wanted, tuple(techniques) or known, deadline, stop or threading.Event(), watch
        )
        return job.run(inline=inline)


@dataclass(eq=False)
class _Job:
    parent: Parent
    held: Reserve
    ledger: Ledger
    wanted: Wanted
    techniques: tuple[str, ...]
    deadline: Deadline
    stop: threading.Event
    watch: Watch
    fallen: list[Point] = field(default_factory=list)
    """Techniques that cannot help, and what could not be fitted."""
    _skipped: dict[str, str] = field(default_factory=dict)

    def run(self, *, inline: bool) -> Outcome:
        prepared, seed = self.held.prepared, self.parent.recipe.seed
        self.search_ends_at = self.deadline.ends_at - FINISH_SHARE * self.deadline.seconds
        bench = Bench(prepared.table, self.ledger)
        with workers_for(bench, inline=inline) as workers:
            plan = Plan(
                prepared.table, self.ledger, workers, seed=seed, fit_ends_at=lambda: self.search_ends_at,
                memory=Memory(), watch=self._hear,
            )  # fmt: skip
            self.shop = workshop(self.parent, prepared, bench, plan, deadline=self.deadline, stop=self.stop)
            self.judged = Judged(self.shop, self.held.held, seed)
            self._measure_parent()
            trials = self._search(plan)
            return self._concluded(trials, self._nominated(trials))

    # The parent

    def _measure_parent(self) -> None:
        """Its metric, from which the margin follows; and what the rows can say of such a margin."""
        judged, task = self.judged, self.shop.task
        rows, self.last = judged.searched, Sealed(Last(judged))
        parent = judged.parent.take(rows)
        value = metrics.measure(task, judged.y[rows], parent.scores, label_weights=parent.label_weights).value
        if not np.isfinite(value):
            raise UserError(f"{task.metric} cannot be measured on the {len(rows):,} rows to search by")
        self.margin = max(self.wanted.max_loss * abs(value), np.finfo(np.float64).eps)
        alike = judged.loss(rows, parent).spread * math.sqrt(len(rows))  # one row of doubt tells how far rows lie apart
        spread = math.sqrt(DIFFERING) if task.metric == "accuracy" else guessed(alike)
        prepared = self.held.prepared
        self.certified_rows = prepared.test.rows + int(self.held.held.sum())
        self.power = Power(task.metric, self.margin, spread, self.certified_rows)
        self._tell("compress.power", str(self.power), **msgspec.to_builtins(self.power))
        names = [each.name for each in prepared.encoder.fields]
        usual = prepared.dataset.take(np.arange(min(TIMED_ROWS, prepared.dataset.rows)))
        self.rows = usual.frame.select(names).to_dicts()
        self.parent_bytes = served_bytes({each.path: each.size_bytes for each in self.parent.manifest.files})

    # Searching

    def _search(self, plan: Plan) -> list[Trial]:
        proposed = {name: self._proposals(name) for name in self.techniques}
        trials = [
            Trial(each, name)
            for together in zip_longest(*(
                [(name, each) for each in found if isinstance(each, Candidate)] for name, found in proposed.items()
            ))
            for name, each in filter(None, together)
        ]  # fmt: skip
        self.count = max(1, sum(map(len, proposed.values())))
        done = [self._tried(each) for each in trials if each.candidate.scores is not None]
        done += [self._tried(each) for each in self._fitted(plan, proposed)]
        for each in trials:
            if each.candidate.scores is None:
                each.reason = "there was no time for it" if self._over else ""
                done.append(each if each.reason else self._tried(each))
        return done

    @property
    def _over(self) -> bool:
        return self.stop.is_set() or time.monotonic() > self.search_ends_at

    def _proposals(self, name: str) -> list[Candidate | Configuration]:
        if self.parent.imported and name not in BY_TEACHER:
            reason = "it was imported: what it was fitted from is not known"
            self.fallen.append(Point(name.replace("_", " "), name, FELL, reason))
            return []
        try:
            return list(member("compress.techniques", name)(self.shop))
        except CannotHelp as fault:
            self.fallen.append(Point(name.replace("_", " "), name, FELL, fault.message))
            return []

    def _fitted(self, plan: Plan, proposed: dict[str, list[Any]]) -> Iterator[Trial]:
        """What training itself can fit: on all folds, in worker processes, inside its share of the time."""
        technique = {each.name: name for name, found in proposed.items() for each in found
                     if isinstance(each, Configuration)}  # fmt: skip
        configurations = [each for found in proposed.values() for each in found if isinstance(each, Configuration)]
        ends_at = time.monotonic() + FITTED_SHARE * max(0.0, self.search_ends_at - time.monotonic())
        plan.fit_ends_at = lambda: ends_at
        found: list[Member] = []

        def take(each: Member) -> bool:
            found.append(each)
            return not self.stop.is_set()

        plan.run(configurations, take)
        for each in found:
            yield Trial(Candidate(each.name, self._maker(each), each.scores), technique[each.name])
        ready = {each.name for each in found}
        for name in technique.keys() - ready:
            reason = self._skipped.get(name, "there was no time for it")
            self.fallen.append(Point(name, technique[name], FELL, reason))

    def _maker(self, found: Member) -> Any:
        return lambda fold: Made(self.shop.part(found, fold), self.shop.encoder)

    def _tried(self, trial: Trial) -> Trial:
        try:
            trial.search(self.judged, margin=self.margin, risk=RISK / self.count)
            self._time(trial)
        except (ParityBroken, Damaged) as fault:
            trial.reason = f"its graph is not what was fitted: {fault.message}"
        except UserError as fault:
            trial.reason = fault.message
        except Exception as fault:  # noqa: BLE001  a learner's library may raise anything; the others go on without it
            trial.reason = f"it could not be made: {type(fault).__name__}: {fault}"[:300]
        self._say(trial)
        return trial

    def _time(self, trial: Trial) -> None:
        """A fold's fit as it would be served, beside the parent."""
        parts = self.judged.parts(self.judged.searched)
        made = trial.at(parts[0][0])
        draft = trial.draft(self.parent.manifest, made)
        files, runtime = compiled(made.pipeline, made.encoder, draft, made.embedding or self.shop.prepared.embedding)
        by_other_engine(runtime, files, made, watch=self._hear)
        seconds = min(TIMED_SECONDS, 0.02 * self.deadline.seconds)
        trial.race = race(self.parent.runtime, runtime, self.rows, seconds=seconds, seed=self.judged.seed)
        trial.size_bytes = served_bytes({path: len(held) for path, held in files.items()})
        trial.smaller = self.parent_bytes / max(trial.size_bytes, 1)
        trial.reason = trial.reason or self._unwanted(trial)

    def _unwanted(self, trial: Trial) -> str:
        assert trial.race is not None
        row_us = trial.race.second.p50.value
        if self.wanted.latency_us is not None and row_us > self.wanted.latency_us:
            return f"a row takes {row_us:,.0f} µs, more than the {self.wanted.latency_us:,.0f} that were asked for"
        if self.wanted.size_bytes is not None and trial.size_bytes > self.wanted.size_bytes:
            return f"{trial.size_bytes:,} bytes are more than the {self.wanted.size_bytes:,} that were asked for"
        if not trial.helps:
            speed = trial.race.speed
            return f"{speed.value:.2f}× as fast and {trial.smaller:.2f}× as small is not worth it"
        return ""

    # Certifying

    def _nominated(self, trials: Sequence[Trial]) -> list[Trial]:
        able = [each for each in trials if not each.reason]
        for each in able:
            chance = self._chance(each)
            if chance < CHANCE_MIN:
                each.reason = f"{self.certified_rows:,} rows would certify it with a chance of {100 * chance:.0f} %"
        able = [each for each in able if not each.reason]
        worth = {id(each): self._chance(each) * math.log(max(each.gain, 1.01)) for each in able}
        ranked = sorted(able, key=lambda each: -worth[id(each)])
        for each in ranked[NOMINATED_MAX:]:
            each.reason = f"{NOMINATED_MAX} that promise more were nominated"
        return ranked[:NOMINATED_MAX]

    def _chance(self, trial: Trial) -> float:
        """That the rows left certify it, were its loss what it was where it was searched."""
        assert trial.evidence is not None
        left = self.margin - trial.evidence.value
        if not left > 0:
            return 0.0
        return Power(self.shop.task.metric, left, max(trial.evidence.spread, 1e-12), self.certified_rows).chance

    def _finished(self, nominated: list[Trial]) -> list[Finished]:
        """As they would be served, timed again; without those that are not worth it after all."""
        ready: list[Finished] = []
        seconds = min(TIMED_AGAIN_SECONDS, 0.05 * self.deadline.seconds)
        for trial in nominated:
            try:
                found = finish(trial, self.judged, self.rows, seconds=seconds, watch=self._hear)
            except (ParityBroken, Damaged) as fault:
                trial.reason = f"its graph is not what was fitted: {fault.message}"
                continue
            except UserError as fault:
                trial.reason = fault.message
                continue
            trial.race, trial.size_bytes = found.race, found.size_bytes
            trial.smaller = self.parent_bytes / max(found.size_bytes, 1)
            trial.reason = self._unwanted(trial)
            if not trial.reason:
                ready.append(found)
        return ready

    def _concluded(self, trials: list[Trial], nominated: list[Trial]) -> Outcome:
        ready, last = self._finished(nominated), self.last.open()
        said = last.judge(ready, self.power.margin) if ready else []
        decided = [Decided(each, *found) for each, found in zip(ready, said, strict=True)]
        conclusion = Conclusion(
            self.judged, trials, decided, last, self.power, self.wanted.max_loss, self.fallen, self.parent_bytes,
            self._chance,
        )  # fmt: skip
        frontier = conclusion.frontier()
        self._tell("compress.verdict", frontier.verdict)
        return Outcome(frontier, conclusion.published(frontier, watch=self._hear))

    # Telling

    def _hear(self, event: Event) -> None:
        if event.name == "train.skipped":
            self._skipped[str(event.facts["configuration"])] = str(event.facts["reason"])
        self.watch(replace(event, level="debug") if event.level == "info" else event)

    def _say(self, trial: Trial) -> None:
        speed = f"{trial.race.speed.value:.3g}× as fast, {trial.smaller:.3g}× as small" if trial.race else "not timed"
        loss = f", loss {trial.evidence.value:+.2g}" if trial.evidence else ""
        self._tell("compress.candidate", f"{trial.name}: {speed}{loss}{'; ' + trial.reason if trial.reason else ''}",
                   candidate=trial.name, technique=trial.technique, reason=trial.reason)  # fmt: skip

    def _tell(self, name: str, message: str, **facts: object) -> None:
        self.watch(Event(name, message, facts=facts))
