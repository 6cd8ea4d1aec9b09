"""Plots of how good scores are: from answers and scores, never fitted on, to SVG files by name."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.core.task import Measurement, Task, limits_of
from aias.plots.frame import FAR, axis, number, share
from aias.plots.grids import confusion_chart, density_chart
from aias.plots.lines import Counts, Line, line_chart, thinned
from aias.training.history import LOSS, SCORE, History, Round, Step
from aias.training.scoring import conformal
from aias.training.scoring.intervals import wilson
from aias.training.scoring.metrics import LabelWeights, decide

CLASSES_SHOWN_MAX: Final = 20
CURVES_SHOWN_MAX: Final = 8
CURVE_POINTS: Final = 101
CALIBRATION_BINS: Final = 10
COUNT_BINS: Final = 20
LEVEL: Final = 0.9
OUTSIDE: Final = 0.002
"""Of the values at each end, that may lie at the edge of a plot so that the rest can be told apart."""

FOLDS_SHOWN_MAX: Final = 8
ROUNDS_SHOWN_MIN: Final = 3
"""Fewer points are no curve."""

Charts = dict[str, bytes]


def score_charts(
    task: Task, y: Any, scores: Floats, *, measured: Sequence[Measurement], label_weights: LabelWeights = None
) -> Charts:
    """`measured`: what the notes on the plots say."""
    said = {one.metric: _said(one) for one in measured}
    if task.type == "regression":
        y, predicted = np.clip(y, -FAR, FAR), np.clip(scores[:, 0], -FAR, FAR)
        return {
            "predicted_actual": _predicted_actual(task, y, predicted, said), "residuals": _residuals(y, predicted)
        }  # fmt: skip
    labels = decide(scores, label_weights)
    charts = {"confusion": _confusion(task, y, labels, said)}
    if task.type == "binary":
        positive = scores[:, 1]
        charts["calibration"] = _calibration(f"Predicted probability of {task.classes[1]}", y == 1, positive, said)
        if 0 < int((y == 1).sum()) < len(y):
            charts |= {"roc": _roc(task, y == 1, positive, said), "precision_recall": _precision_recall(
                task, y == 1, positive, said
            )}  # fmt: skip
    else:
        top = scores.argmax(axis=1)
        charts["calibration"] = _calibration("Probability of the likeliest class", y == top, scores.max(axis=1), said)
        charts |= _each_against_the_rest(y, scores, said)
    return charts


def history_charts(task: Task, history: History, *, best: str) -> Charts:
    """`best`: the configuration whose fits are drawn."""
    charts: Charts = {}
    if (curve := _learning_curve(task, history, best)) is not None:
        charts["learning_curve"] = curve
    steps = [step for step in history.steps if np.isfinite([step.value, step.ensemble]).all()]
    if len(steps) > 1:
        charts["ensemble"] = _ensemble(task, steps)
    return charts


def _roc(task: Task, positive: Any, score: Floats, said: dict[str, str]) -> bytes:
    true, false = _cumulated(positive, score)
    x, y = thinned(false / false[-1], true / true[-1])
    note = said.get("roc_auc", "") or "dashed: by chance"
    lines = [Line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), "guide"), Line(x, y)]
    return line_chart(
        "ROC curve", note, share("False positive rate"),
        share(f"True positive rate of {task.classes[1]}"), lines,
    )  # fmt: skip


def _precision_recall(task: Task, positive: Any, score: Floats, said: dict[str, str]) -> bytes:
    true, false = _cumulated(positive, score)
    true, false = true[1:], false[1:]  # of no rows there is no precision
    x, y = thinned(true / true[-1], true / (true + false))
    base = float(positive.mean())
    lines = [Line(np.array([0.0, 1.0]), np.array([base, base]), "guide"), Line(x, y)]
    note = said.get("pr_auc", "") or "dashed: by chance"
    name = task.classes[1]
    return line_chart(
        "Precision-recall curve", note, share(f"Recall of {name}"),
        share(f"Precision of {name}"), lines,
    )  # fmt: skip


def _each_against_the_rest(y: Any, scores: Floats, said: dict[str, str]) -> Charts:
    """Of more than two classes: a curve for each of the commonest, and their mean."""
    rows = np.bincount(y, minlength=scores.shape[1])
    several = np.flatnonzero((rows > 0) & (rows < len(y)))
    shown = several[np.argsort(-rows[several], kind="stable")[:CURVES_SHOWN_MAX]]
    if len(shown) < 2:
        return {}
    along = np.linspace(0, 1, CURVE_POINTS)
    rocs, precisions = [], []
    for place in shown:
        true, false = _cumulated(y == place, scores[:, place])
        rocs.append(np.interp(along, false / false[-1], true / true[-1]))
        found, right = true[1:] / true[-1], true[1:] / (true[1:] + false[1:])
        precisions.append(np.interp(along, found, np.maximum.accumulate(right[::-1])[::-1]))
    base = float((rows[shown] / len(y)).mean())
    guides = Line(along[[0, -1]], along[[0, -1]], "guide"), Line(along[[0, -1]], np.array([base, base]), "guide")
    drawn = (
        [guide, *(Line(along, each, "faint") for each in curves), Line(along, np.mean(curves, axis=0))]
        for guide, curves in zip(guides, (rocs, precisions), strict=True)
    )
    note = "thin: each class against the rest" if len(shown) == len(several) else f"thin: the {len(shown)} commonest"
    roc, precision = drawn
    return {
        "roc": line_chart(
            "ROC curves", said.get("roc_auc_ovr") or f"{note}; thick: their mean",
            share("False positive rate"), share("True positive rate"), roc,
        ),
        "precision_recall": line_chart(
            "Precision-recall curve", f"{note}; thick: their mean", share("Recall"),
            share("Precision"), precision,
        ),
    }  # fmt: skip


def _cumulated(positive: Any, score: Floats) -> tuple[Floats, Floats]:
    """How many true and false positives there are from each threshold up: from none to all, equal scores together."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    true = np.cumsum(positive[order])[ends]
    return np.append(0.0, true), np.append(0.0, ends + 1 - true)


