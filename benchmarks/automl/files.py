"""A set as every system gets it: the same two Parquet files, of which the second holds no answers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import polars as pl

from automl.sets import Set

TEST_SHARE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Files:
    """`answers`: of the test rows, as class indices or values; systems are never shown them."""

    train: Path
    test: Path
    classes: tuple[str, ...]
    answers: npt.NDArray[np.float64]


def write_files(one: Set, data: Path, folder: Path, *, seed: int) -> Files:
    """The same bytes each time; written again, so that files of an older reading are never left."""
    train_path, test_path = folder / f"{one.name}-{seed}-train.parquet", folder / f"{one.name}-{seed}-test.parquet"
    train, test = _parts(one, data, seed=seed)
    folder.mkdir(parents=True, exist_ok=True)
    train.write_parquet(train_path)
    test.drop(one.target).write_parquet(test_path)
    if one.kind == "regression":
        return Files(train_path, test_path, (), test[one.target].cast(pl.Float64).to_numpy())
    classes = tuple(sorted(train[one.target].cast(pl.String).unique()))
    index = {label: i for i, label in enumerate(classes)}
    answers = np.array([index[label] for label in test[one.target].cast(pl.String)], np.float64)
    return Files(train_path, test_path, classes, answers)


def _parts(one: Set, data: Path, *, seed: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    found = one.read(data / "tabular")
    if isinstance(found, tuple):
        return found
    is_test = _later(found.height) if one.ordered else _drawn(found[one.target], one.kind, seed=seed)
    return found.filter(~is_test), found.filter(is_test)


def _later(rows: int) -> npt.NDArray[np.bool_]:
    return np.arange(rows) >= rows - round(rows * TEST_SHARE)


def _drawn(target: Any, kind: str, *, seed: int) -> npt.NDArray[np.bool_]:
    """A fifth of each class, or of each tenth of the values."""
    rank = target.rank("ordinal").to_numpy() if kind == "regression" else None
    stratum = rank * 10 // (len(target) + 1) if rank is not None else target.rank("dense").to_numpy()
    rng = np.random.default_rng(seed)
    is_test = np.zeros(len(target), bool)
    for each in np.unique(stratum):
        rows = rng.permutation(np.flatnonzero(stratum == each))
        is_test[rows[: round(len(rows) * TEST_SHARE)]] = True
    return is_test
