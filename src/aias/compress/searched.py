"""What the search has found out so far, for a technique that goes on from it: small models that lost too much, and
large ones that would pass."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from aias.compress.nomination import LIKELY, Assurance
from aias.compress.techniques.contract import Made
from aias.compress.trial import Judged, Trial
from aias.core.arrays import Floats, Ints
from aias.training.scoring.calibration import Calibration, choose, from_dict

SMALL: Final = 2.0
"""Times as fast as the parent, at least: who answers first takes its time for every row."""

LARGE_MAX: Final = 2
"""Models that are looked at besides the parent to answer behind another: those that would gain most in its place."""

STUDENTS_MAX: Final = 3
"""Small models that are looked at, those that lost least: one that fell before it was timed costs a second."""


@dataclass(frozen=True, eq=False)
class Known:
    """A model whose answers are known out of fold: `scores`, calibrated, of `rows`, places among those that judge.
    `at`: what it is without a fold; None for the parent, which is asked as a teacher."""

    name: str
    rows: Ints
    scores: Floats
    calibration: Calibration | None
    row_us: float
    size_bytes: int
    at: Callable[[int], Made] | None = None
    chance: float = 1.0
    """Of being certified by itself."""

    def of(self, rows: Ints) -> Floats:
        """Of some of its rows."""
        return np.asarray(self.scores[np.searchsorted(self.rows, rows)])


@dataclass(frozen=True, eq=False)
class Searched:
    """`students`: much faster than the parent, and they fell by nothing but what they lose; `large`: the parent, and
    what would pass in its place; `chance`: that such answers to such rows will be certified."""

    students: Sequence[Known]
    large: Sequence[Known]
    chance: Callable[[Ints, Floats], float]
    fold: int
    """Without whose rows all of them are made already."""
    label_weights: Sequence[float] | None = None
    size_bytes_max: int | None = None


def searched(
    trials: Sequence[Trial], judged: Judged, assurance: Assurance, *, parent_bytes: int, size_bytes_max: int | None,
    time: Callable[[Trial], None],
) -> Searched:  # fmt: skip
    """`time`: to time a trial that fell before that was done."""
    able = [each for each in trials if each.evidence and not (each.fault or each.candidate.sent)]
    students = _students(able, judged, assurance, time)
    # What others do besides falls on both sides of a pair, and not on two pairs alike.
    parent_us = float(np.median([each.alone.first.p50.value for each in able if each.alone] or [0.0]))
    parent = [_parent(judged, parent_us, parent_bytes)] if parent_us else []
    return Searched(
        [_student(judged, each, parent_us) for each in students],
        [*parent, *(replace(_large(judged, each, parent_us), chance=assurance.of(each))
                    for each in _best(able, judged, assurance))],
        lambda rows, scores: assurance.chance(judged.loss(rows, judged.answering(rows, scores)[1], by_fold=True)),
        judged.parts(judged.searched)[0][0], judged.parent.label_weights, size_bytes_max,
    )  # fmt: skip


def _students(
    able: Sequence[Trial], judged: Judged, assurance: Assurance, time: Callable[[Trial], None]
) -> list[Trial]:
    """Of the small ones that are lost by themselves, those that lost least."""
    lost = [
        each for each in able
        if assurance.of(each) < LIKELY and (each.alone is None or _is_small(each)) and _reads_alike(judged, each)
    ]  # fmt: skip
    lost = sorted(lost, key=lambda each: each.evidence.value if each.evidence else 0.0)[:STUDENTS_MAX]
    for each in lost:
        if each.alone is None:
            time(each)
    return [each for each in lost if _is_small(each)]


def _is_small(trial: Trial) -> bool:
    return trial.alone is not None and trial.alone.speed.low > SMALL


def _best(able: Sequence[Trial], judged: Judged, assurance: Assurance) -> list[Trial]:
    """Of those that are likely to be certified in the parent's place; what a pair loses is known of each pair."""
    good = [each for each in able if each.alone and assurance.likely(each) and _reads_alike(judged, each)]
    return sorted(good, key=lambda each: -each.gain)[:LARGE_MAX]


def _reads_alike(judged: Judged, trial: Trial) -> bool:
    """Whether it reads the parent's columns, terms and tokens, and by the engine that a graph is proved with."""
    made, context = trial.at(judged.parts(judged.searched)[0][0]), judged.context
    ours = context.prepared.embedding
    same = made.embedding is None or (ours and made.embedding.sentences.subwords is ours.sentences.subwords)
    return bool(same) and not made.precision and made.encoder.encoders == context.encoder.encoders


def _student(judged: Judged, trial: Trial, parent_us: float) -> Known:
    """With probabilities that come true, as those of the large one do: both are compared at the seam."""
    rows, scores = out_of_fold(judged, trial)
    found, prepared = None, judged.context.prepared
    if not prepared.answers_of:
        costs = prepared.table.class_costs
        found = choose(judged.y[rows], scores, folds=judged.folds[rows], seed=judged.seed, costs=costs)
    return _known(trial, parent_us, rows, scores, found)


def _large(judged: Judged, trial: Trial, parent_us: float) -> Known:
    return _known(trial, parent_us, *out_of_fold(judged, trial), trial.answering.calibration)


def _known(trial: Trial, parent_us: float, rows: Ints, scores: Floats, calibration: Calibration | None) -> Known:
    assert trial.alone is not None
    scores = calibration.apply(scores) if calibration else scores
    return Known(trial.name, rows, scores, calibration, parent_us / trial.alone.speed.value, trial.size_bytes, trial.at)


def _parent(judged: Judged, row_us: float, size_bytes: int) -> Known:
    held = judged.context.parent.manifest.calibration
    rows = judged.searched
    scores, calibration = judged.before(rows, by_fold=True).scores, from_dict(held) if held else None
    return Known(judged.context.parent.ref, rows, scores, calibration, row_us, size_bytes)


def out_of_fold(judged: Judged, trial: Trial) -> tuple[Ints, Floats]:
    """The rows to search by of which it is known what it says, and that."""
    rows = judged.searched
    if trial.candidate.scores is None:
        rows = rows[np.isin(judged.folds[rows], list(trial.known))]
    return rows, trial.scores(judged, rows)
