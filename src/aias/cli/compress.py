"""`aias compress` and `aias frontier`."""

import shutil
import sys
from typing import TYPE_CHECKING, Final

import click
import msgspec

from aias.cli.main import Once, option_json
from aias.cli.progress import Progress, interruptible
from aias.cli.show import deploying, give, hint, say, table
from aias.core.quantities import size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aias.compress.frontier import Frontier, Point

WIDE: Final = 200
"""Columns of a terminal in which the whole table can be read."""

NARROW: Final = 100
"""In fewer, rows would fold into three lines and more: what one caller gets and what it costs stands alone."""

NARROWER: Final = {"p50 µs": 60, "smaller": 48}
"""Columns of the terminal from which these are shown: else hardly a word of a candidate's name is on a line."""

PLOT_COLUMNS: Final = 100
"""Of the plot at most."""

LATE_SHOWN: Final = 3
"""Candidates that are named where there was no time for many."""


@click.command(cls=Once)
@click.argument("ref")
@click.option(
    "--max-loss", default="0.5%", show_default=True, help="The loss that you accept, as a share of the metric."
)
@click.option("--latency", help="The most that a row may take: 100us, 1ms.")
@click.option("--size", "size_max", help="The most that the graph and its tables may take: 300kB, 5MB.")
@click.option("--time", "seconds", default="60s", show_default=True, help="The time budget: 90s, 5m, 1h.")
@click.option("--data", help="The file it was trained on, if that has moved; for an imported version, rows that judge.")
@click.option("--test", help="The test file that it was measured on, if that has moved.")
@click.option("--split", help="Which rows given for an imported version belong together: group:COLUMN.")
@click.option("--unlabelled", help="A file of more rows to teach with; they need no labels.")
@click.option("--encoding", help="The encoding of these files, such as gb18030; detected by default.")
@click.option(
    "--callers", type=int, default=4, show_default=True, help="How many callers ask at once when it is timed."
)
@click.option("--technique", "techniques", multiple=True, help="Try only this technique; can be repeated.")
@option_json
def compress(
    ref: str, max_loss: str, latency: str | None, size_max: str | None, seconds: str, data: str | None,
    test: str | None, split: str | None, unlabelled: str | None, encoding: str | None, callers: int,
    techniques: tuple[str, ...], *, as_json: bool,
) -> None:  # fmt: skip
    """Make version REF smaller and faster, and publish what is proved to lose no more than you accept.

    Members are dropped, trees cut, the whole distilled into a small model, vocabularies reduced, weights quantised; a
    smaller model trained directly and doing nothing always compete. Nominated candidates are judged once, on rows not
    used before. With --json each event is a line. Ctrl-C ends the search with what was found so far.
    """
    from aias.client.model import load

    with Progress(as_json=as_json) as watch, interruptible() as stop:
        found = load(ref).compress(
            max_loss=max_loss, latency=latency, size=size_max, time=seconds, data=data, test=test,
            split=split, unlabelled=unlabelled, encoding=encoding, callers=callers, techniques=techniques, stop=stop,
            watch=watch,
        )  # fmt: skip
    if as_json:
        return
    draw(found.frontier)
    say(found.frontier.verdict)
    if found.better:
        loaded, whole = found.model.manifest.served_bytes, found.model.version.size_bytes
        click.echo(f"{found.model.ref}  {size(loaded)}, with its report {size(whole)}")
        hint(deploying(found.model.ref))


@click.command()
@click.argument("ref")
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
@option_json
def frontier(ref: str, *, markdown: bool, as_json: bool) -> None:
    """Show every candidate of the compression of version REF: its proof, or why it was rejected."""
    from aias.client.model import load

    found = load(ref).frontier()
    if as_json:
        return give(msgspec.to_builtins(found), as_json=True)
    if markdown:
        return click.echo(found.markdown(), nl=False)
    draw(found)
    return say(found.verdict)


def draw(found: "Frontier") -> None:
    """The table on stdout, on a terminal below a plot; where there is little room, what fell stands below it by
    reasons."""
    from aias.compress.frontier import cells
    from aias.compress.gate.evidence import digits
    from aias.compress.terminal_plot import sketch

    title = f"{found.ref}: loss of {found.metric}, margin {digits(found.margin)}"
    if sys.stdout.isatty():
        for line in sketch(found, min(shutil.get_terminal_size().columns, PLOT_COLUMNS)):
            click.echo(line)
    if shutil.get_terminal_size().columns >= WIDE:
        head = found.head(limits=False)
        table(title, head, [cells(point, limits=False) for point in found.ordered()], right=head[3:])
        return _say_how(found, more=found.too_few())
    points = list(found.ordered())
    several = f"{found.callers} at once" if found.callers > 1 else "several at once"
    every = ("candidate", "loss", "p50 µs", "faster", several, "smaller", "memory", "verdict")
    spared = [] if shutil.get_terminal_size().columns >= NARROW else [several, "memory"]
    spared += [name for name, columns in NARROWER.items() if shutil.get_terminal_size().columns < columns]
    shown = [place for place, name in enumerate(every) if name not in spared]
    head = [every[place] for place in shown]
    rows = [[_short(point)[place] for place in shown] for point in points if point.measured]
    table(title, head, rows, right=head[1:-1])
    for reason, names in _by_reason(points, found.ref).items():
        say(f"· {'; '.join(names)}: {reason}")
    return _say_how(found)


def _by_reason(points: "Sequence[Point]", ref: str) -> dict[str, list[str]]:
    """Who fell, under one reason each; what was never tried is named in two lines, however much it is."""
    from aias.compress.frontier import FELL
    from aias.compress.halving import LATE, NO_TIME

    fell: dict[str, list[str]] = {}
    unfit = f"not for this model; why: aias frontier {ref} --markdown"
    for point in (each for each in points if each.state == FELL):
        reason = point.reason
        if not point.measured:
            cannot = point.name == point.technique.replace("_", " ")
            reason = NO_TIME if reason.startswith(LATE) else unfit if cannot else reason
        fell.setdefault(reason, []).append(point.name)
    if len(names := fell.get(NO_TIME, [])) > LATE_SHOWN:
        fell[NO_TIME] = [*names[:LATE_SHOWN], f"{len(names) - LATE_SHOWN} more"]
    return fell


def _say_how(found: "Frontier", *, more: str = "") -> None:
    from aias.compress.frontier import PUBLISHED
    from aias.core.host import host

    say(found.timed() + more, dim=True)
    for each in found.points:
        if each.state == PUBLISHED and each.changed:
            say(f"{each.name}: {each.changed}")
    if found.runs > 1:
        say(found.opened)
    if found.total is not None:
        say(str(found.total))
    if found.host != host():
        say("this is another host, or its libraries are others: `aias show` says what holds here")


def _short(point: "Point") -> list[str]:
    from aias.compress.frontier import times
    from aias.compress.gate.evidence import signed

    loss, pace, speed, held = point.loss, point.pace, point.average or point.speed, point.footprint
    together = point.together.speed if point.together else None
    return [
        point.name, signed(loss.value) if loss else "", f"{pace.p50.value:,.0f}" if pace else "",
        times(speed.value) if speed else "", times(together.value) if together else "",
        times(point.smaller) if point.smaller else "", f"{held.memory_bytes / 1e6:,.1f} MB" if held else "",
        point.verdict,
    ]  # fmt: skip
