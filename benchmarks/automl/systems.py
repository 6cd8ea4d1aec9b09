"""The systems, each in its own environment, made when it is first wanted."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from environments import python_in


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
    return python_in(environments / system.environment, system.requirements)
