"""The frontier drawn: loss against latency, the size as area, intervals as bars."""

import math
from typing import Final

import numpy as np

from aias.compress.frontier import FELL, PARENT, Frontier, Point
from aias.plots.frame import Axis, Frame, axis, framed
from aias.runtimes.latency import Between

RADIUS: Final = (3.0, 16.0)
"""Of the smallest and of the largest."""


def frontier_chart(frontier: Frontier) -> bytes:
    """The parent, which loses nothing against itself, and candidates that were measured; those that fell are hollow."""
    shown = [each for each in frontier.points if each.pace and (each.loss or each.state == PARENT)]
    times = [math.log10(us) for each in shown for us in (_us(each).low, _us(each).value, _us(each).high)]
    losses = [value for each in shown for value in _loss(each)]
    most = max((each.size_bytes for each in shown), default=1)
    note = f"loss of {frontier.metric} against the parent; area: bytes"
    mean = ", or the mean where some rows go on" if any(each.sent for each in shown) else ""
    x = axis(f"µs of one row, p50{mean}", times, margin=0.12)
    return framed(
        f"Frontier of {frontier.ref}", note, Axis(x.name, x.low, x.high, powers=True),
        axis("Loss", [*losses, 0.0, frontier.margin]), lambda frame: _draw(frame, frontier, shown, most),
    )  # fmt: skip


def _us(point: Point) -> Between:
    """What a row takes, by which it was chosen."""
    assert point.pace is not None
    return point.pace.mean if point.sent and point.pace.mean else point.pace.p50


def _loss(point: Point) -> tuple[float, float, float]:
    """Its lower limit, itself, its upper limit."""
    loss = point.loss
    return (loss.low, loss.value, loss.high) if loss else (0.0, 0.0, 0.0)


def _draw(frame: Frame, frontier: Frontier, shown: list[Point], most: int) -> None:
    for level in (0.0, frontier.margin):
        y = float(frame.at_y(level))
        frame.drawing.line(frame.left, y, frame.right, y, "guide")
    for point in sorted(shown, key=lambda each: -each.size_bytes):
        us = _us(point)
        x = float(frame.at_x(math.log10(us.value)))
        low, y, high = (float(frame.at_y(each)) for each in _loss(point))
        left, right = (float(frame.at_x(math.log10(each))) for each in (us.low, us.high))
        bars, style = ("faint", "faint") if point.state == FELL else ("whisker", "shape")
        frame.drawing.line(x, low, x, high, bars)
        frame.drawing.line(left, y, right, y, bars)
        radius = float(np.clip(RADIUS[1] * math.sqrt(point.size_bytes / most), *RADIUS))
        frame.drawing.dot(x, y, style, radius=round(radius, 1))
