"""The package is built as drawn: every room placed, every promise written down, every file short."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from aias.core.catalog import MACHINERY

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "aias"
PYTHON = sorted(PACKAGE.rglob("*.py"))

LINES_MAX = 400
VAGUE = {"utils", "util", "helpers", "common", "misc", "base", "manager"}
PICKLES = {"pickle", "_pickle", "cPickle", "joblib", "dill", "cloudpickle", "marshal", "shelve", "jsonpickle"}
UNSAFE_YAML = {"load", "load_all", "unsafe_load", "unsafe_load_all", "full_load", "full_load_all"}
OPEN_SETS = {
    "compress/techniques", "data/readers", "encoders", "features", "importing/formats", "learners", "registry/stores",
    "runtimes", "serving/protocols", "teaching/teachers", "tuning",
}  # fmt: skip


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def settings() -> dict[str, object]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: dict[str, object] = tomllib.load(file)["tool"]["importlinter"]
    return found


def contract(kind: str) -> dict[str, object]:
    contracts = settings()["contracts"]
    assert isinstance(contracts, list)
    return next(each for each in contracts if each["type"] == kind)


def rooms() -> set[str]:
    files = {path.stem for path in PACKAGE.glob("*.py") if not path.stem.startswith("__")}
    return files | {path.parent.name for path in PACKAGE.glob("*/__init__.py")}


def test_every_room_has_its_place_in_the_story() -> None:
    layers = contract("layers")["layers"]
    assert isinstance(layers, list)

    placed = {room.strip() for layer in layers for room in layer.split("|")}

    assert rooms() == placed


def test_every_open_set_writes_its_promise_down() -> None:
    with_promise = {str(path.parent.relative_to(PACKAGE)) for path in PACKAGE.rglob("contract.py")}

    assert with_promise == OPEN_SETS


@pytest.mark.parametrize("folder", sorted(OPEN_SETS - {"data/readers", "registry/stores"}))
def test_a_member_exports_one_thing_so_that_its_file_name_finds_it(folder: str) -> None:
    for path in (PACKAGE / folder).glob("*.py"):
        if path.stem not in MACHINERY and not path.stem.startswith("__"):
            assert len(exported(path)) == 1, path


@pytest.mark.parametrize(
    "folder",
    sorted(
        {
            "compress/techniques",
            "encoders",
            "features",
            "importing/formats",
            "learners",
            "serving/protocols",
            "teaching/teachers",
        }
    ),
)
def test_the_import_rules_know_every_member(folder: str) -> None:
    contracts = settings()["contracts"]
    assert isinstance(contracts, list)
    known = [name for each in contracts if each["type"] == "independence" for name in each["modules"]]
    names = {path.stem for path in (PACKAGE / folder).glob("*.py")} - MACHINERY - {"__init__"}
    # Texts and their subwords are members that the row encoder and the feature of terms are written for.
    texts = {"aias.encoders.text", "aias.encoders.subwords"}
    missing = {f"aias.{folder.replace('/', '.')}.{name}" for name in names} - set(known) - texts

    assert not missing


def test_nothing_is_called_by_a_name_that_says_nothing() -> None:
    assert not [path for path in PACKAGE.rglob("*") if path.stem in VAGUE]


def test_no_file_is_too_long_to_be_read_in_one_go() -> None:
    long = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in PYTHON}

    assert not {name: lines for name, lines in long.items() if lines > LINES_MAX}


def test_every_folder_of_the_package_is_a_room_with_a_sentence_about_itself() -> None:
    folders = {path.parent for path in PYTHON if "migrations" not in path.parts}

    silent = [folder for folder in folders if not ast.get_docstring(tree(folder / "__init__.py"))]

    assert not silent


def test_nothing_reads_or_writes_pickles_or_runs_text_as_code() -> None:
    found = [f"{path.relative_to(ROOT)}:{line}: {what}" for path in PYTHON for line, what in forbidden(tree(path))]

    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import joblib.externals",
        "from dill import loads",
        "import sklearn.externals; sklearn.externals.joblib.load(f)",
        "import importlib; importlib.import_module('pickle')",
        "__import__('marshal')",
        "import yaml; yaml.load(text)",
        "import yaml; yaml.load(text, Loader=yaml.Loader)",
        "import yaml; yaml.unsafe_load(text)",
        "import numpy; numpy.load(f, allow_pickle=True)",
        "frame.to_pickle('x')",
        "eval(text)",
        "exec(text)",
        "import builtins; builtins.eval(text)",
    ],
)
def test_the_ban_sees_every_way_around_it(source: str) -> None:
    assert list(forbidden(ast.parse(source)))


@pytest.mark.parametrize(
    "source",
    ["import yaml; yaml.safe_load(text)", "yaml.load(text, Loader=yaml.SafeLoader)", "numpy.load(f)", "re.compile(x)"],
)
def test_the_ban_leaves_alone_what_is_safe(source: str) -> None:
    assert not list(forbidden(ast.parse(source)))


def exported(path: Path) -> list[str]:
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and any(getattr(name, "id", "") == "__all__" for name in node.targets):
            return list(ast.literal_eval(node.value))
    return []


def forbidden(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of everything that could turn bytes into code."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, each.name) for each in node.names if PICKLES & set(each.name.split(".")))
        elif isinstance(node, ast.ImportFrom):
            names = {*(node.module or "").split("."), *(each.name for each in node.names)}
            yield from ((node.lineno, name) for name in names & PICKLES)
        elif isinstance(node, ast.Attribute) and (node.attr in PICKLES or "pickle" in node.attr):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and node.id in {"eval", "exec"}:
            yield node.lineno, node.id
        elif isinstance(node, ast.Call):
            yield from _forbidden_call(node)


def _forbidden_call(node: ast.Call) -> Iterator[tuple[int, str]]:
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    keywords = {each.arg: ast.unparse(each.value) for each in node.keywords}
    if name in {"import_module", "__import__"}:
        yield from ((node.lineno, text) for each in node.args if (text := getattr(each, "value", "")) in PICKLES)
    if keywords.get("allow_pickle", "False") != "False":
        yield node.lineno, "allow_pickle"
    if isinstance(node.func, ast.Attribute) and name in {"eval", "exec"}:
        yield node.lineno, name
    if name in UNSAFE_YAML and ast.unparse(node.func).startswith("yaml."):
        loader = keywords.get("Loader") or (ast.unparse(node.args[1]) if len(node.args) > 1 else "")
        if "SafeLoader" not in loader:
            yield node.lineno, f"yaml.{name}"


SEARCHERS = ("cmaes", "hyperopt", "ray", "smac")


@pytest.mark.parametrize(("extras", "file"), [(("dev",), "tested"), (SEARCHERS, "searchers")])
def test_ci_knows_of_each_package_that_it_installs_which_release_was_tested(extras: tuple[str, ...], file: str) -> None:
    with (ROOT / "pyproject.toml").open("rb") as opened:
        project = tomllib.load(opened)["project"]
    own = project["optional-dependencies"]
    parts = {*extras, *re.findall(r"\w+", own["dev"][0].partition("[")[2] if "dev" in extras else "")}
    wanted = [*project["dependencies"], *(each for part in parts for each in own[part] if not each.startswith("aias["))]
    tested = (ROOT / ".ci" / f"{file}.txt").read_text("utf-8")

    names = {_plain(line) for line in tested.splitlines() if "<=" in line and not line.startswith("#")}

    assert {_plain(each) for each in wanted} - names == set()


def _plain(requirement: str) -> str:
    return re.split(r"[\[<>=]", requirement)[0].lower().replace("_", "-")
