"""Numbers, a category, and which of two: for processes that train until they are killed, or run out of memory."""

from collections.abc import Iterable

import numpy as np
import polars as pl


def mixed_table(rows: int, numbers: Iterable[str]) -> pl.DataFrame:
    """`y` hangs on the first three of the numbers, and on `plan`."""
    chance = np.random.default_rng(0)
    columns = {name: chance.normal(size=rows) for name in numbers}
    plan = chance.choice(["basic", "pro", "team"], rows)
    said = columns["a"] + columns["b"] * columns["c"] + (plan == "pro") + chance.normal(size=rows)
    return pl.DataFrame({**columns, "plan": plan, "y": np.where(said > 0, "yes", "no")})
