"""One candidate on trial: what it answers on the search rows, how fast and how large it is, and why it fell."""

import math
import time
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from aias.artifact.manifest import Manifest
from aias.compress.comparison import Answered, evidence
from aias.compress.context import Context
from aias.compress.frontier import CERTIFIED, FELL, Asked, Point, sized, times
from aias.compress.gate.evidence import Evidence, Loss, digits, loss_of
from aias.compress.gate.power import design_factor, guessed, in_doubt
from aias.compress.techniques.contract import Candidate, Made
from aias.core.arrays import Floats, Ints
from aias.core.errors import Damaged, UserError
from aias.graph.parity import ParityBroken
from aias.runtimes.latency import Estimate, PairedLatency
from aias.training.scoring.answering import Answering
from aias.training.scoring.calibration import from_dict
from aias.training.scoring.cross_fitting import parted
from aias.training.selection.configuration import ALL
from aias.training.selection.members import Member

FOLDS_MAX: Final = 3
"""By which a candidate is chosen that has to be fitted for each."""

SAMPLE_ROWS: Final = (200, 800)
"""At least and at most of the first fold that a candidate is judged on: they cost no other fit. By 200 of
`adult` students fell that lose nothing (docs/log.md)."""

GROWTH: Final = 4
"""Times as many rows the next time: with twice as many calibrating took longer than fitting."""

FASTER_MIN: Final = 1.05
SMALLER_MIN: Final = 1.2
"""Less is worth nobody's while."""

NOT_READ: Final = "compressing left it out: the others say what it says"

WORSE: Final = 0.95
"""Times as fast or as small as the parent, below which it is slower or larger."""

BOTH: Final = 0.75
"""The same of two models that answer as one, which hold the parent and one more: not more than a third of it."""

SMALL_ENOUGH: Final = 30.0
"""Times as small: beyond, the difference is some kilobytes."""


