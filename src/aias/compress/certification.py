"""Certification: nominated candidates are finished as they would be served, and judged once on rows kept for that."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import msgspec
import numpy as np

from aias.artifact.manifest import is_served
from aias.compress.cascading import fair
from aias.compress.comparison import Answered, evidence
from aias.compress.footprint import Footprint, Scales
from aias.compress.frontier import Asked, Point
from aias.compress.gate.changes import Flips, calibration_gap, flips
from aias.compress.gate.evidence import Evidence, Loss
from aias.compress.gate.verdict import Claim, Verdict, judge
from aias.compress.served import as_served
from aias.compress.subgroups import subgroup_columns
from aias.compress.trial import ALL, Judged, Trial, finite
from aias.core.arrays import Floats, Ints
from aias.core.events import Watch
from aias.runtimes.latency import PairedLatency, longest_us, paired_latencies
from aias.training.finish import Trained, finished
from aias.training.parent import test_scores
from aias.training.pipeline import Pipeline
from aias.training.profile import profile
from aias.training.scoring.answering import Calibrated
from aias.training.scoring.slices import SLICE_ROWS_MIN, each_value, parted

PART_TIMES: Final = 4.0
"""The margin of a part of the rows, in margins of all: what is lost there may be won elsewhere, but not much of it."""


@dataclass(frozen=True, eq=False)
class Finished:
    """A candidate as it would be served."""

    trial: Trial
    trained: Trained
    alone: PairedLatency
    together: PairedLatency
    footprint: Footprint | None
    size_bytes: int
    longest_us: float = 0.0
    """Of a row that goes a longer way, where some do."""


def served_bytes(files: Mapping[str, int]) -> int:
    """Of what is loaded to answer: the graph and the encoders' tables."""
    return sum(size for path, size in files.items() if is_served(path))


def finish(
    trial: Trial, judged: Judged, rows: Sequence[Mapping[str, object]], *, callers: int, scales: Scales, seconds: float,
    watch: Watch,
) -> Finished:  # fmt: skip
    """Made of all rows, compiled, proved, and timed against the parent. Raises `ParityBroken`, `Damaged`."""
    context = judged.context
    context.finishing = True
    made = trial.candidate.make(ALL)
    pipeline: Pipeline = made.pipeline
    if trial.answering.calibration:
        pipeline = Calibrated(pipeline, trial.answering.calibration)
    trained = finished(
        pipeline, made.encoder, trial.draft(context.parent.manifest, made), held_out=context.prepared.held_out,
        profile=msgspec.json.encode(profile(context.prepared.dataset)),
        embedding=made.embedding or context.prepared.embedding, watch=watch,
    )  # fmt: skip
    as_served(trial, trained.runtime, trained.files, made, watch=watch)
    rows = fair(context, made, trial.candidate.sent, rows)
    alone, together = paired_latencies(
        context.parent.runtime, trained.runtime, rows, callers=callers, seconds=seconds, seed=judged.seed
    )
    size = served_bytes({path: len(held) for path, held in trained.files.items()})
    longest = longest_us(trained.runtime, rows) if trial.candidate.sent else 0.0
    return Finished(trial, trained, alone, together, scales.weigh(trained.files, trained.manifest), size, longest)


