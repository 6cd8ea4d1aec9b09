"""Which libraries a version was trained with, for its lineage."""

import importlib.metadata
import platform
from functools import cache
from typing import Final

from aias.artifact.manifest import Candidate
from aias.core import catalog

LIBRARIES: Final = ("aias", "lightgbm", "numpy", "onnx", "onnxruntime", "polars", "scipy")


def libraries_of(leaderboard: tuple[Candidate, ...]) -> dict[str, str]:
    """The versions of what is used always, and of what the members need."""
    learners = {catalog.member("learners", line.learner) for line in leaderboard if line.chosen}
    needed = {name for each in learners for name in each.needs}
    found = {name: _version(name) for name in sorted({*LIBRARIES, *needed})}
    return found | {"python": platform.python_version()}


@cache
def _version(module: str) -> str:
    """A distribution may have another name than its module (`xgboost-cpu`)."""
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        return importlib.metadata.version(importlib.metadata.packages_distributions()[module][0])
