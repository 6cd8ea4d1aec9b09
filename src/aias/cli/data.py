"""`aias data`."""

import re
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import msgspec

from aias.cli.main import Whole, option_json
from aias.cli.progress import Progress
from aias.cli.show import give, hint, table

if TYPE_CHECKING:
    from aias.data.check import Column


_ROOMY: Final = 100
"""In fewer columns there is no room for examples, nor for what other columns say."""

_ELSEWHERE: Final = re.compile(r"^every value is a (number|time)$|(([\d,]+ different|one) text)s? in [\d,]+ rows(, )?")


_NAME_WHOLE: Final = 30
"""Characters of the longest name that is not broken over lines."""


class _Files(Whole):
    """Says what to do with a file that is given in place of a command."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        given = args[0]
        if given not in self.commands and (Path(given).suffix or Path(given).exists()):
            raise click.UsageError(
                f"`{given}` is no command. To look at a file: aias data check {shlex.join(args)}", ctx
            )
        return super().resolve_command(ctx, args)


@click.group(cls=_Files)
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
    _show(found, f"{file}: {dataset.rows:,} rows")
    if target:
        check_inputs(dataset, target)
    asked = f"aias train {shlex.quote(file)} --target {shlex.quote(target) if target else 'COLUMN'}"
    asked += f" --encoding {shlex.quote(encoding)}" if encoding else ""
    return hint(f"edit {save} and give it: {asked} --schema {shlex.quote(str(save))}" if save else asked)


def _show(found: "Sequence[Column]", title: str) -> None:
    from rich.console import Console

    roomy = Console().width >= _ROOMY
    columns = ("column", "kind", "role", "missing", "distinct", *(("example",) if roomy else ()), "why")
    rows = [
        (
            line.name, line.kind, line.role, f"{line.missing:.1%}", f"{line.distinct:,}",
            *((("" if line.example is None else line.example),) if roomy else ()),
            line.reason if roomy else _ELSEWHERE.sub("", line.reason).rstrip("; "),
        )
        for line in found
    ]  # fmt: skip
    short = max((len(line.name) for line in found), default=0) <= _NAME_WHOLE
    table(title, columns, rows, right=("missing", "distinct"), whole=("column",) if short else ())
