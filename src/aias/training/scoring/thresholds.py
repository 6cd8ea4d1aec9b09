"""From probabilities to labels: weights of the classes for the metric that judges labels.

The label is argmax(scores * weights). Of two classes that is a threshold: the best labels for F1, balanced accuracy and
their like are the probabilities cut at some value, only not at a half (Koyejo et al. 2014).
"""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.task import LABEL_METRICS, Task
from aias.training.scoring.cross_fitting import others
from aias.training.scoring.formulas import COUNTED, FORMULAS, Case, Counts
from aias.training.scoring.metrics import decide

WEIGHED: Final = LABEL_METRICS - {"precision", "recall"}
"""Precision and recall alone are best where all or nothing is answered: there the threshold is the caller's choice."""

RESAMPLES: Final = 100
ROWS_MAX: Final = 50_000
NUMBERS_MAX: Final = 200_000
"""Rows × classes: a second or two."""

CLASSES_MAX: Final = 128
"""Each is looked at beside all others, so the work grows with their square: 822 would take most of a minute."""

SWEEPS_MAX: Final = 3
RATIOS_MAX: Final = 200
ODDS_MAX: Final = 1e9
SMOOTH: Final = 5
"""Neighbouring ratios that are averaged, so that no single row makes a peak."""

PLATEAU: Final = 0.25
"""Standard errors below the best that count as equally good: the middle of them is taken, not the luckiest."""

Weights = tuple[float, ...]


def decision_weights(
    task: Task, y: Any, scores: Floats, folds: Ints, *, seed: int, forward: bool = False
) -> tuple[Weights, Floats] | None:
    """Weights of sum 1, and of each row those that the other folds say, (rows, classes), to judge it by.

    None where labels of folds that they were not found on gain less than a standard error, and of too many classes.
    """
    if task.metric not in WEIGHED or task.outputs > CLASSES_MAX or len(np.unique(y)) < 2:
        return None
    rng = np.random.default_rng(seed)
    rows = rng.permutation(len(y))[: min(ROWS_MAX, max(NUMBERS_MAX // task.outputs, NUMBERS_MAX // 50))]
    asked = np.isin(np.arange(len(y)), rows)
    weights = _find(task.metric, y[asked], scores[asked])
    honest = np.tile(weights, (len(y), 1))
    for fold in np.unique(folds[asked]):
        inside, outside = asked & others(task, y, folds, fold, forward=forward), asked & (folds == fold)
        honest[outside] = _find(task.metric, y[inside], scores[inside])
    y, scores, found = y[asked], scores[asked], decide(scores[asked], honest[asked])
    times = rng.poisson(1.0, (RESAMPLES, len(y))).astype(np.float64)  # of many rows as good as drawing them
    gains = _values(task, y, scores, found, times) - _values(task, y, scores, decide(scores), times)
    return (tuple(map(float, weights)), honest) if np.nanmean(gains) > np.nanstd(gains) else None


def _values(task: Task, y: Any, scores: Floats, labels: Ints, times: Floats) -> Floats:
    return FORMULAS[task.metric](Case(task.metric, y, scores, labels))(times)


def _find(metric: str, y: Any, scores: Floats) -> Floats:
    """Coordinate ascent: the weight of one class after the other; of two classes one weight is all there is."""
    classes = scores.shape[1]
    weights = np.ones(classes)
    for _ in range(SWEEPS_MAX if classes > 2 else 1):
        before = weights.copy()
        for label in range(classes) if classes > 2 else (1,):
            weights[label] *= _best_ratio(metric, _Rivalry.of(y, scores * weights, label))
        if np.array_equal(weights, before):
            break
    return np.asarray(weights / weights.sum())


@dataclass(frozen=True, slots=True)
class _Rivalry:
    """One class against the best of the others, in each row.

    A row answers `label` when the class's weight is multiplied by more than `odds`, and `rival` otherwise.
    """

    y: Any
    label: int
    rival: Ints
    odds: Floats
    classes: int

    @classmethod
    def of(cls, y: Any, weighted: Floats, label: int) -> "_Rivalry":
        others = weighted.copy()
        others[:, label] = -np.inf
        rival = others.argmax(axis=1)
        own, best = weighted[:, label], others[np.arange(len(others)), rival]
        odds = np.divide(best, own, out=np.full(len(own), np.inf), where=own > 0)
        return cls(y, label, rival, odds, weighted.shape[1])

    def ratios(self) -> Floats:
        """What is worth trying, with 1: between the odds of rows of the class, and of others."""
        finite = (self.odds > 1 / ODDS_MAX) & (self.odds < ODDS_MAX)
        cuts = [
            np.quantile(self.odds[rows], np.linspace(0, 1, RATIOS_MAX // 2))
            for rows in (finite & (self.y == self.label), finite & (self.y != self.label))
            if rows.any()
        ]
        found = np.unique(np.concatenate([*cuts, [1.0]]))
        return np.unique(np.append(np.sqrt(found[1:] * found[:-1]), 1.0))

    def counts(self, ratios: Floats) -> Counts:
        """For each ratio; rows that have flipped to the class count there, the rest with their rival."""
        flips = np.searchsorted(ratios, self.odds, side="right")  # the first ratio above the odds
        right = self.y == self.rival
        stay = self._not_flipped(flips, np.ones(len(flips)), len(ratios))
        hits = self._not_flipped(flips, right.astype(np.float64), len(ratios))
        stay[:, self.label] += _up_to(flips, np.ones(len(flips)), len(ratios))
        hits[:, self.label] += _up_to(flips, (self.y == self.label).astype(np.float64), len(ratios))
        rows = np.bincount(self.y, minlength=self.classes).astype(np.float64)
        return Counts(hits, np.broadcast_to(rows, hits.shape), stay)

    def _not_flipped(self, flips: Ints, counted: Floats, ratios: int) -> Floats:
        places = flips * self.classes + self.rival
        table = np.bincount(places, counted, (ratios + 1) * self.classes).reshape(ratios + 1, self.classes)
        return np.asarray(table[::-1].cumsum(axis=0)[::-1][1:])  # (ratios, classes)


def _up_to(flips: Ints, counted: Floats, ratios: int) -> Floats:
    return np.asarray(np.bincount(flips, counted, ratios + 1).cumsum()[:-1])


def _best_ratio(metric: str, rivalry: _Rivalry) -> float:
    ratios = rivalry.ratios()
    goodness = np.nan_to_num(COUNTED[metric](rivalry.counts(ratios)))
    smooth = _smoothed(goodness)
    best = int(np.argmax(smooth))
    if smooth[best] <= goodness[np.searchsorted(ratios, 1.0)]:
        return 1.0
    equal = smooth >= smooth[best] - PLATEAU * np.sqrt(max(smooth[best] * (1 - smooth[best]), 0) / len(rivalry.y))
    low = best - int(np.argmin(np.append(equal[best::-1], False))) + 1
    high = best + int(np.argmin(np.append(equal[best:], False)))
    return float(np.exp(np.log(ratios[low:high]).mean()))


def _smoothed(goodness: Floats) -> Floats:
    window = np.ones(min(SMOOTH, len(goodness)))
    return np.asarray(
        np.convolve(goodness, window, mode="same") / np.convolve(np.ones(len(goodness)), window, mode="same")
    )
