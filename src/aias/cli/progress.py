"""Training as a person watches it: a leaderboard on a terminal, a line for each thing learned elsewhere."""

import contextlib
import shutil
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import click

from aias.cli.show import say
from aias.core.events import Event

if TYPE_CHECKING:
    from aias.artifact.manifest import Manifest

REFRESH_SECONDS: Final = 0.1

REFRESHES_PER_SECOND: Final = 4


class Progress:
    """A watch. On a terminal, with the `seconds` of a training, it is a leaderboard that changes in its place; without
    them the newest `debug` event stands in a line that is written over. Elsewhere `debug` events are left out."""

    def __init__(self, *, as_json: bool, quiet: bool = False, seconds: float | None = None) -> None:
        self.as_json, self.quiet = as_json, quiet
        self._terminal = sys.stderr.isatty() and not as_json and not quiet
        self._live: Any = None
        self._board = None
        self._shown_at = 0.0
        self._width = 0
        if self._terminal and seconds is not None:
            from aias.cli.leaderboard import Board

            self._board = Board(seconds)

    @property
    def shows_board(self) -> bool:
        """Whether a person sees the leaderboard already."""
        return self._board is not None

    def __enter__(self) -> Self:
        if self._board is not None:
            self._live = _live(self._board)
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()
        if self._board is not None:
            self._board.end()
            self._live.stop()  # what it shows last stays

    def __call__(self, event: Event) -> None:
        if self.as_json:
            import msgspec

            line: dict[str, Any] = {"event": event.name, "level": event.level, "message": event.message, **event.facts}
            click.echo(msgspec.json.encode(line, enc_hook=str).decode())  # NaN becomes null: JSON has none
        elif self._board is not None:
            self._show(event)
        elif event.level == "debug":
            self._now(event)
        elif not self.quiet or event.level == "warning":
            self._clear()
            warned = event.level == "warning"
            say(event.message, mark="! " if warned else "· ", style="yellow" if warned else "dim", err=True)

    def conclude(self, manifests: "Sequence[Manifest]") -> None:
        """The forms that came of it."""
        if self._board is not None:
            self._board.conclude(manifests)

    def _show(self, event: Event) -> None:
        """In the board, or as a line above it."""
        from rich.text import Text

        from aias.cli.leaderboard import ABSORBED

        assert self._board is not None
        self._board.tell(event)
        if event.level == "warning" or (event.level == "info" and event.name not in ABSORBED):
            mark = Text("! ", style="yellow") if event.level == "warning" else Text("· ", style="dim")
            self._live.console.print(mark + Text(event.message))

    def _now(self, event: Event) -> None:
        if not self._terminal or time.monotonic() - self._shown_at < REFRESH_SECONDS:
            return
        parts = [event.message]
        if "rows_per_second" in event.facts:
            parts.append(f"{float(str(event.facts['rows_per_second'])):,.0f} rows/s")
        if "seconds_left" in event.facts:
            parts.append(f"at most {float(str(event.facts['seconds_left'])):.0f} s left")
        from rich.cells import cell_len, set_cell_size

        text, room = " · ".join(parts), shutil.get_terminal_size().columns - 1
        if cell_len(text) > room:  # a line that wraps could not be written over
            text = set_cell_size(text, room - 1) + "…"
        width = cell_len(text)
        click.echo("\r" + text + " " * (self._width - width), err=True, nl=False)
        self._width, self._shown_at = width, time.monotonic()

    def _clear(self) -> None:
        if self._terminal and self._width:
            click.echo("\r" + " " * self._width + "\r", err=True, nl=False)
            self._width = 0


def _live(board: Any) -> Any:
    from rich.console import Console
    from rich.live import Live

    console = Console(stderr=True, highlight=False)
    return Live(
        console=console, get_renderable=lambda: board.drawn(width=console.width, height=console.height),
        refresh_per_second=REFRESHES_PER_SECOND, redirect_stdout=False,
    )  # fmt: skip


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """The first Ctrl-C sets the event, so that what was found can be finished; the second interrupts as always."""
    stop = threading.Event()

    def ask(_signal: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Where there is a leaderboard this is above it: Rich has put itself in place of stderr, which Click passes by.
        sys.stderr.write("\nfinishing with what was found; Ctrl-C again breaks off\n")
        sys.stderr.flush()
        stop.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
