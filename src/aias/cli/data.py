"""`aias data`."""

import shlex
from pathlib import Path

import click
import msgspec

from aias.cli.main import option_json
from aias.cli.progress import Progress
from aias.cli.show import give, hint, table


@click.group()
def data() -> None:
    """Show a file as training will see it."""


@data.command()
@click.argument("file")
@click.option("--target", help="The column to predict: also look for leaks, copies and rare labels.")
@click.option("--save", type=click.Path(path_type=Path), help="Write the schema as YAML, to edit and give to train.")
@click.option("--encoding", help="The encoding of the file, such as gb18030; detected by default.")
@option_json
def check(file: str, target: str | None, save: Path | None, encoding: str | None, *, as_json: bool) -> None:
    """Read FILE, and show the kind and role of each column, and why."""
    from aias.data.check import findings, report
    from aias.data.read import read
    from aias.data.schema_file import write_schema
    from aias.data.target import check_inputs, task_for

    with Progress(as_json=False, quiet=as_json) as watch:
        dataset = read(file, target=target, encoding=encoding, watch=watch)
        if target:
            labels = task_for(dataset, target)
            for note in (*labels.notes, *findings(dataset.take(labels.kept), labels.y, labels.task)):
                watch(note)
    found = report(dataset)
    if save:
        write_schema(dataset.schema, save)
    if as_json:
        return give(
            {"rows": dataset.rows, "digest": dataset.digest, "fields": msgspec.to_builtins(found)}, as_json=True
        )
    rows = [
        (line.name, line.kind, line.role, f"{line.missing:.1%}", f"{line.distinct:,}", line.example, line.reason)
        for line in found
    ]
    table(f"{file}: {dataset.rows:,} rows", ("column", "kind", "role", "missing", "distinct", "example", "why"), rows,
          right=("missing", "distinct"))  # fmt: skip
    if target:
        check_inputs(dataset, target)
    asked = f"aias train {shlex.quote(file)} --target {shlex.quote(target) if target else 'COLUMN'}"
    asked += f" --encoding {shlex.quote(encoding)}" if encoding else ""
    return hint(f"edit {save} and give it: {asked} --schema {shlex.quote(str(save))}" if save else asked)
