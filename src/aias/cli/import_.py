"""`aias import`: what others have made, as a version. What PATH is decides how it is read."""

from pathlib import Path

import click

from aias.cli.main import option_json
from aias.cli.show import give, hint, size
from aias.core.errors import UserError


@click.command("import")
@click.argument("path")
@click.option("--name", help="The model's name; by default that of PATH.")
@option_json
def import_(path: str, name: str | None, *, as_json: bool) -> None:
    """Publish what others have made as a version.

    PATH is a sentence encoder, a folder in the Hugging Face format: the version gives the vector of a text.
    """
    if not Path(path).is_dir():
        raise UserError(
            f"`{path}` is no folder", hint="name the folder of a sentence encoder in the Hugging Face format"
        )
    from aias.client.embedding import publish_encoder

    model = publish_encoder(path, name=name)
    manifest = model.manifest
    if as_json:
        facts = {"version": model.ref, "digest": model.version.digest, "row_us": manifest.row_us}
        return give(facts | {"width": manifest.task.width, "size_bytes": model.version.size_bytes}, as_json=True)
    taken = f"{manifest.row_us:,.0f} µs a text  {size(model.version.size_bytes)}"
    click.echo(f"{model.ref}  vectors of {manifest.task.width} numbers  {taken}")
    return hint(f"aias deploy {model.ref} && aias serve")
