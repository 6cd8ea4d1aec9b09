"""`aias demo`: the whole main path on real data that every installation has."""

import json
import statistics
import time
import urllib.request
from typing import Any, Final

import click

from aias.cli.progress import Progress
from aias.cli.show import size, table
from aias.client.samples import Sample, docstrings, measurements

ASKED: Final = 4
TIMED: Final = 200
WIDTH: Final = 42
"""Characters of a row that are shown; the table then fits 80 columns."""


@click.command()
@click.option("--keep", is_flag=True, help="Leave the server running until Ctrl-C.")
@click.option("--port", default=0, type=click.IntRange(0, 65535), help="By default any free port.")
def demo(*, keep: bool, port: int) -> None:
    """Train, deploy and ask two models on real data that is already here.

    A table: the breast-cancer measurements that come with scikit-learn. Texts: sentences from the documentation of
    installed packages; the model says which package a sentence comes from. Nothing is downloaded.
    """
    from aias.access.keys import Keys
    from aias.core.settings import home
    from aias.serving.background import Background

    began = time.monotonic()
    folder = home() / "demo"
    folder.mkdir(parents=True, exist_ok=True)
    samples = [measurements(folder), docstrings(folder)]
    models = [_train(sample) for sample in samples]
    keys = Keys.open(home())
    key, secret = keys.create("demo", ("predict", "read"))
    _title("Deploy and ask over HTTP")
    try:
        with Background(home(), port=port) as server:
            for sample in samples:
                _ask(server.url, secret, sample)
            took = time.monotonic() - began
            click.echo(f"\nFrom two files to answered requests in {took:.0f} s. Both models are yours:")
            _table_of(models)
            _next(server.url if keep else None, secret if keep else None, samples)
            if keep:
                click.echo("\nServing until Ctrl-C.", err=True)
                while True:
                    time.sleep(3600)
    except KeyboardInterrupt:
        click.echo("stopped", err=True)
    finally:
        keys.revoke(key.id)
        keys.close()


def _train(sample: Sample) -> Any:
    from aias.client.model import train

    _title(f"Train `{sample.name}`: {sample.question}")
    click.echo(f"  {sample.rows:,} rows in {sample.path}", err=True)
    with Progress(as_json=False) as watch:
        model = train(sample.path, target=sample.target, name=sample.name, time=15, watch=watch)
    model.deploy()
    return model


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


def _table_of(models: list[Any]) -> None:
    lines = []
    for model in models:
        test = next(one for one in model.manifest.measurements if one.metric == "accuracy")
        chosen = " + ".join(one.name for one in model.manifest.leaderboard if one.chosen)
        lines.append((model.ref, chosen, f"{test.value:.1%} ({test.low:.1%} to {test.high:.1%})",
                      size(model.version.size_bytes)))  # fmt: skip
    table("", ("version", "made of", "accuracy on rows never seen (95 % interval)", "size"), lines, right=("size",))


def _next(url: str | None, secret: str | None, samples: list[Sample]) -> None:
    sample = samples[1]
    click.echo("Try next:")
    if url:
        body = json.dumps([sample.held_out[0][0]])
        click.echo(f"  curl -H 'Authorization: Bearer {secret}' {url}/predict/{sample.name} -d '{body}'")
    click.echo(f"  aias show {sample.name}            # data, leaderboard, scores, proof")
    click.echo(f"  aias predict {sample.name} {sample.path} | head")
    click.echo("  aias serve                     # then ask with curl; the first start prints a key")
    click.echo("  aias train YOUR.csv --target COLUMN")


def _title(text: str) -> None:
    click.secho(f"\n{text}", bold=True, err=True)
