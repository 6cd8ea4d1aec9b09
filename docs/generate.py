"""Writes the reference pages from the code: `make docs`, or `python docs/generate.py --check` to compare only.

errors.md, cli.md, python-reference.md and settings.md are written whole; in http.md and code.md what stands between
markers.
"""

import ast
import importlib
import inspect
import pkgutil
import re
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import click

import aias
from aias.cli.main import COMMANDS, EXIT_STATUSES
from aias.cli.main import aias as command_line
from aias.core import errors as core_errors
from aias.core.errors import AiasError

DOCS: Final = Path(__file__).resolve().parent
HOUSE: Final = DOCS.parent / "src" / "aias"
BY: Final = "<!-- written by docs/generate.py: change the code, then `make docs` -->\n"

ENVIRONMENT: Final = {
    "AIAS_HOME": "Where models, keys and endpoints are kept. By default `~/.aias`.",
    "AIAS_FAILPOINT": "For tests only: the step at which this process is killed or fails (`core/failpoints.py`).",
    "AIAS_TEACHER_KEY": "The key of the service that `--teacher` names; sent over TLS or to this machine only.",
    "AIAS_KEY": "The key that `aias bench` sends. The examples also keep a key in it.",
}
"""Every variable that the sources name; a new one fails here until it has its sentence."""

PROBES: Final = {
    "live": "Is the process alive?",
    "ready": "Can it answer?",
    "metrics": "What it has done, for Prometheus",
    "v2": "The server's name, version and extensions",
}


def pages() -> dict[str, str]:
    """The content of each generated page, by file name."""
    return {
        "errors.md": errors(),
        "cli.md": cli(),
        "python-reference.md": python(),
        "settings.md": settings(),
        "http.md": http(),
        "code.md": code(),
    }


def errors() -> str:
    rows = [
        f"| `{kind.code}` | {kind.exit_status} | {http_status(kind)} | {sentence(kind)} |"
        for kind in sorted(error_kinds(), key=lambda kind: kind.code)
    ]
    return (
        f"# Errors\n\n{BY}\n"
        "Every error has a code that never changes, a message and, where something can be done, a hint. The command\n"
        "line "
        'writes them to stderr (with `--json` as `{"error": {"code", "message", "hint"}}`) and ends with the\n'
        "exit status below; the server answers with the HTTP status; Python raises a subclass of\n"
        "`aias.core.errors.AiasError`.\n\n"
        f"{EXIT_STATUSES}\n\n"
        "Errors without an HTTP status do not occur over HTTP, or are answered as `aias.failed`; the server's log\n"
        "has the cause.\n\n"
        "| code | exit | HTTP | when |\n|---|---|---|---|\n" + "\n".join(rows) + "\n"
    )


def error_kinds() -> list[type[AiasError]]:
    """Every kind of error there is, found in the sources."""
    for found in pkgutil.walk_packages(aias.__path__, "aias."):
        if "migrations" not in found.name and not found.name.endswith("__main__"):
            importlib.import_module(found.name)
    kinds: list[type[AiasError]] = []
    todo: list[type[AiasError]] = [AiasError]
    while todo:
        kind = todo.pop()
        kinds.append(kind)
        todo += kind.__subclasses__()
    return [kind for kind in kinds if kind.__module__.startswith("aias.")]


def http_status(kind: type[AiasError]) -> str:
    from aias.serving.refusals import for_caller, status_of

    told = for_caller(kind(""))
    return "" if told is None else str(status_of(told))


def sentence(kind: type[AiasError]) -> str:
    """What the tree of errors or the docstring says, else the first message that the sources raise it with; with the
    hint, where it is always the same."""
    family = dict(re.findall(r"── (\w+) +(.+?) {2,}", inspect.getsource(core_errors))).get(kind.__name__)
    own = " ".join((vars(kind).get("__doc__") or "").strip().split("\n\n")[0].split())
    raised = list(messages(kind))
    said = family or ("" if own.startswith("`") else own) or next((message for message, _ in raised), "")
    hints = {hint for _, hint in raised}
    hint = hints.pop() if len(hints) == 1 else ""
    return _cell(f"{said.rstrip('.')} — *{hint}*" if hint and "…" not in hint else said)


def messages(kind: type[AiasError]) -> Iterator[tuple[str, str]]:
    """The messages and hints of `raise Kind("…", hint="…")` and the like; what is filled in stands as …"""
    for node in _calls():
        if getattr(node.func, "id", "") == kind.__name__:
            message = _template(node.args[0])
            hint = next((_template(each.value) for each in node.keywords if each.arg == "hint"), "")
            if len(re.findall(r"[a-z]{2,}", message)) >= 3:
                yield message, hint


