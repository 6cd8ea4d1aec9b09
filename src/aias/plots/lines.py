"""Charts of lines: curves, their intervals, and how many rows stand behind each point."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from aias.core.arrays import Floats
from aias.plots.frame import Axis, Frame, framed

POINTS_MAX: Final = 200
"""Of one curve: more lie closer together than the eye can tell apart."""

Look = Literal["main", "second", "faint", "guide"]


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """`low` and `high` are drawn as a whisker at each point; `dots` marks the points; `steps` holds each value until
    the next."""

    x: Floats  # (points,)
    y: Floats  # (points,)
    look: Look = "main"
    low: Floats | None = None
    high: Floats | None = None
    dots: bool = False
    joined: bool = True
    steps: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """Rows in each bin of the x axis, drawn as bars along its foot."""

    edges: Floats  # (bins + 1,)
    rows: Any  # (bins,)


def line_chart(
    title: str, note: str, x: Axis, y: Axis, lines: Sequence[Line], *, counts: Counts | None = None
) -> bytes:
    """An SVG of lines, and of the rows behind them where `counts` are given."""

    def draw(frame: Frame) -> None:
        if counts is not None:
            _draw_counts(frame, counts)
        for line in lines:
            draw_line(frame, line)

    return framed(title, note, x, y, draw)


def thinned(x: Floats, y: Floats, most: int = POINTS_MAX) -> tuple[Floats, Floats]:
    """Points of a curve at about equal distances along it, the ends among them."""
    if len(x) <= most:
        return x, y
    spans = [max(float(np.ptp(each)), 1e-300) for each in (x, y)]
    steps = np.abs(np.diff(x)) / spans[0] + np.abs(np.diff(y)) / spans[1]
    along = np.concatenate([[0.0], np.cumsum(steps)])
    kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], most)).clip(0, len(x) - 1))
    kept[-1] = len(x) - 1
    return x[kept], y[kept]


def draw_line(frame: Frame, line: Line) -> None:
    """What lies beyond the axes is drawn at their edge."""
    known = np.isfinite(line.x) & np.isfinite(line.y)
    x, y = frame.at_x(line.x[known]), frame.at_y(np.clip(line.y[known], frame.y.low, frame.y.high))
    if not len(x):
        return
    if line.low is not None and line.high is not None:
        low, high = (np.clip(each[known], frame.y.low, frame.y.high) for each in (line.low, line.high))
        for place, one, other in zip(x, frame.at_y(low), frame.at_y(high), strict=True):
            frame.drawing.line(place, one, place, other, line.look)
    if line.joined and len(x) > 1:
        across, up = (np.repeat(x, 2)[1:], np.repeat(y, 2)[:-1]) if line.steps else (x, y)
        frame.drawing.path(across, up, line.look)
    if line.dots:
        for place, height in zip(x, y, strict=True):
            frame.drawing.dot(place, height)


def _draw_counts(frame: Frame, counts: Counts) -> None:
    most = max(1, int(np.max(counts.rows)))
    tall = 0.16 * (frame.bottom - frame.top)
    edges = frame.at_x(counts.edges)
    for left, right, rows in zip(edges[:-1], edges[1:], counts.rows, strict=True):
        if rows:
            height = max(1.0, tall * rows / most)
            frame.drawing.rect(left + 0.5, frame.bottom - height, right - left - 1, height, "shape", strength=0.22)
