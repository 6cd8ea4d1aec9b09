"""Axes: from values to places on a drawing, with round numbers beside them."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.plots.svg import WIDTH, Drawing, n

HEIGHT: Final = 380
LEFT, RIGHT, TOP, BOTTOM = 64.0, WIDTH - 20.0, 62.0, HEIGHT - 52.0

DIGIT: Final = 7.5
"""Of a number beside an axis, at most."""

NAMED: Final = 34.0
"""From the edge to where the longest number begins: the axis's name stands there, on its side."""

TICKS: Final = 5
TICKS_MIN: Final = 3

FAR: Final = 1e300
"""Beyond it float64 cannot say how far apart two values are."""


@dataclass(frozen=True, slots=True)
class Axis:
    """`name` says what stands along it; values from `low` to `high` are drawn, as powers of ten where so told.
    `percentiles`: the power says one in how many is beyond, and 2 is labelled p99."""

    name: str
    low: float
    high: float
    percent: bool = False
    powers: bool = False
    percentiles: bool = False

    def __post_init__(self) -> None:
        assert self.low < self.high, "an axis has a length"
        assert math.isfinite(self.high - self.low), "and an end"

    @property
    def step(self) -> float:
        """From one tick to the next."""
        rough = (self.high - self.low) / TICKS
        unit = 10.0 ** math.floor(math.log10(rough))
        return unit * next(each for each in (1, 2, 2.5, 5, 10) if each * unit >= rough * 0.999)

    @property
    def ticks(self) -> list[float]:
        """Round numbers within, about five of them."""
        step = self.step
        if self.powers and step < 1:
            within = range(math.floor(self.low), math.ceil(self.high) + 1)
            found = [power + math.log10(first) for power in within for first in (1, 2, 5)]
            found = [each for each in found if self.low - 1e-9 <= each <= self.high + 1e-9]
            if len(found) >= TICKS_MIN:
                return found
            plain = Axis("", 10.0**self.low, 10.0**self.high).ticks  # less than a power of ten or so: round numbers
            return [math.log10(each) for each in plain if each > 0]
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, first + 2 * TICKS + 2) if i * step <= self.high + 1e-9 * step]

    def label(self, tick: float) -> str:
        if self.percent:
            return f"{100 * tick:.4g} %"
        if self.percentiles:
            return f"p{100 * (1 - 10.0**-tick):.9g}"
        if self.powers:
            return number(10.0**tick)
        return number(tick, self.step, size=max(abs(self.low), abs(self.high)))


def axis(name: str, values: Any, *, margin: float = 0.04, within: tuple[float, float] = (-math.inf, math.inf)) -> Axis:
    """Around all finite values, with a little room, but none beyond the limits of what they may be."""
    finite = np.asarray(values, np.float64)
    finite = np.clip(finite[np.isfinite(finite)], -FAR, FAR)
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    room = margin * (high - low)
    if not room > 1e-9 * max(abs(low), abs(high)):  # all alike, or so near that float64 cannot divide them
        room = 0.05 * max(abs(low), abs(high)) or 0.5
    return Axis(name, max(low - room, min(low, within[0])), min(high + room, max(high, within[1])))


def share(name: str) -> Axis:
    """From 0 to 100 %."""
    return Axis(name, 0.0, 1.0, percent=True)


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the values of two axes lie on a drawing."""

    drawing: Drawing
    x: Axis
    y: Axis
    left: float = LEFT
    right: float = RIGHT
    top: float = TOP
    bottom: float = BOTTOM

    def at_x(self, values: Any) -> Any:
        return self.left + (np.asarray(values) - self.x.low) / (self.x.high - self.x.low) * (self.right - self.left)

    def at_y(self, values: Any) -> Any:
        return self.bottom - (np.asarray(values) - self.y.low) / (self.y.high - self.y.low) * (self.bottom - self.top)

    def draw(self) -> None:
        """The grid, the numbers and the names; before everything else."""
        drawing = self.drawing
        for tick in self.y.ticks:
            y = float(self.at_y(tick))
            drawing.line(self.left, y, self.right, y, "grid")
            drawing.text(self.left - 7, y + 4, self.y.label(tick), "quiet small", anchor="end")
        for tick in self.x.ticks:
            x = float(self.at_x(tick))
            drawing.line(x, self.top, x, self.bottom, "grid")
            drawing.text(x, self.bottom + 17, self.x.label(tick), "quiet small", anchor="middle")
        drawing.line(self.left, self.bottom, self.right, self.bottom, "axis")
        drawing.text((self.left + self.right) / 2, self.bottom + 38, self.x.name, anchor="middle", width=360)
        drawing.text(18, (self.top + self.bottom) / 2, self.y.name, anchor="middle", width=260, upwards=True)


def framed(title: str, note: str, x: Axis, y: Axis, draw: Callable[[Frame], None]) -> bytes:
    """A drawing with axes and what `draw` puts between them."""
    drawing = Drawing(title, note, height=HEIGHT)
    longest = max((len(y.label(tick)) for tick in y.ticks), default=0)
    frame = Frame(drawing, x, y, left=max(LEFT, NAMED + longest * DIGIT))
    frame.draw()
    draw(frame)
    return drawing.as_bytes()


def number(value: float, step: float = 0.0, *, size: float = 0.0) -> str:
    """Short: `12k`, `0.925`, `3.4M`; with digits enough for multiples of `step`, or else with three.

    `size`: of the largest of its neighbours, with which it shares its unit.
    """
    if value == 0:
        return "0"
    step = step or (10.0 ** (math.floor(math.log10(abs(value))) - 2))
    for unit, from_, letter in ((1e12, 1e12, "T"), (1e9, 1e9, "G"), (1e6, 1e6, "M"), (1e3, 1e4, "k")):
        if max(abs(value), step, size) >= from_:
            return f"{_rounded(value / unit, step / unit)}{letter}"
    return f"{value:.2g}" if 0 < abs(value) < 1e-4 else _rounded(value, step)


def _rounded(value: float, step: float) -> str:
    """With the fewest decimals that show the step as it is."""
    digits = next((i for i in range(7) if abs(step * 10**i - round(step * 10**i)) < 1e-6 * step * 10**i), 6)
    return n(value, digits)
