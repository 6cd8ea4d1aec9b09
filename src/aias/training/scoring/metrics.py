"""How good scores are, with 95 % intervals.

Scores are probabilities (rows, classes) or predictions (rows, 1); `y` are class indices or values. Label weights are
what thresholds.decision_weights found: they count for the metrics that judge labels.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.events import Event, Watch
from aias.core.task import LABEL_METRICS, MEDIAN, Measurement, Task, TaskType, quantile_of
from aias.training.scoring.effective_sizes import (
    FEW,
    Sizes,
    certain_recalls,
    certain_share,
    ends_of,
    is_share,
    sizes_of,
)
from aias.training.scoring.formulas import FORMULAS, Case
from aias.training.scoring.intervals import Interval, intervals, sampled
from aias.training.scoring.studentised import Studentised

LabelWeights = Sequence[float] | Floats | None
"""Of the classes, (classes,); or of each row its own, (rows, classes)."""

REPORTED: Final[dict[TaskType, tuple[str, ...]]] = {
    "binary": ("roc_auc", "pr_auc", "accuracy", "balanced_accuracy", "f1", "mcc", "log_loss", "brier", "ece"),
    "multiclass": ("log_loss", "accuracy", "balanced_accuracy", "f1_macro", "roc_auc_ovr", "ece"),
    "regression": ("rmse", "mae", "median_absolute_error", "r2"),
}

NO_LABELS: Final[Ints] = np.empty(0, np.int64)

BIASED: Final = frozenset({"ece"})
"""Noise can only raise them, and resampling adds noise: their interval is turned round the value, from 0 up."""


def decide(scores: Floats, weights: LabelWeights = None) -> Ints:
    """The class of the largest weighted probability, and the first of equals: (rows,)."""
    return np.asarray((scores if weights is None else scores * np.asarray(weights)).argmax(axis=1))


def of_rows(weights: LabelWeights, rows: Any) -> LabelWeights:
    """Those of some of the rows."""
    return np.asarray(weights)[rows] if np.ndim(weights) == 2 else weights  # type: ignore[arg-type]


def measure(
    task: Task, y: Any, scores: Floats, *, metric: str | None = None, label_weights: LabelWeights = None
) -> Measurement:
    """The value alone."""
    name = metric or task.metric
    return Measurement(name, _value(_case(name, y, scores, label_weights)), len(y))


def alike(task: Task, y: Any) -> Floats:
    """The scores, (outputs,), that the metric likes best of those that are the same for every row."""
    if task.classes:
        return np.asarray(np.bincount(y, minlength=len(task.classes)) / len(y))
    name, ordered = task.metric.partition(":")[0], np.sort(y)
    if name in {"mae", "quantile_loss"}:
        best = np.quantile(ordered, quantile_of(task.metric) or MEDIAN)
    elif name == "mape":
        counted = np.cumsum(1 / np.abs(ordered))
        best = ordered[np.searchsorted(counted, counted[-1] / 2)]
    elif name == "median_absolute_error":  # the middle of the shortest half (Rousseeuw 1984)
        half = len(y) // 2
        lowest = int(np.argmin(ordered[half:] - ordered[: len(y) - half]))
        best = (ordered[lowest] + ordered[lowest + half]) / 2
    else:
        best = np.expm1(np.log1p(y).mean()) if name == "rmsle" else np.mean(y)
    return np.array([best])


def measure_with_interval(
    y: Any, scores: Floats, *, metric: str, seed: int, label_weights: LabelWeights = None, groups: Ints | None = None
) -> Measurement:
    (one,) = _measured((metric,), y, scores, label_weights=label_weights, seed=seed, groups=groups)
    return one


def judge(
    task: Task, y: Any, scores: Floats, *, seed: int, label_weights: LabelWeights = None, groups: Ints | None = None
) -> Measurement:
    """By the task's metric or, where these rows cannot give it (AUC of one class), by the log loss or RMSE. `groups`:
    the number of each row's, where some belong together."""
    own = measure_with_interval(y, scores, metric=task.metric, seed=seed, label_weights=label_weights, groups=groups)
    if np.isfinite(own.value):
        return own
    other = "log_loss" if task.classes else "rmse"
    return measure_with_interval(y, scores, metric=other, seed=seed, groups=groups)


