"""`aias import`."""

from pathlib import Path

import click

from aias.cli.main import option_json
from aias.cli.progress import Progress
from aias.cli.show import hint, plus_minus


@click.command("import")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--like", required=True, help="A file of rows such as the model reads, with or without the answers.")
@click.option("--name", help="What to call the model; by default after the file.")
@click.option("--target", help="The column of these rows that holds the true answers.")
@click.option("--columns", help="The columns that it reads, in its order: a,b,c. By default by their names.")
@click.option("--classes", help="Its classes, in its order: no,yes. By default as the file names them.")
@click.option(
    "--scores",
    type=click.Choice(["probabilities", "logits"]),
    help="What a network gives for classes.",
)
@option_json
def import_(
    model: Path, like: str, name: str | None, target: str | None, columns: str | None, classes: str | None,
    scores: str | None, *, as_json: bool,
) -> None:  # fmt: skip
    """Publish the model in file MODEL: ONNX, LightGBM's text, XGBoost's JSON or UBJSON, CatBoost's .cbm or JSON.

    The file is read in a process apart, written anew as one graph, and proved to answer as its own library does on the
    rows given and on nasty ones; else nothing is published. With --json each event is a line.
    """
    from aias.client.importing import import_model

    with Progress(as_json=as_json) as watch:
        found = import_model(
            model, like=like, name=name, target=target, columns=_parts(columns), classes=_parts(classes), scores=scores,
            watch=watch,
        )  # fmt: skip
    if as_json:
        return
    measured = found.manifest.measurements[:1]
    score = f"  {measured[0].metric} {plus_minus(measured[0])} on the rows given" if measured else ""
    click.echo(f"{found.ref}  {found.manifest.task.type}{score}  {found.manifest.row_us:,.0f} µs a row")
    hint(f"aias show {found.ref}; aias deploy {found.ref} && aias serve")


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else ()
