"""Errors that callers of Python see, too, name its argument beside the option of the command line."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import aias

SOURCES = Path(aias.__file__).parent
FOLDERS = ("compress", "data", "importing", "optimize", "teaching", "training")
"""What both callers go through; `cli`, `serving` and `deploying` are for a terminal."""

OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
COMMAND = re.compile(r"`aias [a-z]|aias train |python -m |hf download ")
ARGUMENT = re.compile(r"\b[a-z_]+=")


def said(path: Path) -> Iterator[str]:
    """The texts of a file that are not about itself, an f-string as one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    about = {id(each.value) for each in ast.walk(tree) if isinstance(each, ast.Expr)}
    within = {id(part) for each in ast.walk(tree) if isinstance(each, ast.JoinedStr) for part in ast.walk(each)} - {
        id(each) for each in ast.walk(tree) if isinstance(each, ast.JoinedStr)
    }
    for each in ast.walk(tree):
        if id(each) in about or id(each) in within:
            continue
        if isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value
        elif isinstance(each, ast.JoinedStr):
            yield "".join(str(part.value) for part in each.values if isinstance(part, ast.Constant))


@pytest.mark.parametrize("folder", FOLDERS)
def test_who_is_told_of_an_option_is_told_of_its_argument(folder):
    texts = [(path.name, text) for path in sorted((SOURCES / folder).rglob("*.py")) for text in said(path)]
    alone = [each for each in texts if OPTION.search(COMMAND.split(each[1])[0]) and not ARGUMENT.search(each[1])]
    assert alone == []
