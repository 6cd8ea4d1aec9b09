"""The command `aias`: what there is, and which file does it. Nothing heavy is imported before a command runs."""

import errno
import importlib
import json
import keyword
import sys
from typing import Any, Final

import click

from aias import __version__
from aias.cli.memory_limit import in_child, is_short_of_memory, out_of_memory
from aias.core.errors import AiasError, OutOfMemory, StorageFailed
from aias.core.suggestions import nearest

COMMANDS: Final = {
    "demo": ("aias.cli.demo", "Train, deploy and query two models on real data that is already here."),
    "train": ("aias.cli.train", "Train the best model that the time allows, and publish it."),
    "optimize": ("aias.cli.optimize", "Search for a better version, and publish it if it is certainly better."),
    "compress": ("aias.cli.compress", "Make a version smaller and faster, proved no worse than you accept."),
    "frontier": ("aias.cli.compress", "Show every candidate of a compression: its proof, or why it was rejected."),
    "import": ("aias.cli.importing", "Publish a model trained elsewhere: ONNX, boosters, encoders."),
    "ls": ("aias.cli.models", "List versions and endpoints."),
    "show": ("aias.cli.models", "Show a version: data, leaderboard, scores, proof."),
    "evaluate": ("aias.cli.models", "Measure a version on other labelled rows."),
    "predict": ("aias.cli.models", "Predict the rows of a file."),
    "explain": ("aias.cli.explain", "Show how much each field of a row contributes to its answer."),
    "export": ("aias.cli.models", "Copy a version, with a script that runs it without Aias."),
    "rm": ("aias.cli.models", "Remove a version that no endpoint points at."),
    "deploy": ("aias.cli.endpoints", "Point an endpoint at a version, or put one on trial beside it."),
    "endpoints": ("aias.cli.endpoints", "Show which version answers, what is on trial, and how it is doing."),
    "promote": ("aias.cli.endpoints", "Make the version on trial the live one."),
    "rollback": ("aias.cli.endpoints", "End trials at once, or go back to the previous version."),
    "release": ("aias.cli.endpoints", "Let a version run again that was quarantined or isolated."),
    "undeploy": ("aias.cli.endpoints", "Remove an endpoint."),
    "serve": ("aias.cli.serve", "Answer requests on one port."),
    "bench": ("aias.cli.bench", "Load-test an endpoint: latencies, goodput, failures."),
    "keys": ("aias.cli.keys", "Create, list, limit and revoke the keys of callers."),
    "tenants": ("aias.cli.tenants", "Group keys into tenants, with quotas for all of them together."),
    "data": ("aias.cli.data", "Show a file as training will see it."),
}

EXIT_STATUSES: Final = (
    "Exit status: 0 ok · 1 failed · 2 bad input · 3 not found · 4 refused · 5 conflict · 130 interrupted"
)


class Whole(click.Group):
    """Lists its commands with their whole first sentence, which Click cuts where there is little room."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, self.commands[name].get_short_help_str(limit=10_000)) for name in sorted(self.commands)]
            )


class Once(click.Command):
    """Refuses a second value of an option that holds one, where Click takes the last."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        _, _, given = self.make_parser(ctx).parse_args(args=list(args))
        for each in given:
            if isinstance(each, click.Option) and not (each.multiple or each.is_flag) and given.count(each) > 1:
                raise click.UsageError(f"{each.opts[0]} is given twice; give it once", ctx)
        return super().parse_args(ctx, args)


class _Lazy(click.Group):
    """Lists its commands from a table; imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 Click's promise
        return list(COMMANDS)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args[0] not in COMMANDS and not args[0].startswith("-") and (near := nearest(args[0], COMMANDS)):
            raise click.UsageError(f"No such command '{args[0]}'. Did you mean '{near}'?", ctx)
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 Click's promise
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        found: click.Command = getattr(importlib.import_module(COMMANDS[cmd_name][0]), name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EXIT_STATUSES,
)
@click.version_option(__version__, prog_name="aias")
def aias() -> None:
    """AI as a service in one package: from a file to a small, fast model behind a secure endpoint.

    Everything is kept in the folder that AIAS_HOME names, by default ~/.aias.
    """


_READING: Final = {"train", "optimize", "compress", "import", "evaluate", "predict", "data"}
"""Commands for which memory may not suffice, since they read what is given to them."""


def main() -> None:
    """Run the command line; every `AiasError` becomes two lines on stderr and an exit status."""
    try:
        status = in_child(_run) if _READING.intersection(sys.argv[1:2]) else _run()
    except OutOfMemory as fault:
        _say(fault)
        status = fault.exit_status
    sys.exit(status)


def _run() -> int:
    try:
        status = aias.main(prog_name="aias", standalone_mode=False)
    except click.ClickException as fault:
        fault.show()
        status = fault.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        status = 130
    except AiasError as fault:
        _say(fault)
        status = fault.exit_status
    except BrokenPipeError:
        sys.stderr.close()
        status = 0
    except Exception as fault:
        if is_short_of_memory(fault):
            raise out_of_memory() from fault
        if not isinstance(fault, OSError) or (fault.filename is None and fault.errno != errno.ENOSPC):
            raise  # no file of the user's
        said = ": ".join(str(each) for each in (fault.filename, fault.strerror) if each)
        _say(StorageFailed(said, hint="check the path, its owner, and the room on the disk"))
        status = StorageFailed.exit_status
    return status if isinstance(status, int) else 0


def _say(fault: AiasError) -> None:
    if "--json" in sys.argv:
        click.echo(json.dumps({"error": fault.as_dict()}, ensure_ascii=False), err=True)
        return
    from aias.cli.show import say

    say("", mark=f"error: {fault.message}", style="red", err=True)
    if fault.hint:
        say(f"hint: {fault.hint}", err=True)
    click.secho(f"({fault.code})", dim=True, err=True)


def option_json(function: Any) -> Any:
    """`--json`: the answer as JSON on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)
