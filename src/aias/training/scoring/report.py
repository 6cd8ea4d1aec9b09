"""The report of a version: its plots, what its answers hang on, and how good it is for parts of the rows.

All of it is made of the same rows and scores as the measurements: rows set aside, or scores out of fold.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final

import numpy as np

from aias.artifact.report import PLOTS, REPORT, FieldImportance, Report, SliceScore
from aias.core.arrays import Floats, Ints
from aias.core.deadline import Deadline
from aias.core.events import Event, Watch, nobody
from aias.core.quantities import counted
from aias.core.task import Measurement, Task
from aias.data.dataset import Dataset
from aias.encoders.rows import Encoded, RowEncoder
from aias.plots.bars import Bar, bar_chart
from aias.training.ensemble import Ensemble, Part
from aias.training.history import History
from aias.training.pipeline import Pipeline
from aias.training.scoring.curves import Charts, history_charts, score_charts
from aias.training.scoring.importance import importance
from aias.training.scoring.metrics import LabelWeights, of_rows
from aias.training.scoring.slices import by_slice, each_value, parted
from aias.training.selection.configuration import Unit

ROWS_MAX: Final = 20_000
"""A plot of more looks the same."""

REPORT_SHARE: Final = 0.04
REPORT_SECONDS_MAX: Final = 2.0

IMPORTANCE_ROWS: Final = (5_000, 2_000, 1_000, 500, 200, 100)
IMPORTANCE_REPEATS: Final = (5, 3)
IMPORTANCE_SHARE: Final = 0.5
"""Of what is left of the time."""

IMPORTANCE_SECONDS_MAX: Final = 4.0
"""When training ended early; else what was kept for the report is all there is."""

UNREPORTED: Final = "train.unreported"
NO_TIME_LEFT: Final = "feature importance is left out: the time budget was used up"

HEAVIEST: Final = (3, 1)
"""Members that are asked out of fold: the others hardly change what the answers hang on, and each has to be loaded; the
fewer when there is less time than `HURRIED_SECONDS`."""

HURRIED_SECONDS: Final = 4.0

PROBE_ROWS: Final = (30, 300)
"""Answered first, to know what a call and a row will take."""

BARS_MAX: Final = 15
SLICED_MAX: Final = 3
"""Columns by whose values the rows are parted."""

SLICED_ROWS_MAX: Final = 5_000

Answer = Callable[[Encoded, Ints], Floats]
"""Scores of encoded rows whose places among the judged are given: who answers out of fold must know the fold."""


def report_seconds(budget: float) -> float:
    """What should be left of a training's time for the report of its last form."""
    return min(REPORT_SECONDS_MAX, REPORT_SHARE * budget)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The rows that a version is measured on, raw and encoded, with their true answers and honest scores."""

    dataset: Dataset
    encoded: Encoded
    y: Any  # (rows,)
    scores: Floats  # (rows, outputs)
    answer: Answer
    groups: Ints | None = None
    """The number of each row's, where some belong together."""
    label_weights: LabelWeights = None

    def take(self, rows: Ints) -> "Judged":
        def answer(encoded: Encoded, places: Ints) -> Floats:
            return self.answer(encoded, rows[places])

        groups = None if self.groups is None else self.groups[rows]
        return Judged(
            self.dataset.take(rows), self.encoded.take(rows), self.y[rows], self.scores[rows], answer, groups,
            of_rows(self.label_weights, rows),
        )  # fmt: skip


