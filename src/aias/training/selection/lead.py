"""By how much a model that time has left on its first folds alone is ahead of all that has the others, too."""

from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.task import LABEL_METRICS, Task
from aias.training.scoring.formulas import FORMULAS, Case, Values
from aias.training.scoring.intervals import sampled
from aias.training.scoring.metrics import NO_LABELS, decide
from aias.training.scoring.upright import upright
from aias.training.selection.leaderboard import Leaderboard
from aias.training.selection.members import Member
from aias.training.selection.weights import mix, ranking

RESAMPLES: Final = 100

ERRORS_MIN: Final = 3.0
"""Standard errors of the gain: it is the best of several, and then fewer rows judge."""


def lead(board: Leaderboard, member: Member) -> float:
    """`member`: of the first folds alone. The share that it takes of what all whole members together leave to a perfect
    score on the rows of these folds; 0 where that is not certain."""
    rows = board.folds < len(member.units)
    together = mix(np.stack([each.scores[rows] for each in board.members]), board.weights)
    groups = None if board.groups is None else board.groups[rows]
    task = ranking(board.task)
    before, after = (upright(task, each, board.class_costs) for each in (together, member.scores))
    return share_gained(task, board.y[rows], before, after, groups=groups)


def share_gained(task: Task, y: Any, before: Floats, after: Floats, *, groups: Ints | None = None) -> float:
    """Of what `before` leaves to a perfect score, (rows, outputs) both; by resampling rows or, of `groups`, these."""
    kept = sampled(len(y), 0)
    y, before, after = y[kept], before[kept], after[kept]
    units = np.arange(len(y)) if groups is None else np.unique(groups[kept], return_inverse=True)[1]
    times = np.random.default_rng(0).poisson(1.0, (RESAMPLES, int(units.max()) + 1)).astype(np.float64)[:, units]
    perfect = float(task.direction == "higher")
    with np.errstate(invalid="ignore"):  # of few groups none may be drawn
        left, leaves = (np.abs(perfect - _values(task, y, each)(times)) for each in (before, after))
    gains = (left - leaves)[np.isfinite(left) & np.isfinite(leaves)]
    if len(gains) < RESAMPLES // 2 or gains.mean() <= ERRORS_MIN * gains.std():
        return 0.0
    return float(gains.mean() / np.nanmean(left))


def _values(task: Task, y: Any, scores: Floats) -> Values:
    labels = decide(scores) if task.metric in LABEL_METRICS else NO_LABELS
    return FORMULAS[task.metric.partition(":")[0]](Case(task.metric, y, scores, labels))
