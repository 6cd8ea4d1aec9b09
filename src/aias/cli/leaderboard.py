"""The leaderboard while it is made: members as they come, what is being fitted, how good all are together, time left.

`Board` remembers what events say and draws it; it knows nothing of terminals. A model that has no weight is dim.
"""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aias.artifact.manifest import Candidate, Manifest
from aias.cli.show import duration, plus_minus
from aias.core.events import Event
from aias.core.quantities import size
from aias.core.task import Measurement, direction_of, written

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table
    from rich.text import Text

SPARKS: Final = "▁▂▃▄▅▆▇█"
SPARKS_MAX: Final = 24
BAR_WIDTH: Final = 24
NAME_WIDTH: Final = 40
NAME_WIDTH_MIN: Final = 12
COLUMN_GAP: Final = 2
GIVE_WAY: Final = ("fit s", "size", "µs/row")
"""Columns that are left out, in this order, where there is no room for all: a name and a score are never cut first."""

SKIPPED_SHOWN_MAX: Final = 3

FRAME_LINES: Final = 10
"""What stands around the members: time, head, running fits, the curve."""

ABSORBED: Final = frozenset({
    "train.split", "train.candidate", "train.unit", "train.round", "train.skipped", "train.parity", "train.test",
    "train.published",
})  # fmt: skip
"""Events that are seen in the board, and so are no lines of their own."""


@dataclass(frozen=True, slots=True)
class Line:
    """A member of the ensemble. `weights`: one for each form that is known."""

    name: str
    score: Measurement
    fit_seconds: float
    row_us: float
    size_bytes: int
    weights: tuple[float, ...] = ()


@dataclass(slots=True)
class Running:
    """A fit that has not ended: how far it is by its last word."""

    rounds: int = 0
    value: str = ""
    rows_per_second: float = 0.0


@dataclass(eq=False)
class Board:
    """Told of events by any thread, drawn by any other."""

    seconds: float
    clock: Callable[[], float] = time.monotonic
    lines: dict[str, Line] = field(default_factory=dict)
    running: dict[tuple[str, int], Running] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)
    curve: list[float] = field(default_factory=list)
    """The ensemble's score after each new member."""
    phase: str = "reading"
    forms: tuple[str, ...] = ("weight",)

    def __post_init__(self) -> None:
        self._began, self._lock = self.clock(), threading.RLock()

    def tell(self, event: Event) -> None:
        with self._lock:
            act = {
                "train.split": self._split, "train.unit": self._unit, "train.round": self._round,
                "train.candidate": self._candidate, "train.skipped": self._skip, "train.parity": self._prove,
                "train.test": self._prove, "train.published": self._publish,
            }.get(event.name)  # fmt: skip
            if act is not None:
                act(event.facts)

    def conclude(self, manifests: Sequence[Manifest]) -> None:
        """The last word: each model's weight in each form."""
        with self._lock:
            self.forms = tuple(each.form for each in manifests)
            self.lines = {line.name: line for line in lines_of(manifests)}

    def end(self) -> None:
        with self._lock:
            self.phase, self.running = "", {}

    def drawn(self, *, width: int = 80, height: int = 50) -> "RenderableType":
        """What there is to see, in at most so many lines."""
        from rich.console import Group

        with self._lock:
            parts: list[RenderableType] = [self._clock_line(), ""] if self.phase else [""]
            if self.lines:
                room = max(3, height - FRAME_LINES - len(self.running)) if self.phase else len(self.lines)
                parts += [drawn_lines(self._ordered(), self.forms, width=width, most=room), ""]
            parts += self._curve_line()
            if self.running:
                parts.append(self._running_lines())
            return Group(*parts, *self._skipped_lines())

    def _ordered(self) -> list[Line]:
        higher = bool(self.lines) and direction_of(next(iter(self.lines.values())).score.metric) == "higher"
        return sorted(self.lines.values(), key=lambda line: line.score.value, reverse=higher)

    def _clock_line(self) -> "Text":
        from rich.text import Text

        left = max(0.0, self._began + self.seconds - self.clock())
        full = round(BAR_WIDTH * (1 - left / self.seconds)) if self.seconds else BAR_WIDTH
        return Text.assemble(
            ("━" * full, "cyan"), ("─" * (BAR_WIDTH - full), "dim"), f"  {duration(left)} left", ("  ·  ", "dim"),
            self.phase,
        )  # fmt: skip

    def _curve_line(self) -> "list[RenderableType]":
        from rich.text import Text

        if not self.curve or not self.lines:
            return []
        metric = next(iter(self.lines.values())).score.metric
        last = plus_minus(Measurement(metric, self.curve[-1], 0))
        higher = direction_of(metric) == "higher"
        marks = sparks(self.curve if higher else [-value for value in self.curve])
        said = Text.assemble("together ", (last, "bold"), "  ", (marks, "cyan"), ("  up is better", "dim"))
        return [said if len(self.curve) > 1 else Text.assemble("together ", (last, "bold"))]

    def _running_lines(self) -> "Table":
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        for (name, fold), each in sorted(self.running.items()):
            grid.add_row(
                Text("›", style="cyan"), Text(name), Text("all rows" if fold < 0 else f"fold {fold + 1}", style="dim"),
                Text(f"{each.rounds:,} round{'s' * (each.rounds > 1)}" if each.rounds else "", style="dim"),
                Text(each.value),
                Text(f"{_short(each.rows_per_second)} rows/s" if each.rows_per_second else "", style="dim"),
            )  # fmt: skip
        return grid

    def _skipped_lines(self) -> "list[RenderableType]":
        from rich.text import Text

        shown = [Text(f"left out: {each}", style="dim", overflow="ellipsis", no_wrap=True)
                 for each in self.skipped[-SKIPPED_SHOWN_MAX:]]  # fmt: skip
        more = len(self.skipped) - len(shown)
        return [*shown, Text(f"and {more} more left out", style="dim")] if more else list(shown)

    # What events change

    def _split(self, _facts: dict[str, Any]) -> None:
        self.phase = "fitting"

    def _unit(self, facts: dict[str, Any]) -> None:
        key = (str(facts["configuration"]), int(facts["fold"]))
        if facts.get("ended"):
            self.running.pop(key, None)
            return
        if key[1] < 0:  # whatever was being fitted on folds has been left
            self.running = {other: each for other, each in self.running.items() if other[1] < 0}
            self.phase = "fitting again on all rows"
        self.running[key] = Running()

    def _round(self, facts: dict[str, Any]) -> None:
        key = (str(facts.get("configuration", facts.get("learner", ""))), int(facts.get("fold", 0)))
        value = ""
        if facts.get("score") is not None:
            value = written(float(facts["score"]))
        elif facts.get("validation_loss") is not None:
            value = f"loss {written(float(facts['validation_loss']))}"
        rows_per_second = float(facts.get("rows_per_second", 0.0))
        self.running[key] = Running(int(facts.get("round", 0)), value, rows_per_second)

    def _candidate(self, facts: dict[str, Any]) -> None:
        name = str(facts["configuration"])
        score = Measurement(
            str(facts["metric"]), float(facts["validation"]), 0, facts.get("low"), facts.get("high")
        )  # fmt: skip
        weights: dict[str, float] = facts.get("weights", {})
        self.lines[name] = Line(name, score, facts["fit_seconds"], facts["row_us"], facts["size_bytes"])
        self.lines = {
            key: Line(each.name, each.score, each.fit_seconds, each.row_us, each.size_bytes, (weights.get(key, 0.0),))
            for key, each in self.lines.items()
        }
        self._forget(name)
        if facts.get("ensemble") is not None:
            self.curve.append(float(facts["ensemble"]))

    def _skip(self, facts: dict[str, Any]) -> None:
        name = str(facts["configuration"])
        self.skipped.append(f"{name}, {facts.get('reason', '')}")
        self._forget(name)

    def _prove(self, _facts: dict[str, Any]) -> None:
        self.phase = "proving and measuring"

    def _publish(self, _facts: dict[str, Any]) -> None:
        self.phase = "publishing"

    def _forget(self, name: str) -> None:
        self.running = {key: each for key, each in self.running.items() if key[0] != name}


