"""The systems, each in its own environment, made when it is first wanted."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class System:
    """`environment`: the folder's name, or None for the Python that runs this. `option` is told to the module."""

    module: str
    environment: str | None = None
    requirements: tuple[str, ...] = ()
    option: str = ""


AUTOGLUON: Final = ("autogluon.tabular[catboost,lightgbm,xgboost,fastai]==1.6.3", "torch>=2.6,<2.14")

SYSTEMS: Final = {
    "aias": System("aias"),
    "autogluon_best": System("autogluon", "peers-autogluon", AUTOGLUON, "best_quality"),
    "autogluon_medium": System("autogluon", "peers-autogluon", AUTOGLUON, "medium_quality"),
    "flaml": System("flaml", "peers-flaml", ("flaml[automl]==2.7.0", "pandas<3", "pyarrow")),
    "lightgbm": System("lightgbm", "peers-lightgbm", ("lightgbm==4.7.0", "pandas<3", "pyarrow")),
}


def python_of(system: System, environments: Path) -> Path:
    """The interpreter of the system's environment, which is made now if it is not there or not whole."""
    if system.environment is None:
        return Path(sys.executable)
    folder = environments / system.environment
    python = folder / "bin" / "python"
    if not _is_whole(python, system.requirements):
        print(f"making {folder}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *system.requirements], check=True)
    return python


def _is_whole(python: Path, requirements: tuple[str, ...]) -> bool:
    """Whether the pinned packages are there, in their versions."""
    pinned = [each.partition("==") for each in requirements if "==" in each]
    wanted = {name.partition("[")[0]: version for name, _, version in pinned}
    code = f"from importlib.metadata import version as v; assert all(v(n) == w for n, w in {wanted!r}.items())"
    return python.exists() and subprocess.run([python, "-c", code], check=False, capture_output=True).returncode == 0
