"""Rows beyond the labelled ones, for a teacher to answer: unlabelled rows from a file, and synthetic rows.

A synthetic row is a real one in which a quarter of the columns come from another row. A student is limited by how often
it may ask (Fakoor et al. 2020): from a few thousand rows it learns what the teacher knows of these, and no more.
"""

from typing import Any, Final

import numpy as np
import polars as pl

from aias.core.errors import UserError
from aias.core.schema import Schema, SchemaMismatch
from aias.core.suggestions import did_you_mean

FROM_OTHERS: Final = 0.25
"""The share of the columns of a synthetic row; an eighth did no better and no worse."""

SWAPPED: Final = ("number", "category", "time")
"""Kinds of columns that may come from another row: a text belongs to its own."""


def below(rows: pl.DataFrame, more: pl.DataFrame, *, target: str) -> pl.DataFrame:
    """The rows, and below them others of the same columns; what these hold in `target` is ignored."""
    wanted = [name for name in rows.columns if name != target]
    if missing := [name for name in wanted if name not in more.columns]:
        raise SchemaMismatch(
            f"the unlabelled rows have no column `{missing[0]}`",
            hint=did_you_mean(missing[0], more.columns) or f"they need: {', '.join(wanted[:20])}",
        )
    try:
        return pl.concat([rows, more.select(wanted)], how="diagonal_relaxed")
    except pl.exceptions.PolarsError as fault:
        raise SchemaMismatch(
            f"the unlabelled rows do not go with the others: {fault}", hint="give both in the same format"
        ) from None


def synthetic(rows: pl.DataFrame, schema: Schema, *, count: int, target: str, seed: int) -> pl.DataFrame:
    """`count` synthetic rows without a `target`. Raises `UserError` where no two columns can be mixed."""
    swapped = [each.name for each in schema.inputs if each.kind in SWAPPED and each.name != target]
    if len(swapped) < 2:
        raise UserError(
            "rows can be made up of columns of numbers, categories and times, and here are none that could be mixed",
            hint="leave out `--synthetic`, or `synthetic=`; more texts can be given by `--unlabelled FILE`, or "
            "`unlabelled=`",
        )
    inputs = {each.name for each in schema.inputs} - {target}  # what else there is says whose row it was
    rng = np.random.default_rng(seed)
    own, other = rng.integers(0, rows.height, (2, count))
    columns: dict[str, Any] = {}
    for name in rows.columns:
        if name in inputs:
            places = np.where(rng.random(count) < FROM_OTHERS, other, own) if name in swapped else own
            columns[name] = rows[name][places]
    return pl.DataFrame(columns)


def beneath(rows: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """Both, with nothing where `more` has no such column."""
    return pl.concat([rows, more], how="diagonal")