@cache
def _calls() -> list[ast.Call]:
    """Every call with an argument, of all sources, which take long to parse."""
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in sorted(HOUSE.rglob("*.py")))
    return [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Call) and node.args]


def cli() -> str:
    parts = [
        f"# The command line\n\n{BY}\nData goes to stdout, messages to stderr. {EXIT_STATUSES}\n",
        _help("aias", command_line),
    ]
    for name in COMMANDS:
        command = command_line.get_command(click.Context(command_line), name)
        assert command is not None
        parts.append(_help(f"aias {name}", command))
        if isinstance(command, click.Group):
            parts += [_help(f"aias {name} {sub}", each) for sub, each in command.commands.items()]
    return "\n".join(parts)


def _help(path: str, command: click.Command) -> str:
    context = click.Context(
        command, info_name=path, terminal_width=100, max_content_width=100, help_option_names=["-h", "--help"]
    )
    return f"## {path}\n\n```text\n{command.get_help(context).rstrip()}\n```\n"


def python() -> str:
    parts = [f"# Python\n\n{BY}\n`import aias` loads nothing; each name below loads when it is first used.\n"]
    for name in sorted(aias.__all__):
        thing = getattr(aias, name)
        if name != "__version__":
            parts.append(_described(f"aias.{name}", thing, level=2))
        if inspect.isclass(thing):
            parts += [_described(f"{name}.{each}", member, level=3) for each, member in _members(thing)]
    return "\n".join(parts)


def _members(kind: type) -> Iterator[tuple[str, Any]]:
    for name, member in vars(kind).items():
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property)):
            yield name, member


def _described(name: str, thing: Any, *, level: int) -> str:
    if isinstance(thing, property):
        head, thing = name, thing.fget
        returns = inspect.signature(thing).return_annotation
        head = f"{name}: {_type(returns)}"
    elif inspect.isclass(thing) and any(each.default is each.empty for each in _parameters(thing)):
        head = f"class {name}"  # made by functions, not by people
    else:
        head = f"{name}{_signature(thing)}"
    text = inspect.cleandoc(thing.__doc__) if thing.__doc__ else ""
    return f"{'#' * level} {name}\n\n```text\n{head}\n```\n" + (f"\n{text}\n" if text else "")


def _parameters(thing: Any) -> list[inspect.Parameter]:
    return [each for each in inspect.signature(thing).parameters.values() if each.name != "self"]


def _signature(thing: Any) -> str:
    parts, starred = [], False
    for each in _parameters(thing):
        if each.kind is each.KEYWORD_ONLY and not starred:
            parts.append("*")
            starred = True
        default = "" if each.default is each.empty else f" = {getattr(each.default, '__name__', repr(each.default))}"
        parts.append(f"{each.name}: {_type(each.annotation)}{default}")
    returns = inspect.signature(thing).return_annotation
    tail = "" if inspect.isclass(thing) or returns is inspect.Signature.empty else f" -> {_type(returns)}"
    short = f"({', '.join(parts)}){tail}"
    return short if len(short) < 90 else "(\n" + "".join(f"    {part},\n" for part in parts) + f"){tail}"


def _type(annotation: Any) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"numpy\.ndarray\[tuple\[[^\]]*\], numpy\.dtype\[(.*)\]\]", r"array of \1", text)
    text = re.sub(r"collections\.abc\.Callable\[\[aias\.core\.events\.Event\], None\]", "Watch", text)
    return re.sub(r"\b(?:[a-z_]+\.)+(?=[A-Za-z])", "", text)


def settings() -> str:
    named = {name for path in HOUSE.rglob("*.py") for name in re.findall(r"AIAS(?:_[A-Z]+)+", path.read_text("utf-8"))}
    variables = [f"| `{name}` | {ENVIRONMENT[name]} |" for name in sorted(named)]
    limits = [f"| `{name}` | {shown} | {reason} |" for name, shown, reason in _limits()]
    return (
        f"# Settings and limits\n\n{BY}\n"
        "Options are in [cli.md](cli.md); an option beats a variable of the environment, which beats the default.\n\n"
        "## Environment\n\n| variable | what it says |\n|---|---|\n" + "\n".join(variables) + "\n\n"
        "## Limits\n\nEvery limit has a reason; all of them are in `src/aias/core/limits.py`.\n\n"
        "| limit | value | why |\n|---|---|---|\n" + "\n".join(limits) + "\n"
    )


