"""Charts of cells: which class was taken for which, and where most of many points lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats, Ints
from aias.plots.frame import Axis, Frame, framed, number
from aias.plots.lines import Line, draw_line
from aias.plots.svg import WIDTH, Drawing

STRENGTH_MAX: Final = 0.6
"""Words are still easy to read on it."""

NUMBERED_MAX: Final = 12
"""Classes up to which a cell has room for its number."""

LYING_MAX: Final = 6
"""Classes up to which their names fit below their columns."""

BINS: Final = 32
SHADES: Final = 6
GRID_SHADES: Final = 12

_LABELS: Final = 120.0
_UPRIGHT: Final = 90.0
_GRID_TOP: Final = 84.0


def confusion_chart(title: str, note: str, classes: Sequence[str], counts: Ints) -> bytes:
    """`counts`: rows by true class (down) and answer (across), (classes, classes); the shade is the share of a line."""
    grid = _Grid(Drawing(title, note, height=_height(len(classes))), len(classes))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    grid.shade(shares)
    for i, j in np.ndindex(counts.shape) if len(classes) <= NUMBERED_MAX else ():
        grid.write(i, j, int(counts[i, j]), float(shares[i, j]))
    grid.name(classes)
    return grid.drawing.as_bytes()


def _height(classes: int) -> float:
    return _GRID_TOP + _tall(classes) * classes + (_UPRIGHT + 18 if classes > LYING_MAX else 34)


def _tall(classes: int) -> float:
    return min(_side(classes), 64.0)


def _side(classes: int) -> float:
    return (WIDTH - _LABELS - 16) / classes


@dataclass(frozen=True, slots=True)
class _Grid:
    """Cells of a square table; line i, column j."""

    drawing: Drawing
    classes: int

    @property
    def side(self) -> float:
        return _side(self.classes)

    @property
    def tall(self) -> float:
        return _tall(self.classes)

    def shade(self, shares: Floats) -> None:
        """Cells of about one shade are drawn together: a thousand cells by themselves would be 100 kB."""
        levels = np.round(GRID_SHADES * shares).astype(int)
        for level in range(GRID_SHADES + 1):
            corners = [
                (_LABELS + j * self.side + 0.5, _GRID_TOP + i * self.tall + 0.5)
                for i, j in np.argwhere(levels == level)
            ]
            if corners:
                strength = 0.05 + (STRENGTH_MAX - 0.05) * level / GRID_SHADES
                self.drawing.cells(corners, self.side - 1, self.tall - 1, strength=strength)

    def write(self, i: int, j: int, rows: int, share: float) -> None:
        x, y = _LABELS + (j + 0.5) * self.side, _GRID_TOP + (i + 0.5) * self.tall
        if self.tall < 40:
            self.drawing.text(x, y + 4, number(rows) if rows else "", "small", anchor="middle")
            return
        self.drawing.text(x, y, f"{rows:,}", anchor="middle")
        self.drawing.text(x, y + 17, f"{share:.1%}", "small", anchor="middle")

    def name(self, classes: Sequence[str]) -> None:
        """The true classes at the left, the answers below; many of them stand upright."""
        drawing, foot = self.drawing, _GRID_TOP + self.tall * self.classes
        drawing.text(_LABELS - 8, _GRID_TOP - 10, "actual ↓", "quiet", anchor="end")
        drawing.text((_LABELS + WIDTH - 16) / 2, _GRID_TOP - 10, "predicted →", "quiet", anchor="middle")
        small = "small" if len(classes) > LYING_MAX else ""
        for i, each in enumerate(classes):
            y, x = _GRID_TOP + (i + 0.5) * self.tall, _LABELS + (i + 0.5) * self.side
            drawing.text(_LABELS - 8, y + 4, each, small, anchor="end", width=_LABELS - 20)
            if small:
                drawing.text(x + 4, foot + 6, each, small, anchor="end", width=_UPRIGHT, upwards=True)
            else:
                drawing.text(x, foot + 20, each, anchor="middle", width=self.side - 4)


def density_chart(
    title: str, note: str, x: Axis, y: Axis, points: tuple[Floats, Floats], lines: Sequence[Line]
) -> bytes:
    """The more points in a cell, the stronger its colour; points beyond the axes lie at the edge."""

    def draw(frame: Frame) -> None:
        _draw_density(frame, *points)
        for line in lines:
            draw_line(frame, line)

    return framed(title, note, x, y, draw)


def _draw_density(frame: Frame, x: Floats, y: Floats) -> None:
    across = _bins(x, frame.x)
    up = _bins(y, frame.y)
    counts = np.bincount(up * BINS + across, minlength=BINS * BINS)
    width, height = (frame.right - frame.left) / BINS, (frame.bottom - frame.top) / BINS
    levels = np.ceil(SHADES * np.log1p(counts) / np.log1p(counts.max())).astype(int)
    for level in range(1, SHADES + 1):
        places = np.flatnonzero(levels == level)
        corners = [(frame.left + place % BINS * width, frame.bottom - (place // BINS + 1) * height) for place in places]
        if corners:
            frame.drawing.cells(corners, width, height, strength=0.1 + 0.75 * level / SHADES)


def _bins(values: Any, along: Axis) -> Ints:
    place = (values - along.low) / (along.high - along.low) * BINS
    return np.asarray(np.clip(place, 0, BINS - 1).astype(np.int64))
