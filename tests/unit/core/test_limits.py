"""Every bound has a unit, a reason, and a sensible value."""

import ast
import inspect
from itertools import pairwise
from pathlib import Path

import pytest

from aias.core import limits, settings

NAMES = [name for name in vars(limits) if name.isupper()]


def reasons() -> dict[str, str]:
    body = ast.parse(inspect.getsource(limits)).body
    found = {}
    for statement, following in pairwise(body):
        if isinstance(statement, ast.AnnAssign) and isinstance(following, ast.Expr):
            found[ast.unparse(statement.target)] = str(ast.literal_eval(following.value))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_says_why(name: str) -> None:
    assert len(reasons()[name].split()) >= 5


@pytest.mark.parametrize("name", NAMES)
def test_every_limit_bounds_something(name: str) -> None:
    assert getattr(limits, name) > 0


def test_home_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AIAS_HOME", str(tmp_path / "here"))
    assert settings.home() == tmp_path / "here"


@pytest.mark.parametrize("unset", [None, ""])
def test_home_is_in_the_users_own_folder_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, unset: str | None
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("AIAS_HOME", raising=False)
    if unset is not None:
        monkeypatch.setenv("AIAS_HOME", unset)

    assert settings.home() == tmp_path / ".aias"
