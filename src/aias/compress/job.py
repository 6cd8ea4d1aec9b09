"""One compression, step by step: measure the parent, search candidates, nominate, certify, conclude."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest
from typing import Any, Final

import msgspec
import numpy as np

from aias.compress.applicable import BY_BASE, BY_TEACHER, COMPRESSED, LAST, MINUTES, NOT_KNOWN, SECONDS
from aias.compress.cascading import fair, usual
from aias.compress.certification import Certification, Finished, finish, served_bytes
from aias.compress.checkpoint import Checkpoint
from aias.compress.compressed_parent import stacked
from aias.compress.conclusion import Conclusion, Decided, Outcome
from aias.compress.context import FINISH_SHARE, open_context
from aias.compress.direct import DIRECT, Direct
from aias.compress.enough import Spent, enough_to_fit
from aias.compress.fitting import candidate_of, fitted_share, fitted_when_asked, is_cut
from aias.compress.footprint import Scales
from aias.compress.frontier import FELL, Point, sized, times
from aias.compress.gate.evidence import RISK, signed
from aias.compress.gate.power import Power
from aias.compress.gate.verdict import Sealed
from aias.compress.goals import Goals
from aias.compress.halving import LATE, NO_TIME, Halving
from aias.compress.nomination import Assurance
from aias.compress.repair import repaired
from aias.compress.searched import searched
from aias.compress.served import as_served, engines
from aias.compress.techniques.contract import Candidate, Ladder, NotApplicable
from aias.compress.trial import Judged, Trial, fault_of
from aias.core.arrays import Ints
from aias.core.catalog import member
from aias.core.deadline import Deadline
from aias.core.errors import Damaged, UserError
from aias.core.events import Event, Watch
from aias.core.load import Load, family
from aias.data.dataset import Dataset
from aias.graph.parity import ParityBroken
from aias.runtimes.latency import paired_latencies
from aias.training.finish import compiled
from aias.training.held_out import HeldOut
from aias.training.ledger import Ledger
from aias.training.parent import NoTime, Parent
from aias.training.prepare import encoded_of
from aias.training.processes.memory import Memory
from aias.training.scoring import metrics
from aias.training.selection.configuration import ALL, Configuration
from aias.training.selection.members import Member
from aias.training.selection.plan import Plan
from aias.training.train import workers_for
from aias.training.unit import UnitFitter

TIMED_SECONDS: Final = 0.5
"""For timing each candidate beside its parent; nominated ones are timed again, six times as long."""

TIMED_AGAIN_SECONDS: Final = 3.0


@dataclass(eq=False)
class Job:
    parent: Parent
    held: HeldOut
    ledger: Ledger
    wanted: Goals
    techniques: tuple[str, ...]
    deadline: Deadline
    stop: threading.Event
    watch: Watch
    scales: Scales
    opened: Callable[[], int]
    chain: Sequence[Parent] = ()
    """If the parent is compressed: the versions from the first compressed one to the parent itself."""
    trained: Parent | None = None
    """If the parent is compressed: the trained version that they were made from."""
    extra: Dataset | None = None
    """Unlabelled rows for distillation."""
    fallen: list[Point] = field(default_factory=list)
    """Techniques that do not apply, and candidates that could not be fitted."""
    make_seconds: dict[str, float] = field(default_factory=dict)
    """The longest time of each technique for one candidate; later ones may reuse what the first has fitted."""
    _skipped: dict[str, tuple[str, float]] = field(default_factory=dict)
    """Why a fit was left out, and the seconds that it would have taken, where there was no time for these."""
    _enough: dict[str, float] = field(default_factory=dict)
    """For what fell for want of time before there was a trial: about how much in all; 0 where nobody knows."""
    _turns: int = 0
    """Techniques that combine what was found, and for which there was no time."""
    _ladders: dict[str, Ladder] = field(default_factory=dict)
    """Milder forms, by the name of their configuration."""

    def run(self, *, inline: bool) -> Outcome:
        first, prepared = self.trained or self.parent, self.held.prepared
        self.search_ends_at = self.deadline.ends_at - FINISH_SHARE * self.deadline.seconds
        fitter = UnitFitter(prepared.table, self.ledger)
        with workers_for(fitter, inline=inline) as workers:
            plan = Plan(
                prepared.table, self.ledger, workers, seed=first.recipe.seed, fit_ends_at=lambda: self.search_ends_at,
                memory=Memory(), watch=self._hear, load=Load(family),
            )  # fmt: skip
            context = open_context(first, prepared, fitter, plan, deadline=self.deadline, stop=self.stop)
            context.certifying = prepared.table.judged[self.held.held]
            if self.extra is not None:
                context.extra, context.unlabelled = encoded_of(self.extra, prepared.encoder), self.extra.digest
            self.context = stacked(context, self.chain)
            self.judged = Judged(self.context, self.held.held, context.seed)
            self.before = Judged(context, self.held.held, context.seed) if self.chain else None  # the trained version
            self.kept = Checkpoint(self.ledger, (
                self.parent.manifest.digest, prepared.table.digest, context.seed, self.deadline.seconds,
                self.wanted.callers, context.unlabelled, *engines(self.parent.runtime),
            ), {each.name: each for each in context.members})  # fmt: skip
            self._measure_parent()
            outcome = self._concluded(trials := self._search(plan))
            if not self.stop.is_set():
                self.kept.forget(trials)
            return outcome

    # The parent

    def _measure_parent(self) -> None:
        """Measure the parent, which sets the margin, and the power of the rows to detect a loss of that margin."""
        judged, task = self.judged, self.context.task
        rows, self.last = judged.searched, Sealed(Certification(judged))
        parent = judged.parent.take(rows)
        value = metrics.measure(task, judged.y[rows], parent.scores, label_weights=parent.label_weights).value
        self.margin = self.wanted.margin(task.metric, value, rows=len(rows))
        prepared = self.held.prepared
        if prepared.answers_of:
            spread, doubt = judged.spread_from_teacher(self.margin), 0.0
        else:
            spread, doubt = judged.guessed(rows, right=value if task.metric == "accuracy" else None)
        self.certified_rows = prepared.test.rows + int(self.held.held.sum())
        self.power = Power(self.context.metric, self.margin, spread, self.certified_rows, doubt=doubt)
        self.assurance = Assurance(self.margin, self.certified_rows)
        self._tell("compress.power", self.wanted.told(self.power), **msgspec.to_builtins(self.power))
        self.rows = usual(self.context)
        self.parent_bytes = self.parent.manifest.served_bytes

    # Searching

    def _search(self, plan: Plan) -> list[Trial]:
        able = self.techniques
        if self.parent.imported or self.chain:
            known, why = (BY_BASE, COMPRESSED) if self.chain else (BY_TEACHER, NOT_KNOWN)
            able = tuple(name for name in self.techniques if name in known)
            named = ", ".join(name.replace("_", " ") for name in self.techniques if name not in able)
            if named:
                self.fallen.append(Point("techniques that fit its parts again", "", FELL, f"{why}: {named}"))
        able = tuple(sorted(able, key=lambda name: name not in SECONDS))
        proposed = {name: self._proposals(name) for name in able if name not in LAST}
        trials = [
            Trial(each, name)
            for together in zip_longest(*(
                [(name, each) for each in found if isinstance(each, Candidate)] for name, found in proposed.items()
            ))
            for name, each in filter(None, together)
        ]  # fmt: skip
        trials = [*self._fitted(plan, proposed), *trials]
        self.looks = max(1, len(trials) * len(self.judged.samples()))
        for each in trials:
            self.kept.restore(each)
        self.spent = Spent(self.deadline.seconds, self.deadline.seconds - self.deadline.left)
        trials += self._direct.turn(1)
        soon = [each for each in trials if each.technique not in MINUTES]
        Halving(self.judged, self._tried, lambda: self._over, self.assurance.promise).run(soon)
        trials += self._direct.turn()
        for each in trials:
            if each.technique in MINUTES:
                self._tried_whole(each)
        for name in LAST:  # before repairs, which take far longer
            trials += self._going_on(name, trials) if name in able else []
        trials += repaired(trials, self.assurance, attempt=self._tried_whole, over=lambda: self._over)
        for each in trials:
            self.make_seconds[each.technique] = max(self.make_seconds.get(each.technique, 0.0), each.make_seconds)
        self.spent = replace(self.spent, searched=self.deadline.seconds - self.deadline.left)
        return trials

    def _going_on(self, name: str, trials: list[Trial]) -> list[Trial]:
        """Try the candidates that a technique makes from the results so far."""
        try:
            if self._over and self.context.task.classes:
                raise NoTime(NO_TIME)  # noqa: TRY301  reported with the other failures below
            self.context.search = searched(
                trials, self.judged, self.assurance, parent_bytes=self.parent_bytes,
                size_bytes_max=self.wanted.size_bytes, time=self._timed_alone,
            ) if self.context.task.classes else None  # fmt: skip
        except Exception as fault:  # noqa: BLE001  candidates are made again, and may raise anything
            why = getattr(fault, "message", f"{type(fault).__name__}: {fault}")[:300]
            self._turns += why.startswith(LATE)
            self.fallen.append(Point(name.replace("_", " "), name, FELL, why))
            return []
        found = [Trial(each, name) for each in self._proposals(name) if isinstance(each, Candidate)]
        for each in found:
            self._tried_whole(each)
        return found

    def _timed_alone(self, trial: Trial) -> None:
        """Time a candidate that was rejected before it was timed; if that fails, it stays untimed."""
        with contextlib.suppress(NoTime, ParityBroken, UserError, Damaged):
            self._time(trial)

    @property
    def _over(self) -> bool:
        return self.stop.is_set() or time.monotonic() > self.search_ends_at

    def _proposals(self, name: str) -> list[Candidate | Configuration]:
        try:
            found = list(member("compress.techniques", name)(self.context))
            self._ladders |= {each.harshest.name: each for each in found if isinstance(each, Ladder)}
            return [each.harshest if isinstance(each, Ladder) else each for each in found]
        except NotApplicable as fault:
            self._fell(name.replace("_", " "), name, fault.message, fault.enough)
            return []

    def _fell(self, name: str, technique: str, reason: str, enough: float) -> None:
        self.fallen.append(Point(name, technique, FELL, reason))
        if reason.startswith(LATE):
            self._enough[name] = enough

    def _fitted(self, plan: Plan, proposed: dict[str, list[Any]]) -> Iterator[Trial]:
        """Candidates fitted as in training: on all folds, in worker processes, within their share of the time."""
        named = [(name, each) for name, found in proposed.items() for each in found if isinstance(each, Configuration)]
        technique = {each.name: name for name, each in named}
        share = fitted_share(proposed)
        ends_at = (began := time.monotonic()) + share * max(0.0, self.search_ends_at - began)
        plan.fit_ends_at = lambda: ends_at
        found: list[Member] = []

        def take(each: Member) -> bool:
            found.append(each)
            return not self.stop.is_set()

        plan.run((each for _, each in named), take)
        plan.fit_ends_at = lambda: self.search_ends_at
        found = [each for each in found if not is_cut(self.context, each)]
        for each in found:
            one = replace(candidate_of(self.context, each), milder=self._milder(each.name))
            yield Trial(one, technique[each.name], asked={each.name: each})
        missing = {name: self._skipped.get(name, (NO_TIME, 0.0)) for name in technique.keys() - {m.name for m in found}}
        spent, over = time.monotonic() - began, self.deadline.seconds - self.deadline.left
        late = [seconds for reason, seconds in missing.values() if reason.startswith(LATE)]
        whole = enough_to_fit(late, before=over - spent, spent=spent, share=share)
        again = [each for name, each in named if name == DIRECT and missing.get(each.name, ("",))[0].startswith(LATE)]
        self._direct = Direct(self.context, again, whole, self._tried_whole, self._fell)
        for name in missing.keys() - {each.name for each in again}:
            self._fell(name, technique[name], missing[name][0], whole)

    def _milder(self, name: str) -> Callable[[], list[Candidate]] | None:
        ladder = self._ladders.get(name)
        return (lambda: [fitted_when_asked(self.context, each) for each in ladder.milder()]) if ladder else None

    def _tried_whole(self, trial: Trial) -> None:
        self.kept.restore(trial)
        for rows in self.judged.samples():
            if not (trial.reason or self._over):
                self._tried(trial, rows)
        if trial.evidence is None and not trial.reason:
            trial.reason = NO_TIME

    def _tried(self, trial: Trial, rows: Ints) -> None:
        """Make a candidate, judge it on these rows, time it once unless it is lost for good, and store the result."""
        before, first, began = (len(trial.known), trial.alone), trial.evidence is None, time.monotonic()
        try:
            if not trial.fault:
                self.context.asked = trial.asked
                self._judge(trial, rows)
        except NoTime as fault:
            trial.reason, trial.enough = fault.message, fault.enough
        except Exception as fault:  # noqa: BLE001  a learner's library may raise anything; other candidates go on
            trial.fault = fault_of(fault)
        trial.reason = trial.fault or trial.reason
        trial.spent += time.monotonic() - began
        if trial.fault or before != (len(trial.known), trial.alone):
            self.kept.note(trial)
        if first:
            self._say(trial)

    def _judge(self, trial: Trial, rows: Ints) -> None:
        trial.search(self.judged, rows, margin=self.margin, risk=RISK / self.looks)
        if trial.alone is None and not (trial.loses and trial.candidate.milder is None):
            self._time(trial)
        trial.reason = trial.reason or self._unwanted(trial)

    def _time(self, trial: Trial) -> None:
        """Time the fit of a fold, or of all rows, in its served form beside the parent."""
        fold, timed = self.judged.parts(self.judged.searched)[0][0], trial.candidate.timed
        made = timed() if timed else trial.at(ALL if trial.candidate.whole else fold)
        draft = trial.draft(self.parent.manifest, made)
        files, runtime = compiled(made.pipeline, made.encoder, draft, made.embedding or self.context.prepared.embedding)
        as_served(trial, runtime, files, made, watch=self._hear)
        seconds = min(TIMED_SECONDS, 0.01 * self.deadline.seconds)
        rows = fair(self.context, made, trial.candidate.sent, self.rows)
        trial.alone, trial.together = paired_latencies(
            self.parent.runtime, runtime, rows, callers=self.wanted.callers, seconds=seconds, seed=self.judged.seed
        )
        trial.size_bytes = served_bytes({path: len(held) for path, held in files.items()})
        trial.smaller = self.parent_bytes / max(trial.size_bytes, 1)

    def _unwanted(self, trial: Trial) -> str:
        assert trial.alone is not None
        meant = " on average" if trial.candidate.sent else ""
        if missed := self.wanted.missed(trial.row_us, trial.size_bytes, meant=meant):
            return missed
        return "" if trial.helps else trial.unworthy(meant=meant)

    # Certifying

    def _finished(self, nominated: list[Trial]) -> list[Finished]:
        """Finish them in their served form and time them again; leave out those that turn out not to be worth it. Those
        first that take least: they are lost to nobody's want of time."""
        ready: list[Finished] = []
        seconds = min(TIMED_AGAIN_SECONDS, 0.05 * self.deadline.seconds)
        for trial in sorted(nominated, key=self._needed):
            if late := self._late(trial):
                trial.reason = late
                continue
            try:
                found = finish(
                    trial, self.judged, self.rows, callers=self.wanted.callers, scales=self.scales, seconds=seconds,
                    watch=self._hear,
                )  # fmt: skip
                self._ask_before_last(trial)
            except Exception as fault:  # noqa: BLE001  as above
                trial.reason = fault_of(fault)
                continue
            trial.alone, trial.together, trial.size_bytes = found.alone, found.together, found.size_bytes
            trial.smaller = self.parent_bytes / max(found.size_bytes, 1)
            trial.reason = self._unwanted(trial)
            ready += [] if trial.reason else [found]
        return sorted(ready, key=lambda each: next(at for at, one in enumerate(nominated) if one is each.trial))

    def _ask_before_last(self, trial: Trial) -> None:
        """Make it without each certifying fold, and ask it about that, before these rows are opened: if that fails,
        only it is rejected."""
        if trial.candidate.scores is None:
            trial.scores(self.judged, np.flatnonzero(self.held.held))

    def _late(self, trial: Trial) -> str:
        """Why there is no time to certify it, if there is none."""
        trial.certify_seconds = needed = self._needed(trial)
        late = needed > self.deadline.left
        return f"there was no time left to certify it, which takes about {math.ceil(needed)} s" if late else ""

    def _needed(self, trial: Trial) -> float:
        """Seconds to fit it on all rows and without each certifying fold, to load it, and for both to answer a test."""
        fits, tested = 1, self.held.prepared.test.rows
        if trial.candidate.scores is None:
            asked = set(self.judged.folds[self.held.held].tolist()) - trial.known.keys()
            fits += len(set(map(trial.candidate.alike, asked)))
        assert trial.alone is not None
        row_us = trial.alone.first.p50.value + trial.alone.second.p50.value
        fit = fits * (trial.sole_seconds or self.make_seconds[trial.technique]) + trial.engine_seconds
        return fit + self.context.refit_seconds(trial.asked.values()) + 1e-6 * row_us * tested

    def _ready(self, trials: list[Trial]) -> list[Finished]:
        """Finished candidates. If all fail before the rows are opened, others are nominated."""
        ready: list[Finished] = []
        while not ready and (nominated := self.assurance.nominate(trials, late=self._late)):
            ready = self._finished(nominated)
        return ready

    def _concluded(self, trials: list[Trial]) -> Outcome:
        ready = self._ready(trials)
        runs, last = self.opened() if ready else 0, self.last.open()
        self.spent = replace(self.spent, finished=self.deadline.seconds - self.deadline.left - self.spent.searched)
        said = last.judge(ready, self.power.margin) if ready else []
        decided = [Decided(each, *found) for each, found in zip(ready, said, strict=True)]
        conclusion = Conclusion(
            self.judged, trials, decided, last, runs, self.power, self.wanted, self.fallen, self.parent_bytes,
            self.scales.weigh_version(self.parent.folder, self.parent.manifest), self.before, self.assurance.of,
            self.spent, self._enough, self._turns, self.stop.is_set(),
        )  # fmt: skip
        frontier = conclusion.frontier()
        self._tell("compress.verdict", frontier.verdict)
        return Outcome(frontier, conclusion.published(frontier, watch=self._hear))

    def _hear(self, event: Event) -> None:
        if event.name == "train.skipped":
            facts: dict[str, Any] = {"seconds": 0.0, **event.facts}
            self._skipped[str(facts["configuration"])] = str(facts["reason"]), float(facts["seconds"])
        self.watch(replace(event, level="debug") if event.level == "info" else event)

    def _say(self, trial: Trial) -> None:
        speed = f"{times(trial.speed.value)} as fast, {sized(trial.smaller)}" if trial.alone else "not timed"
        loss = f", loss {signed(trial.evidence.value)}" if trial.evidence else ""
        self._tell("compress.candidate", f"{trial.name}: {speed}{loss}{'; ' + trial.reason if trial.reason else ''}",
                   candidate=trial.name, technique=trial.technique, reason=trial.reason)  # fmt: skip

    def _tell(self, name: str, message: str, **facts: object) -> None:
        self.watch(Event(name, message, facts=facts))
