"""Rows with equal inputs: copies of one another, or alike by chance because their columns have few values."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import polars as pl

from aias.core.arrays import Ints
from aias.core.schema import Field
from aias.data.dataset import Dataset

CHANCE_MIN: Final = 2.0
"""Other rows that equal a row by chance: with more, rows to come will, too, and to have seen them is no flattery."""

TWINS_SHARE: Final = 0.05
"""Of the rows: fewer copies, in pairs, make an interval too narrow by a twentieth of its width at most."""


def keys_of(dataset: Dataset, fields: Sequence[Field] | None = None) -> pl.Series | None:
    """A key for each row, equal where its inputs, or these fields, are; None where there are none."""
    fields = dataset.schema.inputs if fields is None else fields
    inputs = [dataset.frame[field.name].alias(str(place)) for place, field in enumerate(fields)]
    return pl.DataFrame(inputs).hash_rows() if inputs else None  # two rows in 2^64 could be kept together for nothing


def copies(dataset: Dataset) -> Ints:
    """For each row the number of its group of copies, in order of appearance; rows alike by chance are no copies."""
    keys = keys_of(dataset)
    if keys is None or keys.n_unique() == dataset.rows or alike_by_chance(dataset):
        return np.arange(dataset.rows)
    return numbered(keys.to_numpy())


def twins(dataset: Dataset) -> Ints | None:
    """The same, where so many rows are copies that each counted by itself would make anything seem surer than it is."""
    if not dataset.rows:
        return None
    groups = copies(dataset)
    return groups if groups.max() + 1 < (1 - TWINS_SHARE) * dataset.rows else None


def copies_across(dataset: Dataset, clusters: Ints | None) -> Ints | None:
    """As `copies`, where some stand in several of the clusters (`data.split.clusters_of`), (rows,) both; None where
    none do."""
    if clusters is None:
        return None
    groups = copies(dataset)
    pairs = np.unique(groups * (int(clusters.max()) + 1) + clusters)
    return groups if len(pairs) > groups.max() + 1 else None


def strangers(dataset: Dataset, known: Sequence[Dataset]) -> Ints:
    """The rows whose inputs are in no row of the known datasets, which may have other columns besides; all where rows
    of any of them are alike by chance: few rows are not among themselves, and yet equal some of many."""
    if any(alike_by_chance(each, dataset.schema.inputs) for each in (dataset, *known) if each.rows):
        return np.arange(dataset.rows)
    keys = [keys_of(each, dataset.schema.inputs) for each in (dataset, *known)]
    numbers = [each.to_numpy() for each in keys if each is not None]
    return np.flatnonzero(~np.isin(numbers[0], np.concatenate(numbers[1:]))) if numbers else np.arange(dataset.rows)


def alike_by_chance(dataset: Dataset, fields: Sequence[Field] | None = None) -> bool:
    """Whether the usual row would equal others even if its columns, or these fields, had nothing to do with each other.

    A city and a number of rooms say the same of many houses: that a row equals a given one then has the probability
    Π_columns p(value), which is next to nothing with one measured amount. Texts have many values: one that stands
    often was copied, as when the rows of a rare label are multiplied, even if it is all that is known of a row.
    """
    fields = dataset.schema.inputs if fields is None else fields
    if any(field.kind == "text" for field in fields):
        return False
    expected = np.full(dataset.rows, float(dataset.rows - 1))  # (rows,) others that equal each
    for field in fields:
        if np.median(expected) <= CHANCE_MIN:
            return False
        column = pl.DataFrame([dataset.frame[field.name].alias("value")])
        expected *= column.select(pl.len().over("value")).to_series().to_numpy() / dataset.rows
    return bool(np.median(expected) > CHANCE_MIN)


def numbered(keys: npt.NDArray[np.generic]) -> Ints:
    """Number the different keys from 0 in order of appearance."""
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    rank[np.argsort(first)] = np.arange(len(first))
    return rank[inverse]