@dataclass(eq=False)
class Certification:
    """The certification rows: first the test rows, which the published graphs answer; then the reserved rows, each
    answered by a fit that did not see its fold."""

    judged: Judged

    def __post_init__(self) -> None:
        self.tested: int = self.judged.context.prepared.test.rows
        self.reserved: Ints = np.flatnonzero(self.judged.held)
        self.y = np.concatenate([self.judged.context.prepared.test_y, self.judged.y[self.reserved]])
        self.groups = self._groups()
        self._tested: dict[Judged, list[Floats]] = {}

    @cached_property
    def classes(self) -> Ints | None:
        """All that there are, also those of which none is among these rows; of amounts none."""
        if not self.judged.context.task.classes:
            return None
        return np.unique(np.concatenate([self.y, self.judged.y])).astype(np.int64)

    def _groups(self) -> Ints | None:
        """Of the test, and behind them those of the rows reserved: none is in both."""
        tested, judged = self.judged.context.prepared.test_clusters, self.judged.groups
        if tested is None and judged is None:
            return None
        first = np.arange(self.tested) if tested is None else tested
        then = np.arange(len(self.judged.held)) if judged is None else judged
        return np.concatenate([first, then[self.reserved] + self.tested])

    def before(self, trial: Trial, judged: Judged | None = None) -> Answered:
        """What the parent answers, or the version that another `Judged` is of, found as the trial's answers are."""
        judged = judged or self.judged
        if judged not in self._tested:
            self._tested[judged] = [judged.context.parent.scores(judged.context.prepared)] if self.tested else []
        reserved = judged.before(self.reserved, by_fold=trial.by_fold)
        return Answered(np.concatenate([*self._tested[judged], reserved.scores]), reserved.label_weights)

    def answers(self, each: Finished) -> Answered:
        context, calibration = self.judged.context, each.trial.answering.calibration
        scores = each.trial.scores(self.judged, self.reserved)
        reserved = calibration.apply(scores) if calibration and len(scores) else scores
        tested = [test_scores(each.trained.runtime, context.prepared)] if self.tested else []
        return Answered(np.concatenate([*tested, reserved]), each.trained.manifest.label_weights or None)

    def total(self, judged: Judged, trial: Trial, after: Answered) -> Loss | None:
        """Of these answers against those of another version, out of fold and on the test."""
        task, first = self.judged.context.task, self.before(trial, judged)
        found = evidence(task, self.y, first, after, seed=self.judged.seed, groups=self.groups, classes=self.classes)
        return finite(self.judged.context.metric, found)

    @property
    def measured_groups(self) -> Ints | None:
        return self.groups[: self.tested] if self.tested and self.groups is not None else self.groups

    def stopped_it(self, trial: Trial) -> bool:
        """Whether the rows reserved stopped what it is made of: it then looks better on them than it is on others."""
        alone, stopped = (self.judged.before(self.reserved, by_fold=each).scores for each in (False, trial.by_fold))
        return not np.allclose(alone, stopped)

    def measured(self, after: Answered) -> tuple[Any, Answered]:
        """The rows, by their answers, that the published graph itself is measured on: the test, where there is one."""
        rows = slice(0, self.tested) if self.tested else slice(None)
        return self.y[rows], after.take(rows)

    def judge(self, nominated: Sequence[Finished], margin: float) -> list[tuple[Verdict, Answered]]:
        answered = [self.answers(each) for each in nominated]
        befores = [self.before(each.trial) for each in nominated]
        claims = [
            Claim(
                each.trial.name,
                self._loss(before, after, np.arange(len(self.y)), classes=self.classes),
                self._parts(before, after, subgroup_columns(self.judged, each.trial)),
            )
            for each, before, after in zip(nominated, befores, answered, strict=True)
        ]
        found = judge(claims, metric=self.judged.context.metric, margin=margin, part_margin=PART_TIMES * margin)
        return list(zip(found, answered, strict=True))

    def changes(self, trial: Trial, after: Answered) -> tuple[Flips | None, float | None]:
        """Answers that are others now, and how far probabilities are from coming true; of classes."""
        if not self.judged.context.task.classes:
            return None, None
        flipped = flips(self.y, self.before(trial).labels, after.labels, self.groups)
        if self.judged.context.prepared.answers_of:  # nothing came true here
            return flipped, None
        two = after.scores.shape[1] == 2
        said = after.scores[:, 1] if two else after.scores.max(axis=1)
        came = self.y == (1 if two else after.scores.argmax(axis=1))
        return flipped, calibration_gap(said, came)

    def _loss(self, before: Answered, after: Answered, rows: Ints, *, classes: Ints | None = None) -> Evidence:
        task, seed = self.judged.context.task, self.judged.seed
        groups = None if self.groups is None else self.groups[rows]
        return evidence(
            task, self.y[rows], before.take(rows), after.take(rows), seed=seed, groups=groups, classes=classes
        )

    def _parts(self, before: Answered, after: Answered, columns: Sequence[str]) -> dict[str, Evidence]:
        return {
            name: self._loss(before, after, rows)
            for name, rows in self._named(columns) if len(rows) >= SLICE_ROWS_MIN
        }  # fmt: skip

    def _named(self, columns: Sequence[str]) -> Any:
        """`job is clerk` and its rows."""
        prepared = self.judged.context.prepared
        reserved = prepared.dataset.take(prepared.table.judged[self.reserved])
        for name in columns:
            values = np.concatenate([each_value(each.values(name)) for each in (prepared.test, reserved) if each.rows])
            for value, rows in parted(values):
                yield f"`{name}` is {value}", rows


def certified_point(each: Finished, verdict: Verdict, point: Point, flipped: Flips | None, gap: float | None) -> Point:
    loss = verdict.loss if np.isfinite([verdict.loss.value, verdict.loss.low, verdict.loss.high]).all() else None
    return replace(
        point, certified=loss, reason=point.reason or verdict.reason, pace=each.alone.second, speed=each.alone.speed,
        average=each.alone.average if each.trial.candidate.sent else None,
        together=Asked(each.together.second, each.together.speed), footprint=each.footprint,
        size_bytes=each.size_bytes, flips=flipped, calibration_gap=gap,
    )  # fmt: skip
