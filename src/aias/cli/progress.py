"""Training as a person watches it: one line for each thing learned, and one that changes while it runs."""

import contextlib
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Any, Final, Self

import click

from aias.core.events import Event

REFRESH_SECONDS: Final = 0.1


class Progress:
    """A watch. On a terminal the newest `debug` event stands in a line that is written over; else it is left out."""

    def __init__(self, *, as_json: bool, quiet: bool = False) -> None:
        self.as_json, self.quiet = as_json, quiet
        self._live = sys.stderr.isatty() and not as_json and not quiet
        self._shown_at = 0.0
        self._width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._clear()

    def __call__(self, event: Event) -> None:
        if self.as_json:
            import msgspec

            line: dict[str, Any] = {"event": event.name, "level": event.level, "message": event.message, **event.facts}
            click.echo(msgspec.json.encode(line, enc_hook=str).decode())  # NaN becomes null: JSON has none
        elif event.level == "debug":
            self._now(event)
        elif not self.quiet or event.level == "warning":
            self._clear()
            mark = click.style("! ", fg="yellow") if event.level == "warning" else click.style("· ", dim=True)
            click.echo(mark + event.message, err=True)

    def _now(self, event: Event) -> None:
        if not self._live or time.monotonic() - self._shown_at < REFRESH_SECONDS:
            return
        parts = [event.message]
        if "rows_per_second" in event.facts:
            parts.append(f"{float(str(event.facts['rows_per_second'])):,.0f} rows/s")
        if "seconds_left" in event.facts:
            parts.append(f"at most {float(str(event.facts['seconds_left'])):.0f} s left")
        text = " · ".join(parts)
        click.echo("\r" + text.ljust(self._width), err=True, nl=False)
        self._width, self._shown_at = len(text), time.monotonic()

    def _clear(self) -> None:
        if self._live and self._width:
            click.echo("\r" + " " * self._width + "\r", err=True, nl=False)
            self._width = 0


@contextlib.contextmanager
def interruptible() -> Iterator[threading.Event]:
    """The first Ctrl-C sets the event, so that what was found can be finished; the second interrupts as always."""
    stop = threading.Event()

    def ask(_signal: int, _frame: object) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        click.echo("\nfinishing with what was found; Ctrl-C again breaks off", err=True)
        stop.set()

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)
