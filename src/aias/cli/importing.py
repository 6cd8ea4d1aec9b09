"""`aias import`: what others have made, as a version. What PATH is decides how it is read."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from aias.cli.main import option_json
from aias.cli.progress import Progress
from aias.cli.show import deploying, give, hint, plus_minus
from aias.core.quantities import size

if TYPE_CHECKING:
    from aias.client.model import Model


@click.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--like", help="For a model's file: a file of sample rows, with or without the answers.")
@click.option("--name", help="The model's name; by default that of PATH.")
@click.option("--target", help="The column of these rows that holds the true answers.")
@click.option(
    "--columns", help="The columns that the model reads, in its order: a,b,c. By default those that the file names."
)
@click.option("--classes", help="The model's classes, in its order: no,yes. By default those that the file names.")
@click.option(
    "--scores",
    type=click.Choice(["probabilities", "logits"]),
    help="What a network gives for classes.  [default: probabilities]",
)
@click.option("--encoding", help="The encoding of these rows, such as gb18030; detected by default.")
@click.option("--metric", help="The metric that judges it, on rows with answers: accuracy, log_loss, rmse, ...")
@option_json
def import_(
    path: Path, like: str | None, name: str | None, target: str | None, columns: str | None, classes: str | None,
    scores: str | None, encoding: str | None, metric: str | None, *, as_json: bool,
) -> None:  # fmt: skip
    """Publish a model trained elsewhere as a version.

    PATH is a file: ONNX, LightGBM's text, XGBoost's JSON or UBJSON, CatBoost's .cbm or JSON. It is read in a separate
    process, rewritten as one graph, and proved to answer as its own library does on the rows given and on difficult
    ones; otherwise nothing is published. With --json each event is a line.

    Or a folder in the Hugging Face format: a sentence encoder, whose version gives the vector of a text; or a
    ...ForSequenceClassification, whose version gives a label, called what --target says.
    """
    from aias.client.importing import import_model

    asked: dict[str, Any] = {
        "like": like, "name": name, "target": target, "columns": _parts(columns), "classes": _parts(classes),
        "scores": scores, "encoding": encoding, "metric": metric,
    }  # fmt: skip
    if path.is_dir():
        return _folder(import_model(path, **asked), as_json=as_json)
    with Progress(as_json=as_json) as watch:
        found = import_model(path, **asked, watch=watch)
    if as_json:
        return None
    measured = found.manifest.measurements[:1]
    score = f"  {measured[0].metric} {plus_minus(measured[0])} on the rows given" if measured else ""
    click.echo(f"{found.ref}  {found.manifest.task.type}{score}  {found.manifest.row_us:,.0f} µs a row")
    return hint(f"aias show {found.ref}; {deploying(found.ref)}")


def _folder(model: "Model", *, as_json: bool) -> None:
    manifest, task = model.manifest, model.manifest.task
    vectors = task.type == "embedding"
    if as_json:
        facts = {"version": model.ref, "digest": model.version.digest, "row_us": manifest.row_us}
        facts |= {"width": task.width} if vectors else {"classes": task.classes}
        return give(facts | {"size_bytes": model.version.size_bytes}, as_json=True)
    told = f"{len(task.classes)} classes of texts" if task.classes else "a number for a text"
    told = f"vectors of {task.width} numbers" if vectors else told
    click.echo(f"{model.ref}  {told}  {manifest.row_us:,.0f} µs a text  {size(model.version.size_bytes)}")
    return hint(deploying(model.ref) if vectors else f"aias evaluate {model.ref} rows.csv; {deploying(model.ref)}")


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",")) if text else ()
