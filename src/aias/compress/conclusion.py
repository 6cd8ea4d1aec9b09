"""The last word on a compression: the sentence, the points of the frontier, and the version to be published."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import msgspec

from aias.artifact.card import card
from aias.artifact.manifest import Candidate as Line
from aias.artifact.manifest import Manifest
from aias.artifact.report import PLOTS
from aias.compress.certification import Certification, Finished, certified_point
from aias.compress.comparison import Answered
from aias.compress.context import BY_TIME, BY_UNLABELLED
from aias.compress.enough import MORE, Spent, enough, rounded_up
from aias.compress.footprint import Footprint
from aias.compress.frontier import (
    CERTIFIED,
    FELL,
    FRONTIER,
    PARENT,
    PUBLISHED,
    Asked,
    Frontier,
    Point,
    Total,
    sized,
    times,
)
from aias.compress.gate.evidence import digits
from aias.compress.gate.power import Power
from aias.compress.gate.verdict import Verdict
from aias.compress.goals import Goals
from aias.compress.halving import LATE, NO_TIME
from aias.compress.plot import frontier_chart
from aias.compress.served import other
from aias.compress.trial import Judged, Trial
from aias.core.events import Watch
from aias.core.host import host
from aias.runtimes.latency import LONGEST, LatencySummary
from aias.training.finish import Trained
from aias.training.parent import NoTime, Parent
from aias.training.scoring import metrics

STOPPED: Final = "it was stopped before its turn"
GOES_ON: Final = "the same command goes on"

SHOWN: Final = 3
"""Techniques whose reasons stand in the last word; the frontier has all."""


@dataclass(frozen=True, slots=True, eq=False)
class Decided:
    """A candidate that was nominated, what was said of it, and how it answered."""

    finished: Finished
    verdict: Verdict
    answered: Answered


@dataclass(frozen=True, slots=True)
class Outcome:
    """`trained` is None when nothing is worth it; the frontier's `verdict` says why."""

    frontier: Frontier
    trained: Trained | None


