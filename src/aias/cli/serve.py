"""`aias serve`."""

import contextlib
import sys
from typing import Final

import click

from aias.core.events import Event

_PATIENCE_SECONDS: Final = 1.0
"""With a reader that is slow; what one has not read by then it is not waited for again."""


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535), help="0 takes any free port.")
@click.option(
    "--workers",
    default="1",
    show_default=True,
    help="Processes that answer; `auto`: one per processor; 0: a single process without a supervisor.",
)
@click.option("--replace", is_flag=True, help="Take over from the server on this port, without failing a request.")
@click.option(
    "--grpc-port", type=click.IntRange(0, 65535), help="Also answer gRPC, on this port; 0 takes any free one."
)
@click.option("--allowed-host", "allowed_hosts", multiple=True, help="A host name that clients use; can be repeated.")
@click.option("--unnamed", help="The endpoint that answers /invocations if a request names none.")
@click.option("--insecure-http", is_flag=True, help="Listen beyond this machine, without TLS; put a proxy in front.")
@click.option(
    "--memory", metavar="SIZE", help="The budget for all loaded models, such as 4GB.  [default: half of the machine's]"
)
@click.option(
    "--pin",
    "pinned",
    multiple=True,
    metavar="NAME",
    help="An endpoint to keep in memory, '*' for all; can be repeated.",
)
@click.option(
    "--no-busy-poll",
    is_flag=True,
    help="Sleep as soon as nothing is asked; less power, and fewer answers to one caller after the other.",
)
@click.option("--access-log", is_flag=False, flag_value="100%", metavar="[SHARE]",
              help="Log requests, or a share such as 5%, as JSON lines on stderr; no bodies, no keys.")  # fmt: skip
def serve(
    host: str,
    port: int,
    workers: str,
    grpc_port: int | None,
    allowed_hosts: tuple[str, ...],
    unnamed: str | None,
    memory: str | None,
    pinned: tuple[str, ...],
    *,
    replace: bool,
    insecure_http: bool,
    no_busy_poll: bool,
    access_log: str | None,
) -> None:
    """Answer requests on one port, until SIGTERM or Ctrl-C. The first start prints the first key, once."""
    from aias.core.settings import home
    from aias.serving.bounds import Bounds
    from aias.serving.serve import serve as run

    bounds: dict[str, float] = {"memory_bytes": _bytes(memory)} if memory is not None else {}
    bounds |= {"busy_poll_seconds": 0.0} if no_busy_poll else {}
    run(
        home(),
        host=host,
        port=port,
        workers=max(1, count := _count(workers)),
        supervised=count > 0,
        grpc_port=grpc_port,
        allowed_hosts=allowed_hosts,
        unnamed=unnamed,
        insecure_http=insecure_http,
        access_log=0.0 if access_log is None else _share(access_log),
        pinned=pinned,
        replacing=replace,
        bounds=Bounds(**bounds),  # type: ignore[arg-type]
        announce=Reporter(),
    )


def _count(workers: str) -> int:
    from aias.core.cpus import cpus

    if workers == "auto":
        return cpus()
    if not workers.isdecimal():
        raise click.BadParameter(f"{workers!r} is neither a number nor `auto`", param_hint="--workers")
    return int(workers)


def _bytes(text: str) -> int:
    from aias.core.quantities import bytes_of

    found = bytes_of(text)
    if found <= 0:
        raise click.BadParameter(f"{text} is too little for any model", param_hint="--memory")
    return found


def _share(text: str) -> float:
    from aias.core.quantities import share_of

    found = share_of(text)
    if not 0 < found <= 1:
        raise click.BadParameter(f"{text} is not a share of the requests", param_hint="--access-log")
    return found


class Reporter:
    """Says on standard error what happens. A full disk, or nobody who reads any more, or for now, is no reason to end
    or to stand still: what is served goes on."""

    def __init__(self) -> None:
        self._unsaid = 0

    def __call__(self, event: Event) -> None:
        if event.name == "serve.first-key":
            click.echo("The first key, with every scope. It is shown only now; `aias keys` makes others:\n", err=True)
            click.echo(event.facts["secret"])
            click.echo(err=True)
        elif self._is_heard():
            with contextlib.suppress(OSError):
                if self._unsaid:
                    click.secho(f"{self._unsaid} messages before this found no reader", fg="yellow", err=True)
                self._unsaid = 0
                click.secho(event.message, fg="yellow" if event.level == "warning" else None, err=True)
        else:
            self._unsaid += 1

    def _is_heard(self) -> bool:
        from aias.serving.processes.hangup import is_heard

        try:
            return is_heard(sys.stderr.fileno(), 0.0 if self._unsaid else _PATIENCE_SECONDS)
        except (OSError, ValueError, AttributeError):
            return True
