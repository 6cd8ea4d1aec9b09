"""A drawing: shapes and words in, one well-formed SVG out.

It brings its own paper, light or dark as the reader's system is, so that it can be read on any page. Whatever a column
or a class is called, it is drawn as words and nothing else.
"""

import html
import unicodedata
from collections.abc import Sequence
from typing import Any, Final, Literal

WIDTH: Final = 460
"""Of every drawing, in its own units: two stand side by side on a screen, and one fills that of a phone."""

LETTER_UNITS: Final = 7.2
"""Width of a usual letter at 13 units in the wider of the fonts; East Asian ones take twice as much."""

Anchor = Literal["start", "middle", "end"]

_LIGHT: Final = (
    ".paper{fill:#fff;stroke:#dfe3e8}text,.ink{fill:#1f2933}.quiet{fill:#5b6670}.grid{stroke:#e8ebee}"
    ".axis{stroke:#8a949e}.main{stroke:#2563eb}.second{stroke:#b4540a}.faint{stroke:#93b4f5}.guide{stroke:#8a949e}"
    ".shape{fill:#2563eb}.whisker{stroke:#1f2933}"
)
_DARK: Final = (
    ".paper{fill:#161b22;stroke:#2f363d}text,.ink{fill:#e6edf3}.quiet{fill:#9aa4ae}.grid{stroke:#272d35}"
    ".axis{stroke:#6e7781}.main{stroke:#6ea8fe}.second{stroke:#f0a35e}.faint{stroke:#35609f}.guide{stroke:#7d8690}"
    ".shape{fill:#6ea8fe}.whisker{stroke:#e6edf3}"
)
_STYLE: Final = (
    'text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif}'
    ".head{font-size:15px;font-weight:600}.small{font-size:11px}.grid,.axis{stroke-width:1}"
    ".main,.second,.faint,.guide,.whisker{fill:none}.main,.second{stroke-width:2}.faint{stroke-width:1.3}"
    ".guide{stroke-dasharray:4 4}.main,.second,.faint{stroke-linejoin:round}"
    f"{_LIGHT}@media(prefers-color-scheme:dark){{{_DARK}}}"
)


class Drawing:
    """Shapes lie in the order in which they were added; `y` grows downwards."""

    def __init__(self, title: str, note: str, *, height: float) -> None:
        self.height = height
        words = printable(f"{title}. {note}")
        size = f'width="{WIDTH}" height="{n(height)}" viewBox="0 0 {WIDTH} {n(height)}"'
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{html.escape(words)}">',
            f"<title>{html.escape(words)}</title><style>{html.escape(_STYLE, quote=False)}</style>",
        ]
        self.rect(0.5, 0.5, WIDTH - 1, height - 1, "paper", radius=8)
        self.text(16, 26, title, "head", width=WIDTH - 32)
        self.text(16, 45, note, "quiet", width=WIDTH - 32)

    def rect(
        self, x: float, y: float, width: float, height: float, style: str, *, strength: float = 1, radius: float = 0
    ) -> None:
        more = (f' fill-opacity="{n(strength, 2)}"' if strength < 1 else "") + (f' rx="{radius}"' if radius else "")
        self._parts.append(
            f'<rect class="{style}" x="{n(x)}" y="{n(y)}" width="{n(width)}" height="{n(height)}"{more}/>'
        )

    def line(self, x: float, y: float, to_x: float, to_y: float, style: str) -> None:
        self._parts.append(f'<path class="{style}" d="M{n(x)} {n(y)}L{n(to_x)} {n(to_y)}"/>')

    def path(self, x: Any, y: Any, style: str) -> None:
        """Through all points in their order."""
        points = "L".join(f"{n(a)} {n(b)}" for a, b in zip(x, y, strict=True))
        self._parts.append(f'<path class="{style}" d="M{points}"/>')

    def cells(self, corners: Sequence[tuple[float, float]], width: float, height: float, *, strength: float) -> None:
        """Many equal rectangles of one strength of colour."""
        step = f"h{n(width)}v{n(height)}h{n(-width)}z"
        shape = "".join(f"M{n(x)} {n(y)}{step}" for x, y in corners)
        self._parts.append(f'<path class="shape" fill-opacity="{n(strength, 2)}" d="{shape}"/>')

    def dot(self, x: float, y: float, style: str = "shape", *, radius: float = 3) -> None:
        self._parts.append(f'<circle class="{style}" cx="{n(x)}" cy="{n(y)}" r="{radius}"/>')

    def text(
        self, x: float, y: float, words: str, style: str = "", *, anchor: Anchor = "start", width: float = WIDTH,
        upwards: bool = False,
    ) -> None:  # fmt: skip
        """Its middle is left out where it would be wider than `width`."""
        more = f' class="{style}"' if style else ""
        more += f' text-anchor="{anchor}"' if anchor != "start" else ""
        more += f' transform="rotate(-90 {n(x)} {n(y)})"' if upwards else ""
        self._parts.append(f'<text x="{n(x)}" y="{n(y)}"{more}>{html.escape(short(words, width))}</text>')

    def as_bytes(self) -> bytes:
        return "".join([*self._parts, "</svg>\n"]).encode()


def short(words: str, width: float) -> str:
    """As much of the words as goes into `width` units: of long names the middle is left out, as many differ at the end
    only."""
    kept = printable(words)
    if _width(kept) <= width:
        return kept
    size = len(kept) - 1
    while size > 1 and _width(_without_middle(kept, size)) > width:
        size -= 1
    return _without_middle(kept, size)


def _without_middle(words: str, size: int) -> str:
    tail = size // 3
    return f"{words[: size - tail]}…{words[len(words) - tail :]}"


def printable(words: str) -> str:
    """One line; what no font draws, and what would turn the direction of others, is a box."""
    line = " ".join(words[:1000].split())
    return "".join("\N{WHITE SQUARE}" if unicodedata.category(each) in _UNSEEN else each for each in line)


_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})


def _width(words: str) -> float:
    return LETTER_UNITS * sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in words)


def n(value: float, digits: int = 1) -> str:
    """With so many decimals at most."""
    text = f"{value:.{digits}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