def report(
    task: Task, y: Any, scores: Floats, *, seed: int, watch: Watch, label_weights: LabelWeights = None,
    groups: Ints | None = None,
) -> tuple[Measurement, ...]:  # fmt: skip
    """The metrics of a report; of those that these rows cannot give, `watch` is told."""
    measured = _measured(reported(task), y, scores, label_weights=label_weights, seed=seed, groups=groups)
    for one in measured:
        if not np.isfinite(one.value):
            message = f"{one.metric} cannot be measured on these {one.n:,} rows: their answers do not differ"
            watch(Event("train.unmeasured", message, "warning", {"metric": one.metric, "rows": one.n}))
    return tuple(one for one in measured if np.isfinite(one.value))


def reported(task: Task) -> tuple[str, ...]:
    """The metrics of a report: the task's own first."""
    return (task.metric, *(name for name in REPORTED[task.type] if name != task.metric))


def _measured(
    names: Sequence[str], y: Any, scores: Floats, *, label_weights: LabelWeights, seed: int, groups: Ints | None
) -> list[Measurement]:
    cases = [_case(name, y, scores, label_weights) for name in names]
    kept = sampled(len(y), seed)
    parts = [_case(name, y[kept], scores[kept], of_rows(label_weights, kept)) for name in names]
    rows = len(parts[0].y)
    kept_groups = None if groups is None else groups[kept]
    drawn = [sizes_of(part, kept_groups).drawn for part in parts]
    means = [Studentised.of(part, kept_groups) for part in parts]
    formulas = [mean or _formula(part) for mean, part in zip(means, parts, strict=True)]
    found = intervals(formulas, rows=rows, units=drawn, seed=seed, groups=kept_groups)
    found = [mean.ends(*ends) if mean and ends else ends for mean, ends in zip(means, found, strict=True)]
    narrower = float(np.sqrt(rows / len(y)))
    return [
        _with_interval(
            case, _value(case), _value(part), interval, narrower=narrower, sizes=sizes_of(case, groups), few=units < FEW
        )
        for case, part, interval, units in zip(cases, parts, found, drawn, strict=True)
    ]


def _with_interval(
    case: Case, value: float, around: float, interval: Interval | None, *, narrower: float, sizes: Sizes, few: bool
) -> Measurement:
    """`around`: the value on the rows that the interval is of; `few`: there are too few of a class to be drawn again.

    Where every row is right no resample has one that is wrong, nor one that is right where all are wrong: then, and of
    few, as a share of the smallest class. Where all rows are answered alike, no resample has another answer either. A
    single row, drawn again and again, says nothing of other errors.
    """
    if interval is None or not np.isfinite(value) or (len(case.y) < 2 and not is_share(case)):
        return Measurement(case.metric, value, len(case.y))
    down, up = ((end - around) * narrower for end in interval)
    if case.metric in BIASED:
        return Measurement(case.metric, value, len(case.y), max(0.0, value - max(up, 0)), max(value, value - down))
    low, high = value + down, value + up
    if is_share(case) and (few or (down == up and value in ends_of(case.metric))):
        least, most = certain_share(case.metric, value, sizes.rows if few else sizes.fewest)
        low, high = min(low, least), max(high, most)
    elif down == up and case.metric == "balanced_accuracy":
        low, high = certain_recalls(case, sizes)
    elif down == up and case.metric == "mcc":
        low, high = certain_share(case.metric, value, sizes.fewest)
    return Measurement(case.metric, value, len(case.y), low, high)


def _case(metric: str, y: Any, scores: Floats, label_weights: LabelWeights) -> Case:
    labels = decide(scores, label_weights) if metric in LABEL_METRICS else NO_LABELS
    return Case(metric, y, scores, labels)


def _formula(case: Case) -> Any:
    return FORMULAS[case.metric.partition(":")[0]](case)


def _value(case: Case) -> float:
    return float(_formula(case)(np.ones((1, len(case.y))))[0])
