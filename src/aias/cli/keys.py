"""`aias keys`."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec

from aias.cli.main import Whole, option_json
from aias.cli.show import duration, give, nothing, table

if TYPE_CHECKING:
    from aias.access.accounts import Usage
    from aias.access.keys import Keys
    from aias.access.quotas import Quota

_SELDOM: Final = frozenset({"revoked", "tenant", "quotas"})
"""Columns that are not shown where no key has anything there."""


@click.group(cls=Whole)
def keys() -> None:
    """Create, limit, list and revoke the keys of callers. Running servers follow before this returns."""


option_quotas = click.option(
    "--quota", "quotas", multiple=True,
    help="A limit such as `100/second`, `5000 rows/hour burst 20000` or `1000000 rows/month`; can be repeated.",
)  # fmt: skip


@keys.command()
@click.argument("name")
@click.option("--scope", "scopes", multiple=True, default=("predict",), show_default=True,
              type=click.Choice(["predict", "read", "admin"]),
              help="predict: ask endpoints; read: metrics and lists; admin: changes. Can be repeated.")  # fmt: skip
@click.option("--days", type=click.IntRange(1, 3650), help="Let it expire after this many days.")
@click.option("--tenant", default="", help="The tenant that it belongs to, whose quotas its keys share.")
@option_quotas
@option_json
def create(
    name: str, scopes: tuple[str, ...], days: int | None, tenant: str, quotas: tuple[str, ...], *, as_json: bool
) -> None:  # fmt: skip
    """Create a key and show it, this once and never again."""
    import datetime as dt

    expires_at = dt.datetime.now(dt.UTC) + dt.timedelta(days=days) if days else None
    with opened() as store:
        key, secret = store.create(name, scopes, expires_at=expires_at, quotas=quotas, tenant=tenant)  # type: ignore[arg-type]
    if as_json:
        made = {"id": key.id, "name": key.name, "scopes": sorted(key.scopes), "key": secret}
        return give(made | {"quotas": list(map(str, key.quotas)), "tenant": key.tenant}, as_json=True)
    click.echo(f"key `{key.name}` ({', '.join(sorted(key.scopes))}); it is shown only now:", err=True)
    return give(secret, as_json=False)


@keys.command(name="list")
@option_json
def list_(*, as_json: bool) -> None:
    """List the keys, without their secrets."""
    with opened() as store:
        found = store.list()
    if as_json:
        listed = [
            msgspec.to_builtins(key) | {"quotas": list(map(str, key.quotas)), "shared": list(map(str, key.shared))}
            for key in found
        ]
        return give(listed, as_json=True)
    if not found:
        return nothing("no keys yet", "aias keys create NAME")
    rows = [
        (key.id, key.name, ", ".join(sorted(key.scopes)), f"{key.created_at:%Y-%m-%d}",
         f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "never",
         f"{key.revoked_at:%Y-%m-%d}" if key.revoked_at else "", key.tenant or "", "\n".join(map(str, key.quotas)))
        for key in found
    ]  # fmt: skip
    columns = ("id", "name", "scopes", "created", "expires", "revoked", "tenant", "quotas")
    kept = [at for at, name in enumerate(columns) if name not in _SELDOM or any(row[at] for row in rows)]
    return table("", [columns[at] for at in kept], [[row[at] for at in kept] for row in rows], whole=("id", "created"))


@keys.command()
@click.argument("id_", metavar="ID")
def revoke(id_: str) -> None:
    """Revoke the key with this ID, permanently."""
    with opened() as store:
        click.echo(f"revoked {store.revoke(id_).name}")


@keys.command()
@click.argument("id_", metavar="ID")
@option_quotas
@click.option("--unlimited", is_flag=True, help="Remove all its quotas.")
def limit(id_: str, quotas: tuple[str, ...], *, unlimited: bool) -> None:
    """Set the quotas of the key with this ID, replacing those set before."""
    check_limit(quotas, unlimited=unlimited)
    with opened() as store:
        key = store.limit(id_, quotas)
    say_quotas(key.name, key.quotas)


@keys.command()
@click.argument("id_", metavar="ID")
@click.argument("tenant", required=False)
@click.option("--nobody", is_flag=True, help="Take it from its tenant, and give it to none.")
def assign(id_: str, tenant: str | None, *, nobody: bool) -> None:
    """Give the key with this ID to TENANT, whose quotas then apply to it too."""
    if bool(tenant) == nobody:
        raise click.UsageError("name a tenant, or say `--nobody`")
    with opened() as store:
        key = store.assign(id_, tenant or "")
    click.echo(f"{key.name}: {f'of {key.tenant}' if key.tenant else 'of no tenant'}")


@keys.command()
@click.argument("id_", metavar="[ID]", required=False)
@option_json
def usage(id_: str | None, *, as_json: bool) -> None:
    """Show what all keys, or the one with this ID, have used of their quotas."""
    from aias.access.keys import unknown
    from aias.access.ledger import usage_of
    from aias.core.settings import home

    with opened() as store:
        known = store.list()
    found = [key for key in known if id_ in (None, key.id)]
    if id_ is not None and not found:
        raise unknown(id_, known)
    used = usage_of(home(), found)
    rows = [({"id": key.id, "name": key.name}, each) for key, each in used]
    show_usage(rows, "aias keys limit ID --quota 100/second", as_json=as_json)


@contextmanager
def opened() -> "Iterator[Keys]":
    """The keys of the home."""
    from aias.access.keys import Keys
    from aias.core.settings import home

    with closing(Keys.open(home())) as store:
        yield store


def check_limit(quotas: tuple[str, ...], *, unlimited: bool) -> None:
    if bool(quotas) == unlimited:
        raise click.UsageError("say `--quota`, once or more often, or `--unlimited`")


def say_quotas(name: str, quotas: "Iterable[Quota]") -> None:
    click.echo(f"{name}: {', '.join(map(str, quotas)) or 'no quotas'}")


USAGE: Final = ("quota", "used", "left", "resets in")


def show_usage(used: "list[tuple[dict[str, str], Usage]]", tip: str, *, as_json: bool) -> None:
    """What those who are so called have used of each of their quotas."""
    if as_json:
        return give([whose | _facts(each) for whose, each in used], as_json=True)
    if not used:
        return nothing("no quotas", tip)
    rows = [
        (*whose.values(), str(each.quota), f"{each.used:,}", f"{each.left:,}", duration(each.seconds))
        for whose, each in used
    ]
    return table("", (*used[0][0], *USAGE), rows, right=USAGE[1:])


def _facts(each: "Usage") -> dict[str, Any]:
    whole_in = round(each.seconds, 3)
    return {"quota": str(each.quota), "used": each.used, "left": each.left, "whole_in_seconds": whole_in}