@dataclass(eq=False)
class Judged:
    """The rows that judge, by their places among them; the parent's answers to all of them, each out of fold."""

    context: Context
    held: Any
    """Which of them are reserved, (rows,)."""
    seed: int

    def __post_init__(self) -> None:
        table = self.context.prepared.table
        self.y = table.whole.y[table.judged]
        self.folds: Ints = table.folds[table.judged].astype(np.int64)
        self.groups = table.judged_clusters
        self.searched: Ints = np.flatnonzero(~self.held)
        self.parent = self._answered(self.context.parent_scores())
        self._by_fold: dict[int, Floats] = {}

    def _answered(self, scores: Floats) -> Answered:
        manifest = self.context.parent.manifest
        if manifest.calibration:
            scores = from_dict(manifest.calibration).apply(scores)
        return Answered(scores, manifest.label_weights or None)

    def before(self, rows: Ints, *, by_fold: bool) -> Answered:
        """The parent's answers to these rows, as those beside which they are held were found.

        `by_fold`: by what was fitted without a fold and stopped by all of it, which no row of it judges fairly; what
        is made of these fits has the same advantage (docs/gate.md). Otherwise each half by what the other stopped.
        """
        if not by_fold or self.context.parent.imported:
            return self.parent.take(rows)
        found = np.empty((len(rows), self.context.task.outputs))
        for fold, own in self.parts(rows):
            all_of_it = np.flatnonzero(self.folds == fold)
            if fold not in self._by_fold:
                encoded = self.context.encoded(self.context.prepared.table.judged[all_of_it])
                self._by_fold[fold] = self.context.teacher(fold).scores(encoded)
            found[np.searchsorted(rows, own)] = self._by_fold[fold][np.searchsorted(all_of_it, own)]
        return self._answered(found)

    def parts(self, rows: Ints) -> list[tuple[int, Ints]]:
        """These rows by fold."""
        return [(int(fold), rows[self.folds[rows] == fold]) for fold in np.unique(self.folds[rows])]

    def samples(self) -> list[Ints]:
        """Rows to search by, each four times as many as before: fold after fold, since each asks for another fit, and
        drawn within it, as a file may hold one class after the other."""
        drawn = np.random.default_rng(self.seed)
        parts = [drawn.permutation(rows) for _, rows in self.parts(self.searched)][:FOLDS_MAX]
        order = np.concatenate(parts)
        ends = {len(order)}
        size = int(np.clip(len(parts[0]), *SAMPLE_ROWS))
        while size < len(order):
            ends.add(size)
            size *= GROWTH
        return [np.sort(order[:end]) for end in sorted(ends)]

    def units(self, rows: Ints) -> int:
        """How many rows, or groups of them, there are that do not hang together."""
        return len(rows) if self.groups is None else len(np.unique(self.groups[rows]))

    def spread_from_teacher(self, margin: float) -> float:
        """The spread of the differences from the parent, whose own answers are the labels: a candidate that is good
        enough differs half as often as it may."""
        alone = math.sqrt(margin / 2) if self.context.task.classes else margin
        return alone * design_factor(*self._far())

    def _far(self) -> tuple[Floats, Ints | None]:
        """Of the rows to search by, how little sure the parent is of a label, or how unusual an amount, (rows,); and
        the number of each row's group."""
        scores = self.parent.take(self.searched).scores
        if self.context.task.classes:
            two = np.sort(scores, axis=1)[:, -2:]
            found = two[:, 0] - two[:, 1]
        else:
            found = np.abs(scores[:, 0] - scores[:, 0].mean())
        return found, None if self.groups is None else self.groups[self.searched]

    def loss(self, rows: Ints, answered: Answered, *, by_fold: bool) -> Evidence:
        """Of answers to these rows. `by_fold` as in `before`."""
        groups, before = None if self.groups is None else self.groups[rows], self.before(rows, by_fold=by_fold)
        return evidence(self.context.task, self.y[rows], before, answered, seed=self.seed, groups=groups)

    def guessed(self, rows: Ints, *, right: float | None) -> tuple[float, float]:
        """The spread of what a good candidate may lose, before any is known: a share of the rows is answered anew. And
        what equal answers leave in doubt. `right` as in `power.guessed`."""
        task, y, parent = self.context.task, self.y[rows], self.parent.take(rows)
        groups = None if self.groups is None else self.groups[rows]
        same = evidence(task, y, parent, parent, seed=self.seed, groups=groups)
        alike = same.spread * math.sqrt(self.units(rows))  # one row of doubt
        if task.metric.startswith("roc_auc"):  # whose rows of one class may weigh far more than those of another
            flat = Answered(np.zeros_like(parent.scores))
            alike = evidence(task, y, flat, parent, seed=self.seed, groups=groups).spread
        if not math.isfinite(alike):
            return math.inf, 0.0
        return guessed(alike, right=right, groups=self.groups), in_doubt(same)

    def answering(self, rows: Ints, scores: Floats) -> tuple[Answering, Answered]:
        """What is done to scores before they are answered, and the answers, each fitted by other folds."""
        weights = self.parent.label_weights
        if self.context.prepared.answers_of or self.context.keeps_labels:  # probabilities stay as they were taught
            return Answering(label_weights=tuple(weights) if weights else None), Answered(scores, weights)
        groups, table = None if self.groups is None else self.groups[rows], self.context.prepared.table
        folds = parted(self.folds[rows], table.kin(table.judged[rows]))
        found, honest = Answering.fit(
            self.context.task, self.y[rows], scores, folds, seed=self.seed, groups=groups,
            costs=table.class_costs, forward=table.blocks is not None,
        )  # fmt: skip
        return found, Answered(honest.scores, found.label_weights)


