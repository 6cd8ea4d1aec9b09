"""The frontier drawn: loss against latency, the size as area, intervals as bars."""

import math
from typing import Final

import numpy as np

from aias.compress.frontier import FELL, PARENT, PUBLISHED, Frontier, Point
from aias.plots.frame import Axis, Frame, axis, framed
from aias.plots.svg import Anchor
from aias.runtimes.latency import Estimate

RADIUS: Final = (3.0, 16.0)
"""Of the smallest and of the largest."""

MARGINS: Final = 4.0
"""What loses more than so many stands at the upper edge, or nothing else could be told apart."""

BEYOND: Final = "↑"


def frontier_chart(frontier: Frontier) -> bytes:
    """The parent, which loses nothing against itself, and candidates that were measured; those that fell are hollow."""
    points = shown(frontier)
    times = [math.log10(us) for each in points for us in (us_of(each).low, us_of(each).value, us_of(each).high)]
    edge = MARGINS * frontier.margin or math.inf
    losses = [value for each in points for value in np.clip(limits_of(each), -edge, edge)]
    beyond = f"; {BEYOND} loses more" if any(limits_of(each)[1] > edge for each in points) else ""
    most = max((each.size_bytes for each in points), default=1)
    note = f"area: bytes; hollow: rejected or not tested{beyond}"
    mean = " (means where rows go on)" if any(each.sent for each in points) else ""
    x = axis(f"µs of one row, p50{mean}", times, margin=0.12)
    y = axis(f"Loss of {frontier.metric}", [*losses, 0.0, frontier.margin])
    return framed(
        f"Frontier of {frontier.ref}", note, Axis(x.name, x.low, x.high, powers=True), y,
        lambda frame: _draw(frame, frontier, points, most, edge),
    )  # fmt: skip


def shown(frontier: Frontier) -> list[Point]:
    """What was measured, and the parent."""
    return [each for each in frontier.points if each.pace and (each.loss or each.state == PARENT)]


def us_of(point: Point) -> Estimate:
    """What a row takes, by which it was chosen."""
    assert point.pace is not None
    return point.pace.mean if point.sent and point.pace.mean else point.pace.p50


def limits_of(point: Point) -> tuple[float, float, float]:
    """Its lower limit, itself, its upper limit."""
    loss = point.loss
    return (loss.low, loss.value, loss.high) if loss else (0.0, 0.0, 0.0)


def _draw(frame: Frame, frontier: Frontier, points: list[Point], most: int, edge: float) -> None:
    for level in (0.0, frontier.margin):
        y = float(frame.at_y(level))
        frame.drawing.line(frame.left, y, frame.right, y, "guide")
    frame.drawing.text(frame.right, y - 4, "margin", "quiet small", anchor="end")
    words: list[tuple[float, float, str, Anchor]] = []
    for point in sorted(points, key=lambda each: -each.size_bytes):
        us = us_of(point)
        x = float(frame.at_x(math.log10(us.value)))
        low, y, high = (float(frame.at_y(each)) for each in np.clip(limits_of(point), -edge, edge))
        left, right = (float(frame.at_x(math.log10(each))) for each in (us.low, us.high))
        bars, style = ("faint", "faint") if point.state == FELL else ("whisker", "shape")
        frame.drawing.line(x, low, x, high, bars)
        frame.drawing.line(left, y, right, y, bars)
        radius = float(np.clip(RADIUS[1] * math.sqrt(point.size_bytes / most), *RADIUS))
        frame.drawing.dot(x, y, style, radius=round(radius, 1))
        if limits_of(point)[1] > edge:
            frame.drawing.text(x, y + radius + 12, BEYOND, "quiet small", anchor="middle")
        if point.state in (PARENT, PUBLISHED):  # beside the bar: at its end it may stand by another dot
            turned = x > (frame.left + frame.right) / 2
            aside = -radius - 4 if turned else radius + 4
            words.append((x + aside, y - 5, point.state, "end" if turned else "start"))
    for x, y, word, anchor in words:
        frame.drawing.text(x, y, word, "small", anchor=anchor)