def _calibration(name: str, right: Any, score: Floats, said: dict[str, str]) -> bytes:
    """Bins of equally many rows; the whiskers are Wilson's intervals (Wilson 1927)."""
    cuts = np.unique(np.quantile(score, np.arange(1, CALIBRATION_BINS) / CALIBRATION_BINS))
    bins = np.searchsorted(cuts, score, side="left")
    rows = np.bincount(bins, minlength=len(cuts) + 1)
    kept = rows > 0
    mean = np.bincount(bins, score, len(rows))[kept] / rows[kept]
    middle = np.bincount(bins, right, len(rows))[kept] / rows[kept]
    low, high = wilson(middle, rows[kept])
    edges = np.linspace(0, 1, COUNT_BINS + 1)
    counts = Counts(edges, np.histogram(np.clip(score, 0, 1), edges)[0])
    lines = [
        Line(np.array([0.0, 1.0]), np.array([0.0, 1.0]), "guide"),
        Line(mean, middle, low=low, high=high, dots=True),
    ]
    note = "dashed: perfect calibration" + (f"; {said['ece'].partition(' (')[0]}" if "ece" in said else "")
    return line_chart("Calibration", note, share(name), share("Observed frequency"), lines, counts=counts)


def _confusion(task: Task, y: Any, labels: Ints, said: dict[str, str]) -> bytes:
    """The commonest classes; all others are one."""
    classes = len(task.classes)
    counts = np.bincount(y * classes + labels, minlength=classes * classes).reshape(classes, classes)
    names = list(task.classes)
    if classes > CLASSES_SHOWN_MAX:
        kept = np.sort(np.argsort(-counts.sum(axis=1), kind="stable")[: CLASSES_SHOWN_MAX - 1])
        place = np.full(classes, len(kept))
        place[kept] = np.arange(len(kept))
        together = np.zeros((len(kept) + 1, len(kept) + 1), np.int64)
        np.add.at(together, (place[:, None], place[None, :]), counts)
        counts, names = together, [*(names[i] for i in kept), f"{classes - len(kept)} others"]
    return confusion_chart("Confusion matrix", said.get("accuracy", ""), names, counts)


