"""`aias.compare`: the quality, latency and size of versions, measured side by side on the same rows."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aias.client.model import Model
from aias.client.served import as_served
from aias.core.errors import UserError
from aias.core.evenly import evenly
from aias.core.events import Watch, logged
from aias.core.task import Measurement, limits_of
from aias.plots.frame import Axis, Frame, axis, framed

if TYPE_CHECKING:
    from aias.runtimes.latency import Estimate

TIMED_ROWS: Final = 60
RADIUS: Final = (3.0, 16.0)
"""Radius of the smallest dot and of the largest."""

LABEL: Final = 170.0
LINE: Final = 13.0
"""Width and height of a label beside its dot."""


@dataclass(frozen=True, slots=True)
class Step:
    """`row_us`: the median of one row, from a dict to the answer; `size_bytes`: the graph and the encoders' tables."""

    name: str
    ref: str
    quality: Measurement
    row_us: "Estimate"
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """Versions by the step that made each, measured on the same rows and timed in turn."""

    steps: tuple[Step, ...]

    @property
    def metric(self) -> str:
        return self.steps[0].quality.metric

    def markdown(self) -> str:
        """The comparison as a Markdown table; a step without a new version says so."""
        head = f"| step | version | {self.metric} (95 %) | µs a row | size |\n|---|---|---:|---:|---:|"
        return "\n".join([head, *(f"| {' | '.join(cells)} |" for cells in self.cells())]) + "\n"

    def cells(self) -> list[tuple[str, ...]]:
        """For each step its name, version, quality with the interval, µs of a row, and kB."""
        lines: list[tuple[str, ...]] = []
        known = set[str]()
        for step in self.steps:
            if step.ref in known:
                lines.append((step.name, f"{step.ref} stays", "", "", ""))
                continue
            known.add(step.ref)
            one, us = step.quality, step.row_us
            between = "" if one.low is None or one.high is None else f" ({one.low:.3f} to {one.high:.3f})"
            size = f"{step.size_bytes / 1e3:,.0f} kB"
            lines.append((step.name, step.ref, f"{one.value:.3f}{between}", f"{us.value:,.0f}", size))
        return lines

    def chart(self) -> bytes:
        """An SVG of quality against latency: the area shows bytes, bars the intervals, lines the order of the steps."""
        first: dict[str, Step] = {}
        for step in self.steps:
            first.setdefault(step.ref, step)
        steps = list(first.values())
        times = [math.log10(step.row_us.value) for step in steps]
        values = [end for step in steps for end in _ends(step.quality)]
        x = axis("µs of one row, p50", times, margin=0.3)
        return framed(
            "What each step bought", "area: bytes; bars: 95 %", Axis(x.name, x.low, x.high, powers=True),
            axis(self.metric, values, margin=0.12, within=limits_of(self.metric)), lambda frame: _draw(frame, steps),
        )  # fmt: skip


def compare(
    models: Mapping[str, Model], rows: Any, *, encoding: str | None = None, seconds: float = 2.0, seed: int = 0,
    watch: Watch = logged,
) -> Comparison:  # fmt: skip
    """Compare the quality, latency and size of several versions for one task.

    - `models`: the versions, by the name of the step that made each, in order
    - `rows`: the versions answer these one by one, in turn, for `seconds` altogether, each with the engine that would
      serve it here. If they have labels, quality is measured on them; else it is that of publication, which must have
      been measured on the same rows
    - `encoding`: of these rows, as in `train`

    Raises `UserError`.
    """
    from aias.data.read import read
    from aias.runtimes.latency import latency_summaries

    if not models:
        raise UserError("there is nothing to compare", hint="give models, by the name of the step that made each")
    versions = {model.ref: model for model in models.values()}
    first = next(iter(versions.values()))
    if others := [each.ref for each in versions.values() if each.task != first.task]:
        raise UserError(f"{others[0]} has another task than {first.ref}", hint="compare versions of one model")
    target = first.manifest.target
    assert target is not None, "training always records the target"
    dataset = read(rows, schema=first.manifest.rows_with(target), encoding=encoding, watch=watch)
    labelled = dataset.frame[target.name].null_count() < dataset.rows
    _check_alike(versions, labelled=labelled)
    quality = {ref: _measured(each, rows if labelled else None, encoding, seed) for ref, each in versions.items()}
    some = dataset.take(evenly(dataset.rows, TIMED_ROWS))
    asked = some.frame.select([field.name for field in first.manifest.inputs]).to_dicts()
    runtimes = [as_served(each, watch=watch) for each in versions.values()]
    timed = latency_summaries(runtimes, asked, seconds=seconds, seed=seed)
    speed = dict(zip(versions, (each.p50 for each in timed), strict=True))
    return Comparison(tuple(
        Step(name, each.ref, quality[each.ref], speed[each.ref], each.manifest.served_bytes)
        for name, each in models.items()
    ))  # fmt: skip


def _measured(model: Model, rows: Any, encoding: str | None, seed: int) -> Measurement:
    found = model.manifest.measurements if rows is None else model.evaluate(rows, encoding=encoding, seed=seed)
    for each in found:
        if each.metric == model.task.metric:
            return each
    raise UserError(
        f"{model.task.metric} of {model.ref} cannot be measured on these rows", hint="give rows whose labels differ"
    )


def _check_alike(versions: Mapping[str, Model], *, labelled: bool) -> None:
    judged = {(each.manifest.judged, each.manifest.lineage.dataset) for each in versions.values()}
    if not labelled and judged != {("test", next(iter(judged))[1])}:
        raise UserError("these versions were not measured on the same rows", hint="give rows with their labels")


def _ends(one: Measurement) -> tuple[float, ...]:
    return tuple(each for each in (one.low, one.value, one.high) if each is not None)


def _draw(frame: Frame, steps: list[Step]) -> None:
    places = [
        (float(frame.at_x(math.log10(step.row_us.value))), float(frame.at_y(step.quality.value))) for step in steps
    ]
    frame.drawing.path([x for x, _ in places], [y for _, y in places], "faint")
    most = max(step.size_bytes for step in steps)
    labels: list[tuple[float, float]] = []
    for step, (x, y) in zip(steps, places, strict=True):
        low, high = (float(frame.at_y(end)) for end in (min(_ends(step.quality)), max(_ends(step.quality))))
        left, right = (float(frame.at_x(math.log10(end))) for end in (step.row_us.low, step.row_us.high))
        frame.drawing.line(x, low, x, high, "whisker")
        frame.drawing.line(left, y, right, y, "whisker")
        radius = max(RADIUS[0], RADIUS[1] * math.sqrt(step.size_bytes / most))
        frame.drawing.dot(x, y, radius=round(radius, 1))
        label = y - 6
        while any(abs(label - other) < LINE and abs(x - beside) < LABEL for beside, other in labels):
            label += LINE
        labels.append((x, label))
        frame.drawing.text(x + radius + 4, label, step.name, "small", width=LABEL)
