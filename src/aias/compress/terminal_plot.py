"""The frontier in letters, for a terminal: loss upwards, latency to the right."""

import math
from collections.abc import Callable
from typing import Final

from aias.compress.frontier import FELL, PARENT, PUBLISHED, Frontier, Point
from aias.compress.gate.evidence import digits
from aias.compress.plot import BEYOND, MARGINS, limits_of, shown, us_of
from aias.plots.frame import Axis, number

HEIGHT: Final = 13
LEFT: Final = 9
"""Letters for the numbers of the losses."""

FALLEN: Final = "·∘○"
STANDING: Final = "•●◉"
"""By size: up to a hundredth of the largest, up to a tenth, beyond."""

MARKS: Final = {PARENT: "P", PUBLISHED: "◆"}
LEGEND: Final = (
    "µs a row", "P the parent", "◆ published", f"{STANDING} certified", f"{FALLEN} others, by size",
    f"{BEYOND} loses more",
)  # fmt: skip

WIDTH_MIN: Final = 40
"""Letters; in fewer nothing can be told apart."""


def sketch(frontier: Frontier, width: int) -> list[str]:
    """Lines of at most `width` letters; none where fewer than two were measured, or where it is too narrow."""
    points = shown(frontier)
    if len(points) < 2 or width < WIDTH_MIN:
        return []
    times = [math.log10(us_of(each).value) for each in points]
    room = 0.04 * (max(times) - min(times)) or 0.1
    x = Axis("", min(times) - room, max(times) + room, powers=True)
    top = MARGINS * frontier.margin
    bottom = max(min(0.0, *(limits_of(each)[0] for each in points)), -top)
    across = width - LEFT - 1
    grid = [[" "] * across for _ in range(HEIGHT)]

    def column(power: float) -> int:
        return round((power - x.low) / (x.high - x.low) * (across - 1))

    def line(loss: float) -> int:
        return round((top - min(max(loss, bottom), top)) / (top - bottom) * (HEIGHT - 1))

    for level in (0.0, frontier.margin):
        grid[line(level)] = ["┄"] * across
    largest = max(each.size_bytes for each in points)
    for point in sorted(points, key=lambda each: (each.state != FELL, -each.size_bytes)):  # what stands lies above
        low, value, high = limits_of(point)
        place = column(math.log10(us_of(point).value))
        for each in range(line(high), line(low) + 1):
            if grid[each][place] in " ┄":
                grid[each][place] = "│"
        grid[line(value)][place] = _mark(point, largest) if value <= top else BEYOND
    numbers = {line(0.0): "0", line(frontier.margin): digits(frontier.margin)}
    rows = [f"{numbers.get(i, ''):>{LEFT - 1}} {''.join(letters).rstrip()}" for i, letters in enumerate(grid)]
    return ["loss", *rows, _ticks(x, column, across), *_legend(width)]


def _mark(point: Point, largest: int) -> str:
    if point.state in MARKS:
        return MARKS[point.state]
    share = point.size_bytes / max(largest, 1)
    return (FALLEN if point.state == FELL else STANDING)[(share > 0.01) + (share > 0.1)]


def _ticks(x: Axis, column: Callable[[float], int], across: int) -> str:
    """Round numbers of µs below their columns, as many as do not touch."""
    found = [" "] * (across + LEFT)
    free = 0
    for tick in x.ticks:
        text = number(10.0**tick)
        start = max(0, LEFT + column(tick) - len(text) // 2)
        if start >= free and start + len(text) <= len(found):
            found[start : start + len(text)] = text
            free = start + len(text) + 2
    return "".join(found).rstrip()


def _legend(width: int) -> list[str]:
    """What each letter means, in as many lines as it takes."""
    lines = [" " * LEFT]
    for each in LEGEND:
        if len(lines[-1]) + len(each) > width:
            lines.append(" " * LEFT)
        lines[-1] += f"{each}   "
    return [line.rstrip() for line in lines]