def _predicted_actual(task: Task, y: Floats, predicted: Floats, said: dict[str, str]) -> bytes:
    both = _inner(np.concatenate([y, predicted]))
    ends = np.array([both.min(), both.max()])
    along, up = axis(f"Predicted {task.target}", ends, margin=0), axis(f"Actual {task.target}", ends, margin=0)
    guide = Line(np.array([along.low, along.high]), np.array([up.low, up.high]), "second")
    note = "; ".join(said[name] for name in ("r2", "rmse") if name in said)
    return density_chart("Predicted and actual", note, along, up, (predicted, y), [guide])


def _residuals(y: Floats, predicted: Floats) -> bytes:
    error = y - predicted
    along, up = axis("Predicted", _inner(predicted), margin=0), axis("Actual less predicted", _inner(error))
    lines = [Line(np.array([along.low, along.high]), np.zeros(2), "guide")]
    found = conformal.fit(y, predicted, level=LEVEL)
    note = "dashed: no error"
    if found is not None:
        edges = np.array([along.low, *np.clip(found.edges, along.low, along.high), along.high])
        sides = (np.array([*side, side[-1]]) for side in (found.lower, found.upper))
        lines += [Line(edges, side, "second", steps=True) for side in sides]
        note = f"between the lines: {LEVEL:.0%} of the errors"
    return density_chart("Errors by prediction", note, along, up, (predicted, error), lines)


def _inner(values: Floats) -> Floats:
    low, high = np.quantile(values, [OUTSIDE, 1 - OUTSIDE])
    inside = values[(values >= low) & (values <= high)]
    return np.asarray(inside if len(inside) else values)  # of two values none lies between


def _learning_curve(task: Task, history: History, best: str) -> bytes | None:
    """A line for each fold, by rounds, epochs or whatever the learner counts."""
    mine = [each for each in history.rounds if each.configuration == best]
    metric, found = SCORE, _by_fold(mine, SCORE)
    if not found:  # short fits are told of as they end
        metric, found = LOSS, _by_fold(mine, LOSS)
    if not found:
        return None
    lines = [
        Line(*thinned(*np.array(sorted(points)).T), "main" if len(found) == 1 else "faint", dots=len(points) < 30)
        for _, points in sorted(found.items())[:FOLDS_SHOWN_MAX]
    ]
    up = task.metric if metric == SCORE else metric
    x = axis(mine[0].counted, np.concatenate([[0.0], *(line.x for line in lines)]), margin=0)
    note = f"{best}, on rows not fitted on" + ("" if len(lines) == 1 else "; each line a fold")
    return line_chart(
        "Learning curve", note, x, axis(up, np.concatenate([line.y for line in lines]), within=limits_of(up)), lines
    )


def _by_fold(rounds: Sequence[Round], metric: str) -> dict[int, list[tuple[float, float]]]:
    """The points of each fold that has enough of them."""
    folds: dict[int, list[tuple[float, float]]] = {}
    for each in rounds:
        if each.metric == metric and each.fold >= 0 and np.isfinite(each.value):
            folds.setdefault(each.fold, []).append((each.round, each.value))
    return {fold: points for fold, points in folds.items() if len(points) >= ROUNDS_SHOWN_MIN}


def _ensemble(task: Task, steps: Sequence[Step]) -> bytes:
    seconds = np.array([step.seconds for step in steps])
    whole = np.array([step.ensemble for step in steps])
    each = np.array([step.value for step in steps])
    x = axis("Seconds", np.append(0.0, seconds), margin=0.02)
    near = _near(each, whole)
    note = f"line: ensemble, {number(float(whole[-1]))} at last; dots: each model"
    if len(near) < len(each):
        note = note.replace("each model", "each, some beyond")
    lines = [Line(seconds, whole, steps=True), Line(seconds, each, dots=True, joined=False)]
    y = axis(task.metric, np.concatenate([whole, near]), within=limits_of(task.metric))
    return line_chart("Score over time", note, x, y, lines)


def _near(each: Floats, whole: Floats) -> Floats:
    """Without models so far behind that the ensemble's curve would be flat."""
    reach = 4 * max(float(np.ptp(whole)), 1e-3 * abs(float(whole[-1])))
    return np.asarray(each[np.abs(each - whole[-1]) <= reach])


def _said(one: Measurement) -> str:
    """`roc_auc 0.927 (0.924 to 0.931)`."""
    interval = "" if one.low is None or one.high is None else f" ({number(one.low)} to {number(one.high)})"
    return f"{one.metric} {number(one.value)}{interval}"
