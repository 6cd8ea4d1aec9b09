"""Tables made here, for what no real set at hand has: half a million rows, and a category of 800 values; many columns;
many classes of many rows."""

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

ROWS: Final = (500_000, 20_000)
"""To learn from, and to measure on."""

SIZES: Final = (5, 40, 800)


def many_rows(_folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Amounts: ten numbers, some missing, and three categories, whose values have effects of their own."""
    return _made(0), _made(1)


def many_rows_labels(_folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The same as yes or no, by chance."""
    return _labelled(_made(0), seed=2), _labelled(_made(1), seed=3)


def many_columns(_folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """1,600 numbers, 40 of which say which of two classes; few rows."""
    return _parted(rows=5_000, width=1_600, telling=40, classes=2)


def many_classes(_folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """A hundred of them, by 12 of 27 numbers."""
    return _parted(rows=40_000, width=27, telling=12, classes=100)


def ten_classes(_folder: Path) -> tuple[pl.DataFrame, pl.DataFrame]:
    """By 12 of 120 numbers."""
    return _parted(rows=40_000, width=120, telling=12, classes=10)


def _parted(*, rows: int, width: int, telling: int, classes: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The likeliest class by a network of 64 neurons, and some noise; three quarters to learn from."""
    rng, neurons = np.random.default_rng(0), 64
    x = rng.normal(size=(rows, width))
    first = 6 * rng.normal(size=(telling, neurons)) / np.sqrt(telling)
    last = 3 * rng.normal(size=(neurons, classes)) / np.sqrt(neurons)
    y = (np.tanh(x[:, :telling] @ first) @ last + 0.5 * rng.gumbel(size=(rows, classes))).argmax(axis=1)
    numbers = {f"x{at}": column.round(4) for at, column in enumerate(x.T)}
    made = pl.DataFrame({**numbers, "y": [f"k{each}" for each in y]})
    return made[: 3 * rows // 4], made[3 * rows // 4 :]


def _made(part: int) -> pl.DataFrame:
    rng, world, rows = np.random.default_rng(part), np.random.default_rng(7), ROWS[part]
    x, codes = rng.normal(size=(rows, 10)), [rng.integers(0, size, rows) for size in SIZES]
    effects = [world.normal(size=size) for size in SIZES]
    y = 0.6 * np.sin(2 * x[:, 0]) * x[:, 1] + 0.5 * (x[:, 2] > 0) * (x[:, 3] > 0.5)
    y += -0.4 * np.abs(x[:, 4]) + 0.3 * x[:, 5] + sum(0.5 * one[at] for one, at in zip(effects, codes, strict=True))
    y += 0.8 * effects[1][codes[1]] * (x[:, 6] > 0) + 0.7 * rng.normal(size=rows)
    x[rng.random(x.shape) < 0.03] = np.nan
    numbers = {f"x{at}": column for at, column in enumerate(x.T)}
    words = {f"c{at}": [f"v{value}" for value in column] for at, column in enumerate(codes)}
    return pl.DataFrame({**numbers, **words, "y": y})


def _labelled(frame: pl.DataFrame, *, seed: int) -> pl.DataFrame:
    chance = 1 / (1 + np.exp(-frame["y"].to_numpy()))
    drawn = np.random.default_rng(seed).random(frame.height) < chance
    return frame.with_columns(y=pl.Series(np.where(drawn, "yes", "no")))
