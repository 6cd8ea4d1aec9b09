"""Finds the members of an open set: a member's name is its file's name, and it exports one thing in `__all__`."""

import importlib
import pkgutil
from collections.abc import Iterable
from functools import cache
from typing import Any, Final

from aias.core.errors import NotFound
from aias.core.suggestions import choices

MACHINERY: Final = {
    "arrival", "boosting", "contract", "engine_choice", "golden", "json_row", "latency", "lengths", "mapped",
    "month_names", "rows", "shrinkage", "spaces", "study", "tree_nodes",
}  # fmt: skip
"""Files beside the members that are none: the promise itself, what boosters share, how leaves are shrunk, what months
are called, the row encoder that puts encoders side by side, where searchers search, what those of Optuna share, how
runtimes are timed and chosen among, what they are asked before they answer, which texts they read together, which
weights they share, and how trees are taken out of a graph."""


@cache  # a wide table asks for each of its columns
def members(folder: str) -> tuple[str, ...]:
    """The names of all members of `aias.<folder>`, sorted; imports none of them."""
    package = importlib.import_module(f"aias.{folder}")
    return tuple(sorted(found.name for found in pkgutil.iter_modules(package.__path__) if found.name not in MACHINERY))


def check_members(folder: str, names: Iterable[object]) -> None:
    """Raises `NotFound` at the first name that no member has; imports none of them."""
    for name in names:
        if name not in members(folder):
            said = f"there is no {folder.rstrip('s')} `{name}`"
            raise NotFound(said, hint=choices(f"{name}", members(folder)))


def member(folder: str, name: str) -> Any:
    """The one thing that `aias/<folder>/<name>.py` exports. Raises `NotFound`."""
    check_members(folder, (name,))
    module = importlib.import_module(f"aias.{folder}.{name}")
    (exported,) = module.__all__
    return getattr(module, exported)
