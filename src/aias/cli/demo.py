"""`aias demo`: the whole story on real data that every installation has: train, optimise, compress, deploy, ask."""

import json
import statistics
import time
import urllib.request
from dataclasses import dataclass
from typing import Any, Final

import click

from aias.cli.progress import Progress
from aias.cli.show import table
from aias.client.samples import Sample, docstrings, measurements
from aias.core.errors import UserError

TRAIN_SECONDS: Final = 12
OPTIMIZE_SECONDS: Final = 6
COMPRESS_SECONDS: Final = 9
"""Of two models in all 54 s at most, so that the demo ends within 90 s on a machine that does other work besides."""

TEST: Final = 0.25
"""Of the rows, by which every step is measured."""

MAX_LOSS: Final = "5%"
"""Some hundred rows cannot prove less."""

ASKED: Final = 4
TIMED: Final = 200
WIDTH: Final = 42
"""Characters of a row that are shown; the table then fits 80 columns."""


@dataclass(frozen=True, slots=True)
class Story:
    """`models`: by the step that made each; the last one is deployed. `whole`: what was compressed."""

    sample: Sample
    models: dict[str, Any]
    whole: str

    @property
    def model(self) -> Any:
        return list(self.models.values())[-1]


@click.command()
@click.option("--keep", is_flag=True, help="Leave the server running until Ctrl-C.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="By default any free port.")
def demo(*, keep: bool, port: int) -> None:
    """Train, optimise, compress, deploy and query two models on real data that is already here.

    A table: the breast-cancer measurements that come with scikit-learn. Texts: sentences from the documentation of
    installed packages; the model says which package a sentence comes from. Nothing is downloaded. At the end it shows
    what each step gained.
    """
    from aias.access.keys import Keys
    from aias.core.settings import home
    from aias.serving.processes.background import Background

    began = time.monotonic()
    folder = home() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    stories = [_told(sample) for sample in (measurements(folder), docstrings(folder))]
    keys = Keys.open(home())
    key, secret = keys.create("demo", ("predict", "read"))
    _title("Deploy and ask over HTTP")
    try:
        for each in stories:
            each.model.deploy()
        with Background(home(), port=port) as server:
            for each in stories:
                _ask(server.url, secret, each.sample)
            _bought(stories)
            click.echo(f"From two files to answered requests in {time.monotonic() - began:.0f} s. All of it is yours.")
            _next(server.url if keep else None, secret if keep else None, stories[1])
            if keep:
                click.echo("\nServing until Ctrl-C.", err=True)
                while True:
                    time.sleep(3600)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
    finally:
        keys.revoke(key.id)
        keys.close()


def _told(sample: Sample) -> Story:
    """From the file to the version that is worth deploying. A step that finds nothing says so, and the next goes on."""
    from aias.client.train import train

    _title(f"Train `{sample.name}`: {sample.question}")
    click.echo(f"  {sample.rows:,} rows in {sample.path}", err=True)
    with Progress(as_json=False, seconds=TRAIN_SECONDS) as watch:
        serving = train(
            sample.path, target=sample.target, name=sample.name, time=TRAIN_SECONDS, metric="accuracy", test=TEST,
            watch=watch,
        )  # fmt: skip
    models = {"train: quality": serving.quality, "train: serving": serving}
    _title(f"Optimise {serving.ref}")
    models["optimise"] = _tried(serving, lambda watch: serving.optimize(time=OPTIMIZE_SECONDS, watch=watch))
    whole = models["optimise"].quality
    _title(f"Compress {whole.ref}")
    models["compress"] = _tried(
        models["optimise"], lambda watch: whole.compress(max_loss=MAX_LOSS, time=COMPRESS_SECONDS, watch=watch)
    )
    return Story(sample, models, whole.ref)


def _tried(model: Any, step: Any) -> Any:
    """What the step has made; the model as it is where it made nothing or cannot be taken, with the reason."""
    try:
        with Progress(as_json=False) as watch:
            found = step(watch)
    except UserError as fault:
        click.echo(f"  {fault.message}", err=True)
        return model
    return found.model if found.better else model


def _bought(stories: list[Story]) -> None:
    from aias.client.compare import compare

    for each in stories:
        rows = [row for row, _ in each.sample.held_out]
        found = compare(each.models, rows, seconds=1.0)
        title = f"What each step bought `{each.sample.name}`, measured on {found.steps[0].quality.n} rows never seen"
        table(title, ("step", "version", "accuracy (95 %)", "µs/row", "size"), found.cells(),
              right=("µs/row", "size"))  # fmt: skip


def _ask(url: str, secret: str, sample: Sample) -> None:
    """A few rows that training never saw, beside the truth; then the same row again and again for the latency."""
    rows = sample.held_out[:ASKED]
    answers = _post(f"{url}/predict/{sample.name}", secret, [row for row, _ in rows])
    lines = []
    for (row, truth), answer in zip(rows, answers, strict=True):
        sure = max(answer["probabilities"].values())
        shown = ", ".join(str(value) for value in row.values())
        lines.append((_short(shown), answer["prediction"], f"{sure:.0%}", truth,
                      "✓" if answer["prediction"] == truth else "✗"))  # fmt: skip
    took = []
    for _ in range(TIMED):
        began = time.perf_counter()
        _post(f"{url}/predict/{sample.name}", secret, [rows[0][0]])
        took.append(time.perf_counter() - began)
    title = f"POST /predict/{sample.name}: median {statistics.median(took) * 1e3:.1f} ms for one row"
    table(title, ("row", "answer", "sure", "truth", ""), lines, right=("sure",))


def _short(text: str) -> str:
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def _post(url: str, secret: str, rows: list[dict[str, object]]) -> Any:
    request = urllib.request.Request(  # noqa: S310  our own server on loopback
        url, json.dumps(rows).encode(), {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:  # noqa: S310
        return json.load(response)


def _next(url: str | None, secret: str | None, story: Story) -> None:
    sample = story.sample
    click.echo("Try next:")
    if url:
        body = json.dumps([sample.held_out[0][0]])
        click.echo(f"  curl -H 'Authorization: Bearer {secret}' {url}/predict/{sample.name} -d '{body}'")
    click.echo(f"  aias show {sample.name}            # data, leaderboard, scores, proof")
    click.echo(f"  aias frontier {story.whole}      # what else compressing tried, and what became of it")
    click.echo(f"  aias predict {sample.name} {sample.path} | head")
    click.echo("  aias serve                     # then ask with curl; the first start prints a key")
    click.echo("  aias train YOUR.csv --target COLUMN")


def _title(text: str) -> None:
    click.secho(f"\n{text}", bold=True, err=True)