def report(
    task: Task, judged: Judged, encoder: RowEncoder, *, measured: Sequence[Measurement], history: History, best: str,
    deadline: Deadline, seed: int, watch: Watch = nobody,
) -> dict[str, bytes]:  # fmt: skip
    """`plots/*.svg` and `report.json`, by path. `best`: the configuration whose learning curve is drawn.

    After the deadline what answers hang on is left out, which takes longest, and `watch` is told; the rest takes about
    a tenth of a second.
    """
    rng = np.random.default_rng(seed)
    if len(judged.y) > ROWS_MAX:
        judged = judged.take(np.sort(rng.permutation(len(judged.y))[:ROWS_MAX]))
    charts = score_charts(task, judged.y, judged.scores, measured=measured, label_weights=judged.label_weights)
    charts |= history_charts(task, history, best=best)
    found, rows = _importance(task, judged, encoder, deadline=deadline, seed=seed, watch=watch)
    if found:
        charts["importance"] = _importance_chart(task, found, rows)
    few = judged.take(np.sort(rng.permutation(len(judged.y))[:SLICED_ROWS_MAX]))
    slices = _slices(task, few, encoder, found, seed=seed)
    return _files(charts) | {REPORT: Report(found, rows, slices).as_bytes()}


def noting(watch: Watch, notes: list[str]) -> Watch:
    """What `report` is to tell so that `notes` hold what the card should say: what was left out of this very report."""

    def told(event: Event) -> None:
        if event.name == UNREPORTED:
            notes.append(event.message)
        watch(event)

    return told


@dataclass(eq=False)
class OutOfFold:
    """Answers each row with what did not see it: the pipelines of the fold in which it judged.

    Of the members, with their weights and units, the heaviest; `folds`: (judged rows,).
    """

    members: Sequence[tuple[float, Sequence[Unit]]]
    folds: Ints
    load: Callable[[Unit], Pipeline]
    mix: Callable[[list[Part]], Ensemble]
    deadline: Deadline

    def __post_init__(self) -> None:
        self._ensembles: dict[int, Ensemble] = {}
        most = HEAVIEST[self.deadline.left < HURRIED_SECONDS]
        self._heaviest = [each for each in sorted(self.members, key=lambda each: -each[0])[:most] if each[0] > 0]

    def __call__(self, encoded: Encoded, places: Ints) -> Floats:
        folds = self.folds[places]
        parts = [(np.flatnonzero(folds == fold), int(fold)) for fold in np.unique(folds)]
        found = [self._ensemble(fold).scores(encoded.take(rows)) for rows, fold in parts]
        order = np.concatenate([rows for rows, _ in parts])
        return np.concatenate(found)[np.argsort(order)]

    def _ensemble(self, fold: int) -> Ensemble:
        if fold not in self._ensembles:
            total = sum(weight for weight, _ in self._heaviest)
            parts = [Part(weight / total, self.load(units[fold])) for weight, units in self._heaviest]
            self._ensembles[fold] = self.mix(parts)
        return self._ensembles[fold]


def at_once(run: Callable[[Encoded], Any]) -> Answer:
    """Each row is answered by the same graph."""

    def answer(encoded: Encoded, _places: Ints) -> Floats:
        return np.asarray(run(encoded), np.float64).reshape(encoded.rows, -1)

    return answer


def _files(charts: Charts) -> dict[str, bytes]:
    return {f"{PLOTS}{name}.svg": drawn for name, drawn in charts.items()}


def _importance(
    task: Task, judged: Judged, encoder: RowEncoder, *, deadline: Deadline, seed: int, watch: Watch
) -> tuple[tuple[FieldImportance, ...], int]:
    """The fields, largest first, and the rows that they were found on."""
    if deadline.passed:
        watch(Event(UNREPORTED, NO_TIME_LEFT))
        return (), 0
    fields = _fields(encoder)
    width = judged.encoded.columns.shape[1]
    places = np.arange(len(judged.y))[:, None]
    # The rows' own places come along unmixed, and once more as what stands for their texts.
    columns = np.hstack([judged.encoded.columns, places, places])

    def answer(x: Floats) -> Floats:
        texts, own = x[:, width].astype(np.int64), x[:, width + 1].astype(np.int64)
        return judged.answer(replace(judged.encoded.take(texts), columns=np.ascontiguousarray(x[:, :width])), own)

    rows, repeats = _affordable(answer, columns, fields=len(fields), deadline=deadline)
    if not rows:
        message = f"feature importance is left out: {counted(len(fields), 'field')} would take longer than there is"
        watch(Event(UNREPORTED, message, "debug", {"fields": len(fields)}))
        return (), 0
    found = importance(
        answer, columns, judged.y, fields, task=task, seed=seed, repeats=repeats, rows_max=rows,
        label_weights=judged.label_weights,
    )  # fmt: skip
    known = tuple(each for each in found if np.isfinite([each.drop, each.low, each.high]).all())
    return known, min(rows, len(judged.y))


