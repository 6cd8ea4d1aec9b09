"""`aias ls`, `show`, `evaluate`, `predict`, `export` and `rm`."""

from pathlib import Path

import click
import msgspec

from aias.cli.main import option_json
from aias.cli.progress import Progress
from aias.cli.show import document, give, hint, size, table, warn


@click.command()
@option_json
def ls(*, as_json: bool) -> None:
    """List models and endpoints."""
    from aias.core.settings import home
    from aias.registry.registry import Registry

    with Registry.open(home(), watch=warn) as registry:
        versions, endpoints = registry.versions(), registry.endpoints()
    if as_json:
        return give(
            {"versions": msgspec.to_builtins(versions), "endpoints": msgspec.to_builtins(endpoints)}, as_json=True
        )
    if not versions:
        click.echo("no models yet", err=True)
        return hint("aias train FILE --target COLUMN, or aias demo")
    live: dict[str, list[str]] = {}
    for endpoint in endpoints:
        live.setdefault(str(endpoint.ref), []).append(endpoint.name)
    rows = [
        (str(version), size(version.size_bytes), f"{version.created_at:%Y-%m-%d %H:%M}",
         ", ".join(live.get(str(version), [])))
        for version in versions
    ]  # fmt: skip
    return table("", ("version", "size", "created (UTC)", "endpoints"), rows, right=("size",))


@click.command()
@click.argument("ref")
@option_json
def show(ref: str, *, as_json: bool) -> None:
    """Show a version: data, leaderboard, scores, proof. REF is a model, or MODEL@NUMBER."""
    from aias.client.model import load

    model = load(ref)
    manifest = model.manifest  # verifies the whole folder, the card included
    if as_json:
        facts = {"version": model.ref, "digest": model.version.digest, "folder": str(model.folder)}
        return give(facts | msgspec.to_builtins(manifest), as_json=True)
    return document((model.folder / "card.md").read_text(encoding="utf-8"))


@click.command()
@click.argument("ref")
@click.argument("file")
@option_json
def evaluate(ref: str, file: str, *, as_json: bool) -> None:
    """Measure version REF on the labelled rows of FILE, with 95 % intervals."""
    from aias.client.model import load

    model = load(ref)
    with Progress(as_json=False, quiet=as_json) as watch:
        measured = model.evaluate(file, watch=watch)
    if as_json:
        return give(msgspec.to_builtins(measured), as_json=True)
    rows = [
        (one.metric, f"{one.value:.4f}", "" if one.low is None else f"{one.low:.4f} to {one.high:.4f}", f"{one.n:,}")
        for one in measured
    ]
    return table(f"{model.ref} on {file}", ("metric", "value", "95 % interval", "rows"), rows, right=("value", "rows"))


@click.command()
@click.argument("ref")
@click.argument("file")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Write CSV, Parquet, JSONL or Arrow there.")
@option_json
def predict(ref: str, file: str, output: Path | None, *, as_json: bool) -> None:
    """Answer the rows of FILE with version REF; CSV on stdout unless -o names a file."""
    from aias.client.model import load
    from aias.data.write import check_ending, write_table

    if output:
        check_ending(output)
    model = load(ref)
    with Progress(as_json=False, quiet=as_json) as watch:
        answers = model.answers(file, watch=watch)
    columns: dict[str, object] = {"prediction": answers.predictions}
    if answers.probabilities is not None:
        for i, label in enumerate(model.task.classes):
            columns[f"probability_{label}"] = answers.probabilities[:, i]
    write_table(columns, output, as_json=as_json)
    if output:
        click.echo(f"{len(answers.predictions):,} answers in {output}", err=True)


@click.command()
@click.argument("ref")
@click.argument("folder", type=click.Path(path_type=Path))
def export(ref: str, folder: Path) -> None:
    """Copy version REF to FOLDER with an example that runs it without Aias."""
    from aias.client.model import load

    made = load(ref).export(folder)
    click.echo(str(made))
    hint(f"cd {made} && pip install onnxruntime && python predict.py")


@click.command()
@click.argument("ref")
def rm(ref: str) -> None:
    """Remove version REF, MODEL@NUMBER, that no endpoint points at. Its number is never used again."""
    from aias.core.errors import UserError
    from aias.core.names import Ref
    from aias.core.settings import home
    from aias.registry.registry import Registry

    named = Ref.parse(ref)
    with Registry.open(home()) as registry:
        if named.number is None:  # elsewhere that is the newest; what is gone is gone, so here it must be said
            raise UserError(
                f"`{ref}` names no version to remove", hint=f"for example `aias rm {registry.version(named)}`"
            )
        click.echo(f"removed {registry.remove(named)}")
