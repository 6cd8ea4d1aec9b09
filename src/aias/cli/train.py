"""`aias train`."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from aias.cli.main import Once, option_json
from aias.cli.progress import Progress, interruptible
from aias.cli.show import deploying, hint, leaderboard, plus_minus, table
from aias.core.quantities import size


@click.command(cls=Once)
@click.argument("file")
@click.option("--target", help="The column to predict.  [required]")
@click.option("--name", help="The model's name; by default that of the file.")
@click.option("--time", "seconds", default="60s", show_default=True, help="The time budget: 90s, 5m, 1h.")
@click.option("--metric", help="The metric to optimise: roc_auc, accuracy, log_loss, f1_macro, rmse, mae, r2, ...")
@click.option("--split", default="random", show_default=True, help="random, time:COLUMN or group:COLUMN.")
@click.option(
    "--test",
    help="A file to measure on, or a share of rows to set aside, such as 20%; by default a tenth from 100,000 rows, "
    "at most 20,000.",
)
@click.option(
    "--latency",
    help="The limit for a row in the serving form.  [default: 150us beyond reading it; 20ms with --encoder]",
)
@click.option("--encoder", help="A sentence encoder for the texts: a folder, or a name on the Hugging Face hub.")
@click.option("--schema", type=click.Path(path_type=Path), help="A schema file from `aias data check --save`.")
@click.option("--encoding", help="The encoding of the files, such as gb18030; detected by default.")
@click.option("--learner", "learners", multiple=True, help="Try only this learner; can be repeated.")
@click.option("--class-weights", help="How much rows of a class count while fitting: balanced, or yes=5,no=1.")
@click.option("--teacher", help="What labels the rows that have no target: a version, or an address.")
@click.option("--teacher-model", default="", help="Which model of a chat service to ask.")
@click.option("--teacher-calls", type=int, help="The most calls to make to a service.  [default: 1000]")
@click.option("--unlabelled", help="A file of more rows to ask the teacher about.")
@click.option(
    "--synthetic", default=0.0, help="Synthetic rows for the teacher to label, too: 2 for twice as many as real ones."
)
@click.option("--temperature", default=1.0, help="Above 1, makes the teacher's probabilities more alike.")
@click.option("--classes", help="The labels that the teacher may give, if the rows do not show them all: spam,ham.")
@click.option("--instructions", default="", help="What else to tell a chat service, such as what the labels mean.")
@click.option(
    "--seed", default=0, show_default=True, help="Random seed: the same data, settings and seed give the same fits."
)
@click.option("--early", is_flag=True, help="Also publish the first model as soon as there is one, and go on.")
@click.option("--resume", is_flag=True, help="Continue an interrupted training of this name.")
@option_json
def train(
    file: str,
    target: str | None,
    name: str | None,
    seconds: str,
    metric: str | None,
    split: str,
    test: str | None,
    latency: str | None,
    encoder: str | None,
    schema: Path | None,
    encoding: str | None,
    learners: tuple[str, ...],
    class_weights: str | None,
    teacher: str | None,
    teacher_model: str,
    teacher_calls: int | None,
    unlabelled: str | None,
    synthetic: float,
    temperature: float,
    classes: str | None,
    instructions: str,
    seed: int,
    *,
    early: bool,
    resume: bool,
    as_json: bool,
) -> None:
    """Train the best model that the time allows on FILE, and publish it in two forms.

    The quality form is everything that helps; the serving form answers a row within --latency. FILE is CSV, TSV, JSONL,
    Parquet, Arrow, Excel or ARFF, plain or in gzip, zip or tar. With --json each event is a line. Ctrl-C finishes with
    what was found so far; a second one aborts.

    Rows without a target are left out, unless a --teacher labels them first: a version, an endpoint, or a chat service
    (https://HOST/v1) whose key is in AIAS_TEACHER_KEY. Its answers are kept, so that nothing is asked twice. If it
    says how likely each label is, its probabilities are learned, not only the likeliest label.
    """
    if target is None:
        raise click.UsageError(f"Missing option '--target'. `aias data check {shlex.quote(file)}` shows the columns.")
    from aias.client.train import train as run
    from aias.core.quantities import seconds_of
    from aias.teaching.teacher import CALLS, Teacher

    named = tuple(part.strip() for part in classes.split(",")) if classes else ()
    calls = CALLS if teacher_calls is None else teacher_calls
    asked = Teacher(
        teacher, teacher_model, named, instructions, calls, unlabelled=unlabelled, synthetic=synthetic,
        temperature=temperature,
    ) if teacher else None  # fmt: skip
    for_a_teacher = {
        "--teacher-model": teacher_model, "--teacher-calls": teacher_calls is not None, "--unlabelled": unlabelled,
        "--synthetic": synthetic, "--temperature": temperature != 1, "--classes": named, "--instructions": instructions,
    }  # fmt: skip
    if asked is None and any(for_a_teacher.values()):
        given = [option for option, value in for_a_teacher.items() if value]
        raise click.UsageError(f"only with --teacher, which labels the rows: {', '.join(given)}")

    with Progress(as_json=as_json, seconds=seconds_of(seconds)) as watch, interruptible() as stop:
        model = run(
            file, target=target, name=name, time=seconds, metric=metric, split=split, test=_share(test),
            latency=latency, encoder=encoder, schema=schema, encoding=encoding, learners=learners, seed=seed,
            class_weights=_weights(class_weights), teacher=asked, resume=resume, early=early, stop=stop, watch=watch,
        )  # fmt: skip
        forms = (model.quality, model)
        watch.conclude([each.manifest for each in forms])
    if as_json:
        return
    if not (watch.shows_board and sys.stdout.isatty()):
        leaderboard([each.manifest for each in forms])
    _show_forms(forms)
    hint(f"aias show {model.ref} --html {model.version.name}.html; {deploying(model.ref)}")


def _show_forms(forms: Sequence[Any]) -> None:
    """How good each version is on rows that it was not fitted on, how fast and how large."""
    first = forms[0].manifest.measurements[:1]
    metric = f"{first[0].metric}, {forms[0].manifest.judged}" if first else "score"
    rows = [
        (each.ref, each.manifest.form, plus_minus(each.manifest.measurements[0]) if first else "",
         f"{each.manifest.row_us:,.0f}", size(each.manifest.served_bytes))
        for each in forms
    ]  # fmt: skip
    click.echo()
    table("", ("version", "form", metric, "µs/row", "size"), rows, right=(metric, "µs/row", "size"))


def _weights(class_weights: str | None) -> Any:
    if class_weights is None:
        return None
    from aias.training.class_weights import from_text

    return from_text(class_weights)


def _share(test: str | None) -> float | str | None:
    """A share of rows when it is a number, else a file."""
    try:
        return float(test) if test is not None else None
    except ValueError:
        return test
