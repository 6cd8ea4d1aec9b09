"""`aias tenants`."""

import click
import msgspec

from aias.cli.keys import check_limit, opened, option_quotas, say_quotas, show_usage
from aias.cli.main import Whole, option_json
from aias.cli.show import give, nothing, table


@click.group(cls=Whole)
def tenants() -> None:
    """Group keys into tenants, with quotas for all of them together. Running servers follow before this returns."""


@tenants.command()
@click.argument("name")
@option_quotas
def create(name: str, quotas: tuple[str, ...]) -> None:
    """Create the tenant NAME; `aias keys create --tenant` and `aias keys assign` give it keys."""
    with opened() as store:
        made = store.create_tenant(name, quotas)
    say_quotas(made.name, made.quotas)


@tenants.command()
@click.argument("name")
@option_quotas
@click.option("--unlimited", is_flag=True, help="Remove its quotas; those of its keys stay.")
def limit(name: str, quotas: tuple[str, ...], *, unlimited: bool) -> None:
    """Set the quotas that all keys of NAME share, replacing those set before."""
    check_limit(quotas, unlimited=unlimited)
    with opened() as store:
        now = store.limit_tenant(name, quotas)
    say_quotas(now.name, now.quotas)


@tenants.command(name="list")
@option_json
def list_(*, as_json: bool) -> None:
    """List the tenants, and the keys of each that are not revoked."""
    with opened() as store:
        found, keys = store.tenants(), [each for each in store.list() if each.revoked_at is None]
    theirs = {each.name: [key for key in keys if key.tenant == each.name] for each in found}
    if as_json:
        return give([
            msgspec.to_builtins(each)
            | {"quotas": list(map(str, each.quotas)), "keys": [key.id for key in theirs[each.name]]}
            for each in found
        ], as_json=True)  # fmt: skip
    if not found:
        return nothing("no tenants yet", "aias tenants create NAME --quota 100/second")
    rows = [
        (each.name, ", ".join(map(str, each.quotas)), ", ".join(f"{key.name} ({key.id})" for key in theirs[each.name]))
        for each in found
    ]
    return table("", ("name", "quotas", "keys"), rows)


@tenants.command()
@click.argument("name", required=False)
@option_json
def usage(name: str | None, *, as_json: bool) -> None:
    """Show what all tenants, or NAME, have used of their quotas."""
    from aias.access.ledger import usage_of_tenants
    from aias.access.tenants import unknown
    from aias.core.settings import home

    with opened() as store:
        known = store.tenants()
    found = [each for each in known if name in (None, each.name)]
    if name is not None and not found:
        raise unknown(name, [each.name for each in known])
    used = usage_of_tenants(home(), found)
    rows = [({"name": tenant.name}, each) for tenant, each in used]
    show_usage(rows, "aias tenants limit NAME --quota 100/second", as_json=as_json)