def nothing(parent: Parent, fault: NoTime, *, max_loss: float, callers: int) -> Frontier:
    """Where the time was over before anything could be tried."""
    task = parent.manifest.task
    value = next((each.value for each in parent.manifest.measurements if each.metric == task.metric), 0.0)
    more = f"about {rounded_up(MORE * fault.enough)} s would be enough to begin" if fault.enough else fault.hint
    said = f"nothing is worth it, because {fault.message}" + (f" ({more})" if more else "")
    return Frontier(
        parent.ref, task.metric, max_loss, max_loss * abs(value), "no row was looked at", said,
        (Point(parent.ref, "do nothing", PARENT, smaller=1.0),), host(), 0, 0, callers,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Conclusion:
    judged: Judged
    trials: Sequence[Trial]
    decided: Sequence[Decided]
    last: Certification
    runs: int
    """That these rows have judged, with this one; 0 where nobody was ready for them."""
    power: Power
    """As guessed before anything was compared."""
    wanted: Goals
    fallen: Sequence[Point]
    """Techniques that cannot help, and what could not be fitted."""
    parent_bytes: int
    parent_footprint: Footprint | None
    before: Judged | None
    """The version that was trained, where the parent is compressed already."""
    chance: Callable[[Trial], float]
    spent: Spent
    enough: Mapping[str, float]
    """For those that fell for want of time before there was a trial: how much in all; 0 where nobody knows."""
    turns: int = 0
    """Techniques that combine what was found, and for which there was no time."""
    stopped: bool = False
    """Whether somebody did."""

    @property
    def best(self) -> Decided | None:
        passed = [each for each in self.decided if each.verdict.certified]
        return max(passed, key=lambda each: each.finished.trial.gain, default=None)

    def verdict(self) -> str:
        ref, best = self.judged.context.parent.ref, self.best
        if best is not None:
            trial, speed, loss = best.finished.trial, best.finished.trial.speed, best.verdict.loss
            return (
                f"{trial.name}: {times(speed.value)} as fast ({digits(speed.low, 3)} to {digits(speed.high, 3)})"
                f"{_mixed(trial)} and {sized(trial.smaller)} as {ref}{self._together(best)}; with 95 % "
                f"confidence the loss of {loss.metric} is below the margin of {digits(self.power.margin)} (by itself, "
                f"at most {digits(loss.high)})"
            )
        near = self._near
        if near is None:
            return f"nothing is worth it, because {self._none_ready()}"
        why = self.decided[0].verdict.reason if self.decided else near.reason
        lost = bool(self.decided) or near.loses  # else it was not small or fast enough, whatever rows can tell
        told = lost and not self._power.enough
        counted = bool(self.decided) and self.decided[0].verdict.rows_needed > 0  # and said: another number confuses
        more = f" ({self.wanted.told(self._power)})" if told and not counted else ""
        return (
            f"nothing is worth it, because even the nearest candidate, {near.name}, fell: {why}{more}"
            f"{self._late(near, told=told)}"
        )

    @cached_property
    def _near(self) -> Trial | None:
        """Who is the best or, where nobody passed, came nearest to it."""
        if self.decided:
            return (self.best or self.decided[0]).finished.trial
        able = [each for each in self.trials if each.evidence and (each.alone or each.loses)]
        if not able:
            return None
        return nearest(able, wanted=self.wanted, margin=self.power.margin, chance=self.chance)

    @property
    def _power(self) -> Power:
        """What the rows can tell of who differs from the parent as that one was seen to, not as was guessed before."""
        return self.power.seen(self._near.evidence) if self._near and self._near.evidence else self.power

    def _none_ready(self) -> str:
        """Why nobody could be timed and judged, and what would have to be longer."""
        if broken := next((each for each in self.trials if each.fault), None):
            return f"no candidate could be served: of {broken.name}, {broken.fault}"
        late = any(each.reason.startswith(LATE) for each in self.fallen)
        if not (self.trials or late or self.stopped):
            told = "; ".join(f"{each.name}: {each.reason}" for each in self.fallen[:SHOWN])
            return f"no technique can help: {told or 'none has anything to try'}"
        if self.stopped:
            return f"it was stopped before any candidate was ready: {GOES_ON}"
        return (
            f"no candidate was ready in time: of {self.spent.given:.0f} s {self.spent.before:.0f} were over before the "
            f"first was tried; {self._more()}"
        )

    def _more(self, *, told: bool = False) -> str:
        """How much time would be enough and, where the rows are not, that these are too few; `told`: what they can
        tell is said already."""
        time = enough(self.trials, self.enough.values(), self.spent, turns=self.turns)
        if self._power.enough:
            return time
        return f"{time}, and the rows are too few as well{'' if told else f': {self.wanted.told(self._power)}'}"

    def _late(self, near: Trial, *, told: bool) -> str:
        """Who else may be worth it, and how much time that takes."""
        reasons = [each.reason for each in self.trials if each is not near] + [each.reason for each in self.fallen]
        if self.stopped:
            return f"; it was stopped before all were tried: {GOES_ON}" if NO_TIME in reasons else ""
        others = sum(reason.startswith(LATE) for reason in reasons)
        if not others:
            return f"; {self._more(told=told)}" if near.reason.startswith(LATE) else ""
        return f"; for {'another' if others == 1 else f'{others} others'} {LATE}: {self._more(told=told)}"

    def _together(self, best: Decided) -> str:
        return f", with {self.wanted.callers} callers at once {times(_times(best))} as fast"

    def frontier(self) -> Frontier:
        context = self.judged.context
        return Frontier(
            context.parent.ref, context.metric, self.wanted.max_loss, self.power.margin, self.wanted.told(self._power),
            self.verdict(), tuple(self._points()), host(), len(self.judged.searched), self.power.rows,
            self.wanted.callers, self._total(), self.runs,
        )  # fmt: skip

    def published(self, frontier: Frontier, *, watch: Watch) -> Trained | None:
        """The best with its measurements, its lineage, its proof, and the frontier that it comes from."""
        best = self.best
        if best is None:
            return None
        trained = best.finished.trained
        manifest = self._manifest(best, frontier, watch=watch)
        files = {path: held for path, held in trained.files.items() if path != "card.md"}
        files |= {
            FRONTIER: frontier.as_bytes(), "frontier.md": frontier.markdown().encode(),
            f"{PLOTS}frontier.svg": frontier_chart(frontier),
        }  # fmt: skip
        sizes = {path: len(held) for path, held in files.items()}
        files["card.md"] = card(manifest, sizes=sizes, frontier=frontier.markdown()).encode()
        trained.runtime.manifest = manifest
        return Trained(manifest, files, trained.runtime)

    def _points(self) -> list[Point]:
        pace, asked = self._parent_paces()
        context, decided = self.judged.context, {id(each.finished.trial): each for each in self.decided}
        points = [*self.fallen]
        points.append(
            Point(
                context.parent.ref, "do nothing", PARENT, pace=pace, size_bytes=self.parent_bytes, smaller=1.0,
                together=asked, footprint=self.parent_footprint,
                engine=other(context.parent.runtime) if pace else "",
            )
        )  # fmt: skip
        for trial in self.trials:
            point, said = trial.point(context.metric), decided.get(id(trial))
            points.append(self._certified(said, point) if said else point)
        return [replace(each, reason=self._why(each.reason)) for each in points]

    def _why(self, reason: str) -> str:
        return STOPPED if self.stopped and reason == NO_TIME else reason

    def _total(self) -> Total | None:
        """What the best loses against the version that was trained, on the rows that certify: measured, not added."""
        if self.before is None or self.best is None:
            return None
        loss = self.last.total(self.before, self.best.finished.trial, self.best.answered)
        return Total(self.before.context.parent.ref, loss) if loss else None

    def _parent_paces(self) -> tuple[LatencySummary | None, Asked | None]:
        """Beside the one that is published, or else beside any."""
        best = self.best
        if best is not None:
            return best.finished.alone.first, Asked(best.finished.together.first)
        for each in self.trials:
            if each.alone and each.together:
                return each.alone.first, Asked(each.together.first)
        return None, None

    def _certified(self, said: Decided, point: Point) -> Point:
        state = FELL if not said.verdict.certified else PUBLISHED if said is self.best else CERTIFIED
        flipped, gap = self.last.changes(said.finished.trial, said.answered)
        return replace(certified_point(said.finished, said.verdict, point, flipped, gap), state=state)

    def _manifest(self, best: Decided, frontier: Frontier, *, watch: Watch) -> Manifest:
        each, verdict, manifest = best.finished, best.verdict, best.finished.trained.manifest
        context, old = self.judged.context, best.finished.trained.manifest.lineage
        y, answered = self.last.measured(best.answered)
        measured = metrics.report(
            context.task, y, answered.scores, seed=self.judged.seed, watch=watch,
            label_weights=manifest.label_weights or None, groups=self.last.measured_groups,
        )  # fmt: skip
        judged = "test" if self.last.tested else "out of fold"
        if context.prepared.answers_of:  # other metrics would say how well it does what nobody knows to be right
            judged, measured = "agreement", (replace(measured[0], metric=context.metric),)
        proof: dict[str, Any] = {
            "technique": each.trial.technique, "max_loss": self.wanted.max_loss, "margin": self.power.margin,
            "loss": msgspec.to_builtins(verdict.loss), "p": verdict.p, "speed": msgspec.to_builtins(each.alone.speed),
            "together": {"callers": self.wanted.callers, "speed": msgspec.to_builtins(each.together.speed)},
            "smaller": each.trial.smaller, "host": msgspec.to_builtins(frontier.host), "runs": self.runs,
        }  # fmt: skip
        if each.trial.engine or other(context.parent.runtime):
            both = {"parent": context.parent.runtime, "own": each.trained.runtime}
            proof["engines"] = {name: runtime.session.engine for name, runtime in both.items()}
        if context.unlabelled and each.trial.technique in BY_UNLABELLED:
            proof["unlabelled"] = context.unlabelled
        if each.trial.technique in BY_TIME:
            proof |= {"seconds": context.deadline.seconds, "threads": context.threads}
        if context.prepared.split != "random":
            proof["split"] = context.prepared.split
        if judged == "out of fold" and self.last.stopped_it(each.trial):
            proof["stopped"] = True
        if frontier.total is not None:
            proof["total"] = msgspec.to_builtins(frontier.total)
        if each.trial.candidate.sent:
            average = msgspec.to_builtins(each.alone.average)
            proof |= {"sent": each.trial.candidate.sent, "average": average, LONGEST: round(each.longest_us, 1)}
        row_us = round(each.trial.row_us, 1)  # as the frontier says it
        line = Line(
            each.trial.technique, {}, measured[0], 0.0, chosen=True, name=each.trial.name, weight=1.0,
            row_us=row_us, size_bytes=each.size_bytes,
        )  # fmt: skip
        lineage = replace(
            old, verb="compress", settings={**old.settings, "proof": proof}, parents=(context.parent.manifest.digest,)
        )
        rows = manifest.rows
        if context.parent.imported:
            rows = {"train": context.prepared.dataset.rows, **context.prepared.table.counts, "test": 0}
            lineage = replace(lineage, dataset=context.prepared.dataset.digest)
        return replace(
            manifest,
            measurements=measured,
            judged=judged,
            rows=rows,
            lineage=lineage,
            leaderboard=(line,),
            row_us=row_us,
        )


def nearest(trials: Sequence[Trial], *, wanted: Goals, margin: float, chance: Callable[[Trial], float]) -> Trial:
    """Of those that seem to lose no more than the margin, who is least beyond the latency and the size that were asked
    for; of those that are alike in this, who is worth it at all, or gains most; then, or of all if none seems so good,
    the likeliest to be certified, and then who loses least."""
    good = [each for each in trials if each.alone and each.evidence and each.evidence.value <= margin]

    def rank(each: Trial) -> tuple[float, float, float, float]:
        loss = each.evidence.value if each.evidence else math.nan
        beyond = wanted.beyond(each.row_us, each.size_bytes) if good else 1.0
        worth = -math.inf if each.helps or not good else -each.gain
        return beyond, worth, -chance(each), math.inf if math.isnan(loss) else loss

    return min(good or trials, key=rank)


def _times(best: Decided) -> float:
    together = best.finished.together
    return (together.average if best.finished.trial.candidate.sent and together.average else together.speed).value


def _mixed(trial: Trial) -> str:
    """What is meant by as fast, where it is not the median row."""
    if not trial.candidate.sent:
        return ""
    assert trial.alone is not None
    share = f"{100 * trial.candidate.sent:.0f} % of the rows go on"
    return f" on average ({times(trial.alone.speed.value)} by the median; {share})"