def _limits() -> Iterator[tuple[str, str, str]]:
    from aias.core import limits

    body = ast.parse(inspect.getsource(limits)).body
    for statement, following in pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr):
            name = ast.unparse(statement.target)
            value, reason = getattr(limits, name), str(ast.literal_eval(following.value))
            yield name, _amount(name, value), _cell(" ".join(reason.split()))


def _amount(name: str, value: float) -> str:
    if "BYTES" in name:
        size, unit = next(
            (value >> shift, unit) for shift, unit in ((30, "GiB"), (20, "MiB"), (10, "KiB")) if value >> shift
        )
        return f"{size} {unit}"
    return f"{value:g} s" if "SECONDS" in name else f"{value:,}"


def http() -> str:
    from aias.core.catalog import member, members
    from aias.core.events import nobody
    from aias.serving.admission.key_routes import KeyRoutes
    from aias.serving.bounds import Bounds
    from aias.serving.inference.repository import Repository
    from aias.serving.observability.metrics import Metrics
    from aias.serving.observability.probes import probes
    from aias.serving.observability.statistics import Statistics
    from aias.serving.protocols.contract import ServerContext
    from aias.serving.rollout.routes import Endpoints

    context = ServerContext(Bounds(), lambda: True, None, Repository(None, None), Statistics, str, list, str)  # type: ignore[arg-type]
    routes = [*probes(ready=lambda: True, metrics=Metrics)]
    routes += Endpoints(None, None, None).routes()  # type: ignore[arg-type]
    routes += KeyRoutes(None, nobody).routes()
    routes += [
        route for name in members("serving.protocols") for route in member("serving.protocols", name)(context).routes()
    ]
    lines = [f"| {each.method} | `{each.path}` | {each.scope} | {_what(each.path, each.answer)} |" for each in routes]
    table = "| method | path | scope | what |\n|---|---|---|---|\n" + "\n".join(lines)
    statuses: dict[str, list[str]] = {}
    for kind in sorted(error_kinds(), key=lambda kind: kind.code):
        told = kind.code.startswith("serving.") or kind.code in {"data.bad-value", "aias.storage-failed"}
        if told and (status := http_status(kind)):
            statuses.setdefault(status, []).append(f"`{kind.code}`")
    codes = "| status | codes |\n|---|---|\n" + "\n".join(
        f"| {status} | {', '.join(statuses[status])} |" for status in sorted(statuses)
    )
    page = (DOCS / "http.md").read_text("utf-8")
    return _between(_between(page, "routes", table), "statuses", codes)


def _what(path: str, answer: Any) -> str:
    said = (answer.__doc__ or "").split("\n")[0].split(". Raises")[0].rstrip(".")
    return _cell(said or PROBES[path.rpartition("/")[2]])


def code() -> str:
    settings = tomllib.loads((DOCS.parent / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]
    layers = next(each["layers"] for each in settings["contracts"] if each["type"] == "layers")
    lines = [line for layer in layers for room in layer.split(" | ") for line in _room(HOUSE / room)]
    return _between((DOCS / "code.md").read_text("utf-8"), "rooms", "| room | what |\n|---|---|\n" + "\n".join(lines))


def _room(folder: Path) -> Iterator[str]:
    """A line for a folder and for each folder in it."""
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) or ""
    is_open = " *Open set.*" if (folder / "contract.py").exists() else ""
    yield f"| `{folder.relative_to(HOUSE)}/` | {_cell(said.split(chr(10))[0])}{is_open} |"
    for inner in sorted(folder.glob("*/__init__.py")):
        yield from _room(inner.parent)


def _between(page: str, name: str, content: str) -> str:
    start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    before, _, rest = page.partition(start)
    _, found, after = rest.partition(end)
    assert found, f"there are no markers {start} and {end}"
    return f"{before}{start}\n{content}\n{end}{after}"


def _template(node: ast.expr) -> str:
    """A string in the sources with … for what is filled in; empty when it is not one."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values)
    return ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def main() -> int:
    written = pages()
    stale = [
        name for name, text in written.items() if not (DOCS / name).exists() or (DOCS / name).read_text("utf-8") != text
    ]
    if "--check" in sys.argv:
        print("\n".join(f"docs/{name} is out of date: make docs" for name in sorted(stale)))
        return 1 if stale else 0
    for name in stale:
        (DOCS / name).write_text(written[name], encoding="utf-8")
        print(f"wrote docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
