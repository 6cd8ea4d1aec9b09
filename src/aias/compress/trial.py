"""One candidate on trial: what it answers on the search rows, how fast and how large it is, and why it fell."""

from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np

from aias.artifact.manifest import Manifest
from aias.compress.frontier import CERTIFIED, FELL, Point
from aias.compress.gate.evidence import Evidence, Loss, loss_of
from aias.compress.latency import Race
from aias.compress.paired import Answered, evidence
from aias.compress.techniques.contract import Candidate, Made
from aias.compress.workshop import Workshop
from aias.encoders.contract import Floats, Ints
from aias.training.answering import Answering
from aias.training.calibration import from_dict
from aias.training.configuration import ALL

FOLDS_MAX: Final = 3
"""By which a candidate is chosen that has to be fitted for each."""

HOLDOUT_PARTS: Final = 5
"""A holdout is divided so that no row helps to calibrate its own answer."""

FASTER_MIN: Final = 1.05
SMALLER_MIN: Final = 1.2
"""Less is worth nobody's while."""

NOT_READ: Final = "compressing left it out: the others say what it says"

WORSE: Final = 0.95
"""Times as fast or as small as the parent, below which it is slower or larger."""

SMALL_ENOUGH: Final = 30.0
"""Times as small: beyond, the difference is some kilobytes."""


@dataclass(eq=False)
class Judged:
    """The rows that judge, by their places among them; the parent's answers to all of them, each out of fold."""

    shop: Workshop
    held: Any
    """Which of them are reserved, (rows,)."""
    seed: int

    def __post_init__(self) -> None:
        table, manifest = self.shop.prepared.table, self.shop.parent.manifest
        self.y = table.whole.y[table.judged]
        self.folds: Ints = table.folds[table.judged].astype(np.int64)
        self.searched: Ints = np.flatnonzero(~self.held)
        scores = self.shop.parent_scores()
        if manifest.calibration:
            scores = from_dict(manifest.calibration).apply(scores)
        self.parent = Answered(scores, manifest.label_weights or None)

    def parts(self, rows: Ints) -> list[tuple[int, Ints]]:
        """These rows by fold."""
        return [(int(fold), rows[self.folds[rows] == fold]) for fold in np.unique(self.folds[rows])]

    def loss(self, rows: Ints, answered: Answered) -> Evidence:
        """Of answers to these rows."""
        return evidence(self.shop.task, self.y[rows], self.parent.take(rows), answered, seed=self.seed)

    def answering(self, rows: Ints, scores: Floats) -> tuple[Answering, Answered]:
        """What is done to scores before they are answered, and the answers, each fitted by other folds."""
        folds = self.folds[rows]
        if len(np.unique(folds)) < 2:
            folds = np.arange(len(rows)) % HOLDOUT_PARTS
        found, honest = Answering.fit(self.shop.task, self.y[rows], scores, folds, seed=self.seed)
        return found, Answered(honest, found.label_weights)


@dataclass(eq=False)
class Trial:
    candidate: Candidate
    technique: str
    reason: str = ""
    evidence: Evidence | None = None
    answering: Answering = field(default_factory=Answering)
    race: Race | None = None
    size_bytes: int = 0
    smaller: float = 0.0
    made: dict[int, Made] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.candidate.name

    @property
    def gain(self) -> float:
        """How many times as fast it is, times the root of how many times as small; speed is paid for on every call."""
        assert self.race is not None
        return float(self.race.speed.value * np.sqrt(min(self.smaller, SMALL_ENOUGH)))

    @property
    def helps(self) -> bool:
        """Faster or smaller for certain, and neither slower nor larger."""
        assert self.race is not None
        better = self.race.speed.low > FASTER_MIN or self.smaller > SMALLER_MIN
        return better and self.race.speed.high > WORSE and self.smaller > WORSE

    def at(self, fold: int) -> Made:
        if fold not in self.made:
            self.made[fold] = self.candidate.make(fold)
        return self.made[fold]

    def scores(self, judged: Judged, rows: Ints) -> Floats:
        """Out of fold, (rows, outputs), in the order of the rows."""
        if self.candidate.scores is not None:
            return np.asarray(self.candidate.scores[rows])
        found = np.empty((len(rows), judged.shop.task.outputs))
        for fold, own in judged.parts(rows):
            made = self.at(fold)
            encoded = judged.shop.encoded(judged.shop.prepared.table.judged[own], made.encoder, made.embedding)
            found[np.searchsorted(rows, own)] = made.pipeline.scores(encoded)
        return found

    def search(self, judged: Judged, *, margin: float, risk: float) -> None:
        """Fold after fold, as long as it is not certain to lose more than the margin."""
        parts = [rows for _, rows in judged.parts(judged.searched)]
        if self.candidate.scores is not None:
            parts = [judged.searched]
        for count in range(1, min(len(parts), FOLDS_MAX) + 1):
            rows = np.sort(np.concatenate(parts[:count]))
            self.answering, answered = judged.answering(rows, self.scores(judged, rows))
            self.evidence = judged.loss(rows, answered)
            if self.evidence.confidence(margin) < risk:
                self.reason = f"it is certain to lose more than {margin:.2g}"
                return

    def draft(self, manifest: Manifest, made: Made) -> Manifest:
        """The parent's manifest with what this candidate reads and answers by."""
        answering, lineage, read = self.answering, manifest.lineage, {field.name for field in made.encoder.fields}
        if made.precision:
            lineage = replace(lineage, settings={**lineage.settings, "precision": made.precision})
        gone = tuple(
            replace(field, role="ignored", reason=NOT_READ) for field in manifest.inputs if field.name not in read
        )
        return replace(
            manifest, inputs=tuple(field for field in manifest.inputs if field.name in read),
            ignored=(*manifest.ignored, *gone),
            encoders=tuple(entry for entry in manifest.encoders if entry.field in read),
            form="compressed", lineage=lineage, files=(), measurements=(), leaderboard=(), row_us=0.0,
            calibration=answering.calibration.as_dict() if answering.calibration else None,
            label_weights=answering.label_weights or (),
            intervals=answering.intervals.as_dict() if answering.intervals else None,
        )  # fmt: skip

    def point(self, metric: str, **more: Any) -> Point:
        pace, speed = (self.race.second, self.race.speed) if self.race else (None, None)
        state = FELL if self.reason else CERTIFIED
        return Point(self.name, self.technique, state, self.reason, searched=_finite(metric, self.evidence), pace=pace,
                     speed=speed, size_bytes=self.size_bytes, smaller=self.smaller, **more)  # fmt: skip


def _finite(metric: str, found: Evidence | None) -> Loss | None:
    loss = loss_of(metric, found) if found else None
    return loss if loss and np.isfinite([loss.value, loss.low, loss.high]).all() else None


__all__ = ["ALL", "Judged", "Trial"]