@dataclass(eq=False)
class Trial:
    candidate: Candidate
    technique: str
    reason: str = ""
    loses: bool = False
    """Whether it fell because of what it loses, or may."""
    evidence: Evidence | None = None
    answering: Answering = field(default_factory=Answering)
    alone: PairedLatency | None = None
    """One caller, by which it is decided."""
    together: PairedLatency | None = None
    """Several callers at once: nobody may have to wait longer than for the parent."""
    size_bytes: int = 0
    smaller: float = 0.0
    engine: str = ""
    """With which it was timed, where that is not ONNX Runtime."""
    engine_seconds: float = 0.0
    """To choose it."""
    fault: str = ""
    """Why it cannot be made or served at all; it is tried no more."""
    made: dict[int, Made] = field(default_factory=dict)
    known: dict[int, Floats] = field(default_factory=dict)
    """What it says of all rows that judge in a fold, by the fold: (rows of the fold, outputs)."""
    make_seconds: float = 0.0
    """To make it for one fold and ask it about that, the last time."""
    asked: dict[str, Member] = field(default_factory=dict)
    """Members that it is made of, as they are fitted."""
    spent: float = 0.0
    """Seconds to try it, all told."""
    restored: float = 0.0
    """Of these, those of a run that was killed, which left what it had found."""
    certify_seconds: float = 0.0
    """To certify it, where that was asked."""
    enough: float = 0.0
    """Seconds of all that was given that would have been enough for a fit that had too few, if that is known."""
    milder_than: "tuple[Trial, int] | None" = None
    """What it is a milder form of, and its place among those, the harshest first."""
    pooled: float | None = None
    """What it is taken to lose where a harsher form of it seemed to lose less."""

    @property
    def name(self) -> str:
        return self.candidate.name

    @property
    def by_fold(self) -> bool:
        """Whether it is made for each fold, and not known from training."""
        return self.candidate.scores is None

    @property
    def sole_seconds(self) -> float:
        """To make it for one fold where it can use nothing that others had made; 0 where that is not known."""
        return max((each.seconds for each in self.made.values()), default=0.0)

    @property
    def speed(self) -> Estimate:
        """By which it is decided: of the median row, and of what takes some rows much longer on average."""
        assert self.alone is not None
        return self._speed(self.alone)

    @property
    def row_us(self) -> float:
        """Of a row, by the same."""
        assert self.alone is not None
        pace = self.alone.second
        return pace.mean.value if self.candidate.sent and pace.mean else pace.p50.value

    @property
    def gain(self) -> float:
        """How many times as fast for certain, times the root of how many times as small: speed is paid for on every
        call, and what a busy machine makes of a median decides nothing."""
        return float(self.speed.low * np.sqrt(min(self.smaller, SMALL_ENOUGH)))

    @property
    def helps(self) -> bool:
        """Faster or smaller for certain, and neither slower, be it for several callers at once, nor larger."""
        better = self.speed.low > FASTER_MIN or self.smaller > SMALLER_MIN
        slower = any(self._speed(each).high <= WORSE for each in (self.alone, self.together) if each)
        return better and not slower and self._small_enough

    @property
    def _small_enough(self) -> bool:
        return self.smaller > (BOTH if self.candidate.sent else WORSE)

    def unworthy(self, *, meant: str) -> str:
        """Why it does not help; with limits where it may be faster, and it is not certain. `meant`: what speed is."""
        speed, told = self.speed, ""
        if self.together:
            told = f", {times(self._speed(self.together).value)} with {self.together.callers} callers,"
        doubted = self._small_enough and speed.low <= FASTER_MIN < speed.value
        unsure = f" (but may be {times(speed.low)})" if doubted else ""
        return f"{times(speed.value)} as fast{meant}{unsure}{told} and {sized(self.smaller)} is not worth it"

    def _speed(self, latency: PairedLatency) -> Estimate:
        return latency.average if self.candidate.sent and latency.average else latency.speed

    def at(self, fold: int) -> Made:
        if fold not in self.made:
            began = time.monotonic()
            self.made[fold] = self.candidate.make(fold)
            self.make_seconds = time.monotonic() - began
        return self.made[fold]

    def scores(self, judged: Judged, rows: Ints) -> Floats:
        """Out of fold, (rows, outputs), in the order of the rows."""
        if self.candidate.scores is not None:
            return np.asarray(self.candidate.scores[rows])
        found = np.empty((len(rows), judged.context.task.outputs))
        for fold, own in judged.parts(rows):
            places = np.searchsorted(np.flatnonzero(judged.folds == fold), own)
            found[np.searchsorted(rows, own)] = self._of_fold(judged, fold)[places]
        return found

    def _of_fold(self, judged: Judged, fold: int) -> Floats:
        if fold not in self.known:
            made, own, began = self.at(fold), np.flatnonzero(judged.folds == fold), time.monotonic()
            encoded = judged.context.encoded(judged.context.prepared.table.judged[own], made.encoder, made.embedding)
            self.known[fold] = np.asarray(made.pipeline.scores(encoded))
            self.make_seconds += time.monotonic() - began
        return self.known[fold]

    def search(self, judged: Judged, rows: Ints, *, margin: float, risk: float) -> None:
        """On these rows, ascending; it falls where it is certain to lose more than the margin."""
        self.answering, answered = judged.answering(rows, self.scores(judged, rows))
        self.evidence = judged.loss(rows, answered, by_fold=self.by_fold)
        if self.evidence.confidence(margin) < risk:
            self.reason, self.loses = f"it is certain to lose more than {digits(margin)}", True

    def draft(self, manifest: Manifest, made: Made) -> Manifest:
        """The parent's manifest with what this candidate reads and answers by."""
        answering, lineage, read = self.answering, manifest.lineage, {field.name for field in made.encoder.fields}
        # In bfloat16 the parent's own sentence encoder is computed, and no other.
        reads_as_before = made.embedding is None and made.encoder.subwords is not None
        settings = {key: held for key, held in lineage.settings.items() if key != "precision" or reads_as_before}
        if made.precision:
            settings["precision"] = made.precision
        gone = tuple(
            replace(field, role="ignored", reason=NOT_READ) for field in manifest.inputs if field.name not in read
        )
        return replace(
            manifest, inputs=tuple(field for field in manifest.inputs if field.name in read),
            ignored=(*manifest.ignored, *gone),
            encoders=tuple(entry for entry in manifest.encoders if entry.field in read),
            form="compressed", lineage=replace(lineage, settings=settings), files=(), measurements=(), leaderboard=(),
            row_us=0.0,
            calibration=answering.calibration.as_dict() if answering.calibration else None,
            label_weights=answering.label_weights or (),
            intervals=answering.intervals.as_dict() if answering.intervals else None,
        )  # fmt: skip

    def point(self, metric: str, **more: Any) -> Point:
        pace, speed = (self.alone.second, self.alone.speed) if self.alone else (None, None)
        state = FELL if self.reason else CERTIFIED
        return Point(
            self.name, self.technique, state, self.reason, searched=finite(metric, self.evidence), pace=pace,
            speed=speed, together=Asked(self.together.second, self.together.speed) if self.together else None,
            size_bytes=self.size_bytes, smaller=self.smaller, sent=self.candidate.sent,
            engine=self.engine if self.alone else "",
            average=self.alone.average if self.alone and self.candidate.sent else None, **more,
        )  # fmt: skip


def finite(metric: str, found: Evidence | None) -> Loss | None:
    loss = loss_of(metric, found) if found else None
    return loss if loss and np.isfinite([loss.value, loss.low, loss.high]).all() else None


def fault_of(fault: Exception) -> str:
    """Why a candidate that raised it is rejected."""
    if isinstance(fault, ParityBroken | Damaged):
        return f"its graph is not what was fitted: {fault.message}"
    if isinstance(fault, UserError):
        return fault.message
    return f"it could not be made: {type(fault).__name__}: {fault}"[:300]


__all__ = ["ALL", "Judged", "Trial", "fault_of"]
