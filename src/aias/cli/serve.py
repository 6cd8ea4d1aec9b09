"""`aias serve`."""

import click


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free port.")
@click.option("--allowed-host", "allowed_hosts", multiple=True, help="A name that clients may call the server by.")
@click.option("--insecure-http", is_flag=True, help="Listen beyond this machine without TLS; put a proxy before it.")
@click.option("--access-log", is_flag=True, help="One JSON line a request on stderr.")
def serve(host: str, port: int, allowed_hosts: tuple[str, ...], *, insecure_http: bool, access_log: bool) -> None:
    """Answer requests on one port until SIGTERM; finishes what it has begun. Prints the first key once."""
    from aias.core.settings import home
    from aias.serving.gateway import serve as run

    run(
        home(), host=host, port=port, allowed_hosts=allowed_hosts, insecure_http=insecure_http, access_log=access_log,
        announce=lambda line: click.echo(line, err=True),
    )  # fmt: skip
