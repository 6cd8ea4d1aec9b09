"""Whether one model is better than another on the same rows, and not by chance: a paired bootstrap (Efron 1993).

Both are measured on the same resamples, so what makes rows hard for both cancels out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.core.task import LABEL_METRICS, Task
from aias.encoders.contract import Floats
from aias.training.formulas import FORMULAS, Case, Values
from aias.training.intervals import sampled
from aias.training.metrics import NO_LABELS, decide

RESAMPLES: Final = 2_000
"""The limit then varies by a thirtieth of the interval."""

NUMBERS_MAX: Final = 1_000_000
"""Weights held at once: 8 MB."""

RISK: Final = 0.05
"""Of calling something better that is not."""


@dataclass(frozen=True, slots=True)
class Answered:
    """Scores, (rows, outputs), and by what they are weighted before a label is answered."""

    scores: Floats
    label_weights: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Gain:
    """How much better by the metric; above 0 is better, whatever its direction. With 95 % confidence the gain is above
    `low`, and with the same below `high`."""

    metric: str
    value: float
    low: float
    high: float
    rows: int

    @property
    def certain(self) -> bool:
        return self.low > 0

    def __str__(self) -> str:
        return f"{self.metric} {self.value:+.4f} ({self.low:+.4f} to {self.high:+.4f}, {self.rows:,} rows)"


def certify(task: Task, y: Any, parent: Answered, child: Answered, *, seed: int) -> Gain:
    """The gain of `child` over `parent` by the task's metric."""
    sign = 1 if task.direction == "higher" else -1
    kept = sampled(len(y), seed)
    whole = sign * (_values(task, y, child)(_once(len(y))) - _values(task, y, parent)(_once(len(y))))
    parent = Answered(parent.scores[kept], parent.label_weights)
    child = Answered(child.scores[kept], child.label_weights)
    before, after, rows = _values(task, y[kept], parent), _values(task, y[kept], child), len(y[kept])
    rng = np.random.default_rng(seed)
    together = max(1, NUMBERS_MAX // rows)
    gains = []
    for begin in range(0, RESAMPLES, together):
        times = _resampled(rng, min(together, RESAMPLES - begin), rows)
        gains.append(sign * (after(times) - before(times)))
    found = np.concatenate(gains)
    known = found[np.isfinite(found)]
    if len(known) < RESAMPLES // 2 or not np.isfinite(whole[0]):  # these rows cannot give the metric
        return Gain(task.metric, float("nan"), float("-inf"), float("inf"), len(y))
    low, high = np.percentile(known, [100 * RISK, 100 * (1 - RISK)])
    return Gain(task.metric, float(whole[0]), float(low), float(high), len(y))


def _values(task: Task, y: Any, answered: Answered) -> Values:
    labels = decide(answered.scores, answered.label_weights) if task.metric in LABEL_METRICS else NO_LABELS
    found: Values = FORMULAS[task.metric.partition(":")[0]](Case(task.metric, y, answered.scores, labels))
    return found


def _once(rows: int) -> Floats:
    return np.ones((1, rows))


def _resampled(rng: np.random.Generator, size: int, rows: int) -> Floats:
    """How often each row was drawn, (size, rows)."""
    places = rng.integers(0, rows, (size, rows)) + rows * np.arange(size)[:, None]
    return np.bincount(places.ravel(), minlength=size * rows).reshape(size, rows).astype(np.float64)
