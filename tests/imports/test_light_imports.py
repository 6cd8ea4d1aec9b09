"""What is not loaded: help is instant, and the base install stays small."""

import ast
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest

import aias

FRAMEWORKS = {
    "numpy",
    "scipy",
    "polars",
    "narwhals",
    "pandas",
    "pyarrow",
    "sklearn",
    "lightgbm",
    "onnx",
    "onnxruntime",
    "sqlalchemy",
    "alembic",
    "msgspec",
    "yaml",
    "rich",
    "uvicorn",
    "uvloop",
    "httptools",
    "prometheus_client",
    "asyncio",
    "torch",
}

NEVER_IN_THE_BASE = {"pandas", "pyarrow", "catboost", "torch", "tensorflow", "ray"}

HELP = """
import sys
from aias.cli.main import main
sys.argv = ["aias", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(*sys.modules, sep="\\n", file=sys.stderr)
"""


def loaded(source: str) -> set[str]:
    """The top-level modules that a fresh interpreter has loaded when it is done."""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return {line.partition(".")[0] for line in done.stderr.split()}


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"], ["serve", "--help"]])
def test_help_loads_no_framework(arguments: list[str]) -> None:
    assert not loaded(HELP.format(arguments=arguments)) & FRAMEWORKS


def test_the_time_of_a_training_begins_before_anything_is_loaded_for_it() -> None:
    source = """
import sys
from aias.core.deadline import Deadline
def after(seconds):
    print(*sys.modules, sep="\\n", file=sys.stderr)
    sys.exit()
Deadline.after = after
import aias
aias.train({"x": [1, 2], "y": [0, 1]}, target="y")
"""
    found = loaded(source)
    assert "aias" in found and not found & FRAMEWORKS


def test_a_worker_is_without_what_its_learners_libraries_only_serve() -> None:
    source = """
import sys
from aias.training.processes.worker import HIDDEN, hide
hide()
import numpy, sklearn.ensemble
x = numpy.arange(40.0).reshape(20, 2)
sklearn.ensemble.ExtraTreesClassifier(2).fit(x, x[:, 0] > 20, sample_weight=numpy.ones(20))  # looks for pandas' types
print(*(name for name, module in sys.modules.items() if module is not None), sep="\\n", file=sys.stderr)
"""
    found = loaded(source)
    assert "sklearn" in found and not found & {"pyarrow", "matplotlib", "rich"}


def test_importing_aias_loads_nothing_beyond_the_standard_library() -> None:
    told = "print(*(set(sys.modules) - before), file=sys.stderr)"

    assert loaded(
        f"import sys\nbefore = set(sys.modules)\nimport aias\ndir(aias)\n{told}"
    ) - sys.stdlib_module_names == {"aias"}


def test_every_public_name_is_found_when_it_is_asked_for() -> None:
    names = (
        "Classifier Endpoint Model Regressor Teacher compare endpoint endpoints import_model load models "
        "publish_classifier publish_encoder train __version__"
    )

    found = loaded(
        f"import sys, aias\nfor name in {names.split()!r}: getattr(aias, name)\nprint(*dir(aias), file=sys.stderr)"
    )

    assert set(names.split()) == found


def test_the_base_install_has_none_of_the_heavy_packages() -> None:
    assert not base_install() & NEVER_IN_THE_BASE


def test_what_the_base_install_is_made_of_is_known_to_the_last_package() -> None:
    """Guards the walk itself: were it broken, the test above would pass over nothing."""
    assert {"numpy", "polars", "scikit-learn", "onnxruntime", "mako", "threadpoolctl"} <= base_install()


def base_install(root: str = "aias") -> set[str]:
    """Every package that `pip install aias` brings, without extras."""
    found: set[str] = set()
    todo = [root]
    while todo:
        name = todo.pop()
        if name in found:
            continue
        found.add(name)
        todo += wanted(name)
    return found


def wanted(name: str) -> list[str]:
    """What a package needs here; markers are read well enough for extras, platforms and Python versions."""
    from packaging.requirements import Requirement

    try:
        lines = requires(name) or []
    except PackageNotFoundError:  # needed only on other platforms
        return []
    needed = [Requirement(line) for line in lines]
    kept = [each for each in needed if each.marker is None or each.marker.evaluate({"extra": ""})]
    return [re.sub(r"[-_.]+", "-", each.name).lower() for each in kept]


def test_whoever_checks_types_sees_every_public_name_where_it_is() -> None:
    stub = ast.parse(Path(aias.__file__).with_suffix(".pyi").read_text())
    found = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    assert {each.name: node.module for node in found for each in node.names} == aias._PUBLIC
