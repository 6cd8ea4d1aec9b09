"""`aias optimize`."""

import click

from aias.cli.main import Once, option_json
from aias.cli.progress import Progress, interruptible
from aias.cli.show import deploying, hint, say, table, with_interval
from aias.core.quantities import size


@click.command(cls=Once)
@click.argument("ref")
@click.option("--time", "seconds", default="60s", show_default=True, help="The time budget: 90s, 5m, 1h.")
@click.option("--data", help="The file it was trained on, if that has moved.")
@click.option("--test", help="The test file that it was measured on, if that has moved.")
@click.option("--encoding", help="The encoding of these files, such as gb18030; detected by default.")
@click.option(
    "--searcher",
    default="tpe",
    show_default=True,
    help="What proposes settings: random, tpe, gp, cmaes, hyperopt, smac or ray.",
)
@click.option(
    "--axis",
    "axes",
    multiple=True,
    help="Search along this axis only: parameters, structure or strategy; can be repeated.",
)
@click.option("--learner", "learners", multiple=True, help="Let only models of this learner join; can be repeated.")
@option_json
def optimize(
    ref: str,
    seconds: str,
    data: str | None,
    test: str | None,
    encoding: str | None,
    searcher: str,
    axes: tuple[str, ...],
    learners: tuple[str, ...],
    *,
    as_json: bool,
) -> None:
    """Search for a version better than REF, and publish it if it is certainly better.

    The search starts where training ended, and goes along three axes: parameters, structure and strategy. A new version
    is published only if it beats REF with 95 % confidence on rows that were not searched on. With --json each event is
    a line. Ctrl-C ends the search with what was found so far; a second one aborts.
    """
    from aias.artifact.optimised import gained
    from aias.client.model import load
    from aias.core.quantities import seconds_of

    with Progress(as_json=as_json) as watch, interruptible() as stop:
        found = load(ref).optimize(
            time=seconds, data=data, test=test, encoding=encoding, searcher=searcher, axes=axes, learners=learners,
            stop=stop, watch=watch,
        )  # fmt: skip
    if as_json:
        return
    searched = f"{found.gain.metric} where searched"
    rows = [
        (each.axis, len(each.tried), "" if each.gain is None else gained(each.gain), ", ".join(each.kept) or "none")
        for each in found.axes
    ]
    table("", ("axis", "tried", searched, "kept"), rows, right=("tried", searched))
    if not any(each.tried for each in found.axes):
        _say_why_nothing(ref, seconds_of(seconds), empty=all(each.empty for each in found.axes))
        return
    if not found.better:
        say(f"nothing is certain to be better than {found.model.ref} on rows not searched on: {found.gain}")
        return
    say(f"better than {ref} on rows not searched on: {found.gain}")
    for each in {each.ref: each for each in (found.model.quality, found.model)}.values():
        first = each.manifest.measurements[:1]
        score = f"{first[0].metric} {with_interval(first[0])}" if first else ""
        click.echo(f"{each.ref}  {each.manifest.form:8}{score}  {each.manifest.row_us:.0f} µs a row  "
                   f"{size(each.manifest.served_bytes)}")  # fmt: skip
    hint(deploying(found.model.ref))


def _say_why_nothing(ref: str, seconds: float, *, empty: bool) -> None:
    """Nothing was tried: either the time was short, or there is nothing along these axes with these learners."""
    if empty:
        click.echo("there is nothing to try along this axis, with the learners that may join", err=True)
        return hint(f"aias optimize {ref} --time {seconds:.0f}s")
    click.echo("the time was not enough to try anything", err=True)
    return hint(f"aias optimize {ref} --time {5 * seconds:.0f}s")