def _fields(encoder: RowEncoder) -> dict[str, list[int]]:
    """The columns of each field; all texts together are one, in the column after the last."""
    fields: dict[str, list[int]] = {}
    texts, at = [], 0
    for each in encoder.fields:
        width = getattr(encoder.encoders[each.name], "width", 0)
        if each.kind == "text" or not width:
            texts.append(each.name)
            continue
        fields[each.name] = list(range(at, at + width))
        at += width
    if texts:
        fields[", ".join(texts)] = [at]
    return fields


def _affordable(
    answer: Callable[[Floats], Floats], columns: Floats, *, fields: int, deadline: Deadline
) -> tuple[int, int]:
    """How many rows can be asked about, and how often for each field; (0, 0) for too few to say anything."""
    few, more = (columns[:rows] for rows in PROBE_ROWS)
    most = min(IMPORTANCE_SECONDS_MAX, IMPORTANCE_SHARE * deadline.left)
    began = deadline.clock()
    answer(few)  # the first call makes what the others find ready: of rows of every fold, the fits of every fold
    if deadline.clock() - began > most:
        return 0, 0
    seconds = []
    for probe in (few, more):
        began = deadline.clock()
        answer(probe)
        seconds.append(max(deadline.clock() - began, 1e-6))
        if seconds[0] * len(more) / len(few) > most:  # to find out more would take as long
            return 0, 0
    row = max(seconds[1] - seconds[0], 0.0) / max(1, len(more) - len(few))
    call = max(seconds[0] - row * len(few), 0.0)
    choices = ((rows, repeats) for repeats in IMPORTANCE_REPEATS for rows in IMPORTANCE_ROWS)
    return next(
        (
            (rows, repeats)
            for rows, repeats in choices
            if (1 + repeats * fields) * (call + row * min(rows, len(columns))) <= most
        ),
        (0, 0),
    )


def _importance_chart(task: Task, found: Sequence[FieldImportance], rows: int) -> bytes:
    bars = [Bar(each.field, each.drop, each.low, each.high) for each in found[:BARS_MAX]]
    more = f"; {BARS_MAX} of {len(found):,} fields" if len(found) > BARS_MAX else ""
    note = f"{task.metric} lost by permutation, {rows:,} rows{more}"
    return bar_chart("Feature importance", note, f"Worse {task.metric}", bars)


def _slices(
    task: Task, judged: Judged, encoder: RowEncoder, found: Sequence[FieldImportance], *, seed: int
) -> tuple[SliceScore, ...]:
    """By the categories that matter most, or where there are none, by numbers; never by one part that is all."""
    kinds = {each.name: each.kind for each in encoder.fields}
    order = [each.field for each in found if each.field in kinds] or list(kinds)
    values: dict[str, Any] = {}
    for kind in ("category", "number"):
        found_values = ((name, each_value(judged.dataset.values(name))) for name in order if kinds[name] == kind)
        several = ((name, each) for name, each in found_values if len(list(parted(each))) > 1)
        values = values or dict(islice(several, SLICED_MAX))
    parts = by_slice(
        task, judged.y, judged.scores, values, seed=seed, label_weights=judged.label_weights, groups=judged.groups
    )
    return tuple(
        SliceScore(each.column, each.value, each.measurement) for each in parts if np.isfinite(each.measurement.value)
    )
