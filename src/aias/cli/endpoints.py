"""`aias deploy` and `undeploy`."""

import click
import msgspec

from aias.cli.main import option_json
from aias.cli.show import give, hint


@click.command()
@click.argument("ref")
@click.option("--as", "name", help="The endpoint's name; by default the model's.")
@option_json
def deploy(ref: str, name: str | None, *, as_json: bool) -> None:
    """Point an endpoint at version REF. A running server follows within a second and drops no request."""
    from aias.core.names import Ref, check_name
    from aias.core.settings import home
    from aias.registry.registry import Registry

    parsed = Ref.parse(ref)
    with Registry.open(home()) as registry:
        endpoint = registry.deploy(check_name(name or parsed.name), parsed)
    if as_json:
        return give(msgspec.to_builtins(endpoint), as_json=True)
    click.echo(f"/predict/{endpoint.name} → {endpoint.ref}")
    return hint("aias serve")


@click.command()
@click.argument("name")
def undeploy(name: str) -> None:
    """Take the endpoint NAME away. Its versions stay."""
    from aias.core.names import check_name
    from aias.core.settings import home
    from aias.registry.registry import Registry

    with Registry.open(home()) as registry:
        registry.undeploy(check_name(name))
    click.echo(f"/predict/{name} is gone")
