"""`aias keys`."""

import click
import msgspec

from aias.cli.main import option_json
from aias.cli.show import give, table


@click.group()
def keys() -> None:
    """Create, list and revoke the keys of callers. A running server follows within a second."""


@keys.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, default=("predict",), show_default=True,
              type=click.Choice(["predict", "read", "admin"]), help="May be given again.")  # fmt: skip
@click.option("--days", type=click.IntRange(1, 3650), help="Let it expire after so many days.")
@option_json
def create(name: str, scopes: tuple[str, ...], days: int | None, *, as_json: bool) -> None:
    """Create a key and show it: this once and never again."""
    import datetime as dt

    from aias.access.keys import Keys
    from aias.core.settings import home

    expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(days=days) if days else None
    store = Keys.open(home())
    try:
        key, secret = store.create(name, scopes, expires_at=expires_at)  # type: ignore[arg-type]
    finally:
        store.close()
    if as_json:
        return give({"id": key.id, "name": key.name, "scopes": sorted(key.scopes), "key": secret}, as_json=True)
    click.echo(f"key `{key.name}` ({', '.join(sorted(key.scopes))}); it is shown only now:", err=True)
    return give(secret, as_json=False)


@keys.command(name="list")
@option_json
def list_(*, as_json: bool) -> None:
    """List the keys, without their secrets."""
    from aias.access.keys import Keys
    from aias.core.settings import home

    store = Keys.open(home())
    try:
        found = store.list()
    finally:
        store.close()
    if as_json:
        return give(msgspec.to_builtins(found), as_json=True)
    rows = [
        (key.id, key.name, ", ".join(sorted(key.scopes)), f"{key.created_at:%Y-%m-%d}",
         f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "never",
         f"{key.revoked_at:%Y-%m-%d}" if key.revoked_at else "")
        for key in found
    ]  # fmt: skip
    return table("", ("id", "name", "scopes", "created", "expires", "revoked"), rows)


@keys.command()
@click.argument("id_", metavar="ID")
def revoke(id_: str) -> None:
    """Revoke the key with this ID, for ever."""
    from aias.access.keys import Keys
    from aias.core.settings import home

    store = Keys.open(home())
    try:
        click.echo(f"revoked {store.revoke(id_).name}")
    finally:
        store.close()
