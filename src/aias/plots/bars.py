"""Charts of bars with their intervals, the longest first."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from aias.plots.frame import Axis, Frame
from aias.plots.svg import WIDTH, Drawing

_ROW: Final = 25.0
_LEFT: Final = 150.0


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    value: float
    low: float
    high: float


def bar_chart(title: str, note: str, along: str, bars: Sequence[Bar]) -> bytes:
    """An SVG of horizontal bars with their intervals, from the top down; `along` names the axis."""
    bottom = 62 + _ROW * len(bars) + 6
    drawing = Drawing(title, note, height=bottom + 52)
    reach = max([each.high for each in bars] + [each.value for each in bars] + [1e-12])
    below = min([each.low for each in bars] + [0.0])
    frame = Frame(
        drawing, Axis(along, max(below, -0.5 * reach), 1.04 * reach), Axis("", 0, 1), left=_LEFT, right=WIDTH - 28,
        top=62, bottom=bottom,
    )  # fmt: skip
    for tick in frame.x.ticks:
        x = float(frame.at_x(tick))
        drawing.line(x, frame.top, x, bottom, "grid")
        drawing.text(x, bottom + 17, frame.x.label(tick), "quiet small", anchor="middle")
    drawing.text((_LEFT + WIDTH - 28) / 2, bottom + 38, along, anchor="middle", width=WIDTH - 180)
    for i, each in enumerate(bars):
        _draw_bar(frame, each, 62 + _ROW * i + _ROW / 2)
    return drawing.as_bytes()


def _draw_bar(frame: Frame, bar: Bar, y: float) -> None:
    low, zero, value, high = (
        float(frame.at_x(max(each, frame.x.low))) for each in (bar.low, 0.0, bar.value, bar.high)
    )  # fmt: skip
    frame.drawing.text(_LEFT - 10, y + 4, bar.name, anchor="end", width=_LEFT - 22)
    frame.drawing.rect(min(zero, value), y - 8, max(abs(value - zero), 0.5), 16, "shape", strength=0.75, radius=2)
    frame.drawing.line(low, y, high, y, "whisker")
