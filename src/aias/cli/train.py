"""`aias train`."""

from pathlib import Path

import click

from aias.cli.main import option_json
from aias.cli.progress import Progress, interruptible
from aias.cli.show import hint, leaderboard, size, with_interval


@click.command()
@click.argument("file")
@click.option("--target", required=True, help="The column to predict.")
@click.option("--name", help="What to call the model; by default after the file.")
@click.option("--time", "seconds", default="60s", show_default=True, help="The time budget: 90s, 5m, 1h.")
@click.option("--metric", help="What decides: roc_auc, accuracy, log_loss, f1_macro, rmse, mae, r2, ...")
@click.option("--split", default="random", show_default=True, help="random, time:COLUMN or group:COLUMN.")
@click.option("--test", help="A file to measure on, or the share of rows to set aside; by default what can be spared.")
@click.option("--latency", default="150us", show_default=True, help="What one row may take in the serving form.")
@click.option("--schema", type=click.Path(path_type=Path), help="A schema file from `aias data check --save`.")
@click.option("--learner", "learners", multiple=True, help="Try only this one; may be given again.")
@click.option("--seed", default=0, show_default=True, help="The same seed and data give the same model.")
@click.option("--resume", is_flag=True, help="Go on with a training of this name that was broken off.")
@option_json
def train(
    file: str,
    target: str,
    name: str | None,
    seconds: str,
    metric: str | None,
    split: str,
    test: str | None,
    latency: str,
    schema: Path | None,
    learners: tuple[str, ...],
    seed: int,
    *,
    resume: bool,
    as_json: bool,
) -> None:
    """Train the best model that the time allows on FILE, and publish it in two forms.

    The quality form is everything that was found; the serving form answers a row within the latency. FILE is CSV, TSV,
    JSONL, Parquet, Arrow, Excel or ARFF, plain or in gzip or zip. With --json each event is a line. Ctrl-C finishes
    with what was found so far; a second one breaks off.
    """
    from aias.client.model import train as run

    with Progress(as_json=as_json) as watch, interruptible() as stop:
        model = run(
            file, target=target, name=name, time=seconds, metric=metric, split=split, test=_share(test),
            latency=latency, schema=schema, learners=learners, seed=seed, resume=resume, stop=stop, watch=watch,
        )  # fmt: skip
    if as_json:
        return
    leaderboard(model.manifest)
    for each in (model.quality, model):
        first = each.manifest.measurements[:1]
        score = f"{first[0].metric} {with_interval(first[0])}" if first else ""
        click.echo(f"{each.ref}  {each.manifest.form:8}{score}  {each.manifest.row_us:.0f} µs a row  "
                   f"{size(each.version.size_bytes)}")  # fmt: skip
    hint(f"aias deploy {model.ref} && aias serve")


def _share(test: str | None) -> float | str | None:
    """A share of rows when it is a number, else a file."""
    try:
        return float(test) if test is not None else None
    except ValueError:
        return test
