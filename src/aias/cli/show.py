"""How answers look: tables on stdout, or JSON. Rich is loaded only when a table is drawn."""

import json
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from aias.core.events import Event
from aias.core.task import Measurement, written

if TYPE_CHECKING:
    from rich.console import Console

    from aias.artifact.manifest import Manifest
    from aias.client.model import Model


PIPE_WIDTH: Final = 1_000
"""Columns where there is no terminal."""


def give(value: Any, *, as_json: bool) -> None:
    """JSON on stdout when asked for, else the text."""
    if as_json:
        click.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))
    else:
        click.echo(value)


def table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = (),
    whole: Sequence[str] = ("version",),
) -> None:  # fmt: skip
    """A table on stdout; columns named in `right` are aligned to the right, and break no more than those in `whole`."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if title:
        click.secho(title, bold=True)
    drawn = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    for column in columns:
        kept = column in right or column in whole  # what gives way where there is little room are words
        justify: Literal["right", "left"] = "right" if column in right else "left"
        drawn.add_column(column, justify=justify, overflow="ellipsis" if kept else "fold", no_wrap=kept)
    for row in rows:
        drawn.add_row(*(Text(str(cell)) for cell in row))
    _console().print(drawn)


def leaderboard(manifests: "Sequence[Manifest]") -> None:
    """What was tried, best first, and how much of it is in each form."""
    from aias.cli.leaderboard import drawn_lines, lines_of

    lines = lines_of(manifests)
    if lines:
        console = _console()
        console.print(drawn_lines(lines, [each.form or "weight" for each in manifests], width=console.width))


def _console() -> "Console":
    """Of stdout; in a pipe or a file nothing has to be folded, since there is no edge."""
    from rich.console import Console

    wide = not sys.stdout.isatty() and "COLUMNS" not in os.environ
    return Console(highlight=False, width=PIPE_WIDTH if wide else None)


def say(text: str, *, mark: str = "", style: str = "", err: bool = False, dim: bool = False) -> None:
    """A sentence; on a terminal its lines end between words. `mark`, in its own `style`, stands before it."""
    stream = sys.stderr if err else sys.stdout
    if not stream.isatty():
        return click.echo(mark + text, err=err)
    from rich.console import Console
    from rich.text import Text

    Console(file=stream, highlight=False).print(Text(mark, style=style) + Text(text, style="dim" if dim else ""))
    return None


def warn(event: Event) -> None:
    """Tell what should not be overlooked, on stderr."""
    if event.level == "warning":
        say("", mark=event.message, style="yellow", err=True)


def plus_minus(one: Measurement) -> str:
    """`0.9258 ± 0.0060`: half the width of the interval, which need not lie evenly about the value."""
    half = None if one.low is None or one.high is None else (one.high - one.low) / 2
    return one.written + ("" if half is None else f" ± {written(half, like=one.value)}")


def with_interval(one: Measurement) -> str:
    """`0.9258 (0.9198 to 0.9317)`, as many digits as the interval gives meaning to."""
    return f"{one.written} ({one.interval})" if one.interval else one.written


def made_from(model: "Model") -> str:
    """`, made from churn@1`, for a serving form or a compressed one whose parent is still there."""
    if model.manifest.form not in {"serving", "compressed"}:
        return ""
    above = model.registry.lineage(model.version.ref)
    nearest = next((str(each) for found in above if found.steps == 1 for each in found.versions), "")
    return f", made from {nearest}" if nearest else ""


def nothing(said: str, make: str) -> None:
    """That a list is empty, and what would be in it after `make`."""
    click.echo(said, err=True)
    hint(make)


def hint(text: str) -> None:
    """The next thing to do, on stderr."""
    click.secho(f"next: {text}", dim=True, err=True)


def deploying(ref: str) -> str:
    """What makes a version answer: also a server, where none of this home runs."""
    from aias.core.settings import home
    from aias.serving.processes.control_socket import addresses_of

    return f"aias deploy {ref}" + ("" if any(addresses_of(home())) else " && aias serve")


def duration(seconds: float) -> str:
    """`42 s`, `3 min 20 s`, `2 h 51 min`, `3 d 4 h`."""
    whole = int(seconds + 0.5)
    if whole < 100:
        return f"{whole} s"
    if whole < 3_600:
        return f"{whole // 60} min {whole % 60:02} s"
    if whole < 86_400:
        return f"{whole // 3_600} h {whole % 3_600 // 60} min"
    return f"{whole // 86_400} d {whole % 86_400 // 3_600} h"