def lines_of(manifests: Sequence[Manifest]) -> list[Line]:
    """The models of some forms of one training, best first, with their weight in each form."""
    weights = [{_name(each): each.weight if each.chosen else 0.0 for each in held.leaderboard} for held in manifests]
    return [
        Line(
            _name(each), each.validation, each.fit_seconds, each.row_us, each.size_bytes,
            tuple(found.get(_name(each), 0.0) for found in weights),
        )
        for each in manifests[0].leaderboard
    ]  # fmt: skip


def drawn_lines(lines: Sequence[Line], forms: Sequence[str], *, width: int, most: int = 1_000) -> "Table":
    """A table; of more than `most` models the first. What is no wider than needed has all its columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    metric = lines[0].score.metric if lines else "score"
    cells = _cells(lines[:most], metric, forms)
    wide = {name: max(map(len, (name, *values))) + COLUMN_GAP for name, values in cells.items()}
    name_min = min(NAME_WIDTH_MIN, max((len(line.name) for line in lines), default=0))
    for name in GIVE_WAY:
        if name_min + sum(wide[each] for each in cells) > width:
            del cells[name]
    room = width - sum(wide[each] for each in cells)
    table.add_column("model", no_wrap=True, max_width=max(NAME_WIDTH_MIN, min(NAME_WIDTH, room)), overflow="ellipsis")
    for name in cells:
        table.add_column(name, justify="right", no_wrap=True)
    for place, line in enumerate(lines[:most]):
        row = (values[place] for values in cells.values())
        table.add_row(Text(line.name), *row, style="" if any(line.weights) else "dim")
    if len(lines) > most:
        table.add_row(f"and {len(lines) - most} more", style="dim")
    return table


def _cells(lines: Sequence[Line], metric: str, forms: Sequence[str]) -> dict[str, list[str]]:
    """What stands beside the names, by column."""
    return {
        metric: [plus_minus(line.score) for line in lines],
        "fit s": [f"{line.fit_seconds:.1f}" for line in lines],
        "µs/row": [f"{line.row_us:,.0f}" for line in lines],
        "size": [size(line.size_bytes) for line in lines],
        **{
            form: [f"{line.weights[at]:.2f}" if at < len(line.weights) and line.weights[at] else "" for line in lines]
            for at, form in enumerate(forms)
        },
    }


def sparks(values: Sequence[float]) -> str:
    """A line of blocks, the largest the highest; of many values the last."""
    shown = list(values[-SPARKS_MAX:])
    low, high = min(shown), max(shown)
    if not high > low:
        return SPARKS[0] * len(shown)
    return "".join(SPARKS[round((value - low) / (high - low) * (len(SPARKS) - 1))] for value in shown)


def _name(each: Candidate) -> str:
    return each.name or each.learner


def _short(value: float) -> str:
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.0f}"
