"""`aias ls`, `show`, `evaluate`, `predict`, `export` and `rm`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from aias.artifact.manifest import Manifest, read_manifest
from aias.artifact.names import MANIFEST
from aias.artifact.report import PLOTS
from aias.cli.main import option_json
from aias.cli.progress import Progress
from aias.cli.show import give, hint, made_from, nothing, table, warn
from aias.core.errors import Damaged
from aias.core.names import digest_of
from aias.core.quantities import size

if TYPE_CHECKING:
    from aias.client.model import Model
    from aias.registry.registry import Registry
    from aias.registry.values import Version


@click.command()
@option_json
def ls(*, as_json: bool) -> None:
    """List versions, and the endpoints that use them. The size is that of the files loaded to answer."""
    from aias.cli.endpoints import plain
    from aias.core.settings import home
    from aias.registry.registry import Registry

    with Registry.open(home(), watch=warn) as registry:
        versions, endpoints = registry.versions(), registry.endpoints()
        manifests = [_manifest(registry, version) for version in versions]
    if as_json:
        told = [
            msgspec.to_builtins(version)
            | {"form": each and each.form, "row_us": each and each.row_us, "served_bytes": each and each.served_bytes}
            for version, each in zip(versions, manifests, strict=True)
        ]
        return give({"versions": told, "endpoints": [plain(each) for each in endpoints]}, as_json=True)
    if not versions:
        return nothing(f"no models yet in {home()}", "aias train FILE --target COLUMN, or aias demo")
    live: dict[str, list[str]] = {}
    for endpoint in endpoints:
        live.setdefault(str(endpoint.ref), []).append(endpoint.name)
        for trial in endpoint.trials:
            live.setdefault(str(trial.ref), []).append(f"{endpoint.name} ({trial.role} {trial.part})")
    rows = [
        (str(version), *_form(told), size(told.served_bytes) if told else "", ", ".join(live.get(str(version), [])))
        for version, told in zip(versions, manifests, strict=True)
    ]  # fmt: skip
    columns = ("version", "form", "score", "µs/row", "size", "endpoints")
    return table("", columns, rows, right=("score", "µs/row", "size"))


def _manifest(registry: "Registry", version: "Version") -> Manifest | None:
    """What a version says of itself, its other files unread; None when it is damaged."""
    try:
        raw = (registry.folder(version) / MANIFEST).read_bytes()
        return read_manifest(raw) if digest_of([raw]) == version.digest else None
    except (OSError, Damaged):
        return None


def _form(manifest: Manifest | None) -> tuple[str, str, str]:
    if manifest is None:
        return "damaged", "", ""
    first = manifest.measurements[:1]
    score = f"{first[0].metric} {first[0].written}" if first else ""
    return manifest.form or manifest.task.type, score, f"{manifest.row_us:,.0f}" if manifest.row_us else ""


@click.command()
@click.argument("ref")
@click.option(
    "--html",
    "page_at",
    type=click.Path(path_type=Path),
    help="Write the card with its plots to this file, as a web page.",
)
@option_json
def show(ref: str, page_at: Path | None, *, as_json: bool) -> None:
    """Show a version: form, scores, leaderboard, proof, sizes. REF is a model, or MODEL@NUMBER.

    On a terminal a summary; in a pipe the whole card, as Markdown.
    """
    from aias.client.model import load

    model = load(ref)
    manifest = model.manifest  # verifies the whole folder, the card included
    if page_at is not None:
        page_at.write_text(_page(model), encoding="utf-8")
        click.echo(f"the card is in {page_at}", err=True)
    if as_json:
        facts = {
            "version": model.ref, "digest": model.version.digest, "answers_digest": manifest.answers_digest,
            "folder": str(model.folder),
        }  # fmt: skip
        return give(facts | msgspec.to_builtins(manifest), as_json=True)
    if page_at is not None:
        return None
    if not sys.stdout.isatty():
        return click.echo((model.folder / "card.md").read_text(encoding="utf-8"))
    from aias.cli.version import draw

    return draw(model)


def _page(model: "Model") -> str:
    from aias.cli.page import page

    paths = [entry.path for entry in model.manifest.files if entry.path.startswith(PLOTS)]
    plots = {path: (model.folder / path).read_bytes() for path in paths}
    return page((model.folder / "card.md").read_text(encoding="utf-8"), plots, version=f"{model.ref}{made_from(model)}")


@click.command()
@click.argument("ref")
@click.argument("file")
@click.option("--encoding", help="The encoding of the file, such as gb18030; detected by default.")
@option_json
def evaluate(ref: str, file: str, encoding: str | None, *, as_json: bool) -> None:
    """Measure version REF on the labelled rows of FILE, with 95 % intervals."""
    from aias.client.model import load

    model = load(ref)
    with Progress(as_json=False, quiet=as_json) as watch:
        measured = model.evaluate(file, encoding=encoding, watch=watch)
    if as_json:
        return give(msgspec.to_builtins(measured), as_json=True)
    rows = [(one.metric, one.written, one.interval, f"{one.n:,}") for one in measured]
    return table(f"{model.ref} on {file}", ("metric", "value", "95 % interval", "rows"), rows, right=("value", "rows"))


@click.command()
@click.argument("ref")
@click.argument("file")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Write to this file: CSV, TSV, Parquet, JSONL or Arrow."
)
@click.option("--encoding", help="The encoding of the file, such as gb18030; detected by default.")
@option_json
def predict(ref: str, file: str, output: Path | None, encoding: str | None, *, as_json: bool) -> None:
    """Predict the rows of FILE with version REF: CSV on stdout, JSON Lines with --json, or a file with -o."""
    from aias.client.model import load
    from aias.data.write import check_ending, write_table

    if output:
        check_ending(output)
    model = load(ref)
    with Progress(as_json=False, quiet=as_json) as watch:
        answers = model.answers(file, encoding=encoding, watch=watch)
    if answers.vectors is not None:
        found = answers.vectors
        columns: dict[str, object] = {f"vector_{i}": found.values[:, i] for i in range(found.values.shape[1])}
        columns |= {"tokens": found.tokens, "cut": found.cut}
    else:
        columns = {"prediction": answers.predictions}
    if answers.probabilities is not None:
        for i, label in enumerate(model.task.classes):
            columns[f"probability_{label}"] = answers.probabilities[:, i]
    if answers.intervals is not None:
        columns["low"], columns["high"] = ([each[end] for each in answers.intervals] for end in (0, 1))
    write_table(columns, output, as_json=as_json)
    if output:
        click.echo(f"{answers.rows:,} answers in {output}", err=True)


@click.command()
@click.argument("ref")
@click.argument("folder", type=click.Path(path_type=Path))
def export(ref: str, folder: Path) -> None:
    """Copy version REF to FOLDER, with a script that runs it without Aias."""
    from aias.client.model import load

    made = load(ref).export(folder)
    click.echo(str(made))
    hint(f"cd {made} && pip install onnxruntime && python predict.py")


@click.command()
@click.argument("ref")
def rm(ref: str) -> None:
    """Remove version REF (MODEL@NUMBER). No endpoint may point at it; its number is never used again."""
    from aias.core.errors import UserError
    from aias.core.names import Ref
    from aias.core.settings import home
    from aias.registry.registry import Registry

    named = Ref.parse(ref)
    with Registry.open(home()) as registry:
        if named.number is None:  # elsewhere that is the newest; what is gone is gone, so here it must be said
            raise UserError(
                f"`{ref}` does not say which version to remove", hint=f"for example `aias rm {registry.version(named)}`"
            )
        click.echo(f"removed {registry.remove(named)}")
