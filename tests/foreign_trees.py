"""Rows that trees of other libraries are trained on, and their files imported."""

from pathlib import Path
from typing import Any

import numpy as np

import aias
from aias.client.model import Model

QUIET = {"verbose": -1, "num_threads": 1, "num_leaves": 6, "min_data_in_leaf": 3, "deterministic": True}


def rows(count: int = 80) -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(count, 3)).round(2)
    x[:, 2] = rng.integers(0, 5, count)
    x[rng.random(count) < 0.2, 0] = np.nan
    x[rng.random(count) < 0.2, 1] = 0.0
    return x, np.nan_to_num(x[:, 0]) + (x[:, 1] > 0) + (x[:, 2] == 3)


def like(x: Any, **more: Any) -> dict[str, Any]:
    return {name: column.tolist() for name, column in zip("abc", x.T, strict=True)} | more


def imported(path: Path, x: Any, home: Path, **more: Any) -> Model:
    return aias.import_model(path, like=more.pop("like", None) or like(x), home=home, **more)
