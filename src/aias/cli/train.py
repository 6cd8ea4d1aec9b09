"""`aias train`."""

from pathlib import Path

import click

from aias.cli.main import option_json
from aias.cli.progress import Progress
from aias.cli.show import hint, size, table, with_interval


@click.command()
@click.argument("file")
@click.option("--target", required=True, help="The column to predict.")
@click.option("--name", help="What to call the model; by default after the file.")
@click.option("--time", "seconds", default="60s", show_default=True, help="The time budget: 90s, 5m, 1h.")
@click.option("--metric", help="What decides: roc_auc, accuracy, log_loss, f1_macro, rmse, mae, r2, ...")
@click.option("--split", default="random", show_default=True, help="random, time:COLUMN or group:COLUMN.")
@click.option("--schema", type=click.Path(path_type=Path), help="A schema file from `aias data check --save`.")
@click.option("--learner", "learners", multiple=True, help="Try only this one; may be given again.")
@click.option("--seed", default=0, show_default=True, help="The same seed and data give the same model.")
@option_json
def train(
    file: str,
    target: str,
    name: str | None,
    seconds: str,
    metric: str | None,
    split: str,
    schema: Path | None,
    learners: tuple[str, ...],
    seed: int,
    *,
    as_json: bool,
) -> None:
    """Train the best model that the time allows on FILE, and publish it.

    FILE is CSV, TSV, JSONL, Parquet, Arrow, Excel or ARFF, plain or in gzip or zip. With --json each event is a line.
    """
    from aias.client.model import train as run

    with Progress(as_json=as_json) as watch:
        model = run(
            file, target=target, name=name, time=seconds, metric=metric, split=split, schema=schema,
            learners=learners, seed=seed, watch=watch,
        )  # fmt: skip
    if as_json:
        return
    rows = [
        ("→" if each.chosen else "", each.learner, with_interval(each.validation), f"{each.fit_seconds:.1f}",
         ", ".join(f"{key}={value}" for key, value in each.settings.items()))
        for each in model.manifest.leaderboard
    ]  # fmt: skip
    metric_name = model.manifest.leaderboard[0].validation.metric
    table("", ("", "learner", f"validation {metric_name}", "fit s", "settings"), rows,
          right=(f"validation {metric_name}", "fit s"))  # fmt: skip
    click.echo(f"{model.ref}  {size(model.version.size_bytes)}")
    hint(f"aias deploy {model.ref} && aias serve")
