"""Categories, and pairs of them, → the mean answer of the training rows that have the same: columns for trees.

    (Σ y of these rows + α · mean of y) / (their number + α)        Micci-Barreca 2001

What has not been seen gives the mean of y. The training rows themselves get means of other folds' rows only, or the
trees would take what is each row's own answer for knowledge.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Flags, Floats, Ints
from aias.core.graph import INT64, GraphWriter

__all__ = ["TargetMeans"]

SMOOTHING: Final = 10.0
"""α above: a mean counts as much as the overall one when it is of ten rows."""

WIDTH_MAX: Final = 20
CLASSES_MAX: Final = 5
KNOWN_MIN: Final = 3
"""Values of a category from which its means say more than its codes do."""

PAIR_SIZE_MAX: Final = 50_000
PAIRS_MAX: Final = 300
JUDGED_ROWS_MAX: Final = 20_000
"""On which the usefulness of a column is judged."""


@dataclass(frozen=True, slots=True)
class _Key:
    """A category, or a pair: `first * stride + second * paired` numbers its values."""

    first: int
    second: int
    stride: int
    paired: int
    size: int

    def codes(self, x: Floats) -> Ints:
        codes = x[:, self.first] * self.stride + x[:, self.second] * self.paired
        return codes.astype(np.int64)


class TargetMeans:
    """`table` (values of all keys, outputs): the keys' means, one key's after another's."""

    def __init__(self, keys: Sequence[_Key], table: Floats) -> None:
        self.keys, self.table = tuple(keys), table
        self.width = len(keys) * table.shape[1]
        self._offsets = np.cumsum([0, *(key.size for key in keys)])[:-1]

    @classmethod
    def fit(
        cls, x: Floats, y: Floats | Ints, *,
        categories: Sequence[int], category_sizes: Sequence[int], classes: int, folds: Ints,
        told_by: Sequence[Flags] | None = None,
    ) -> "tuple[TargetMeans, Floats] | None":  # fmt: skip
        """The block fitted on all these rows, and for these very rows its columns made out of fold.

        `classes`: 0 for regression; `folds`: of each row, from 0; `told_by`: for each fold the rows whose answers its
        own may see, (rows,), where these are not all of the others. None where no category, and no pair of them, says
        anything of the answers.
        """
        if classes > CLASSES_MAX:
            return None
        answers = _answers(y, classes)
        keys = _useful(x, answers, folds, dict(zip(categories, category_sizes, strict=True)), told_by)
        if not keys:
            return None
        tables = [_means(*_totals(key.codes(x), answers, key.size), answers.mean(axis=0)) for key in keys]
        columns = [_out_of_fold(key, x, answers, folds, told_by) for key in keys]
        return cls(keys, np.vstack(tables)), np.hstack(columns)

    def columns(self, x: Floats) -> Floats:
        """For new rows: (rows, width)."""
        codes = np.column_stack([key.codes(x) for key in self.keys]) + self._offsets
        return np.asarray(self.table[codes].reshape(len(x), self.width))

    def export(self, graph: GraphWriter, x: str) -> str:
        """`columns` in the graph."""
        index = self._part(graph, x, "first", "stride")
        if any(key.paired for key in self.keys):
            index = graph.op("Add", index, self._part(graph, x, "second", "paired"))
        index = graph.op("Cast", graph.op("Add", index, graph.constant(self._offsets.astype(np.float64))), to=INT64)
        means = graph.op("Gather", graph.constant(self.table), index)  # (rows, keys, outputs)
        return graph.op("Reshape", means, graph.constant(np.array([0, self.width])))

    def state(self) -> dict[str, npt.NDArray[Any]]:
        keys = [(key.first, key.second, key.stride, key.paired, key.size) for key in self.keys]
        return {"keys": np.array(keys), "table": self.table}

    @classmethod
    def load(cls, state: Mapping[str, npt.NDArray[Any]]) -> "TargetMeans":
        return cls([_Key(*each) for each in state["keys"].tolist()], state["table"])

    def _part(self, graph: GraphWriter, x: str, place: str, factor: str) -> str:
        places = graph.constant(np.array([getattr(key, place) for key in self.keys]))
        factors = np.array([float(getattr(key, factor)) for key in self.keys])
        return graph.op("Mul", graph.op("Gather", x, places, axis=1), graph.constant(factors))


def _answers(y: Floats | Ints, classes: int) -> Floats:
    """What is averaged: (rows, outputs)."""
    if not classes:
        return np.asarray(y, np.float64)[:, None]
    shares = np.eye(classes)[y]
    return shares[:, 1:] if classes == 2 else shares


def _useful(
    x: Floats, answers: Floats, folds: Ints, sizes: Mapping[int, int], told_by: Sequence[Flags] | None
) -> list[_Key]:
    """The keys whose means, out of fold, explain most: a pair, beyond what its two categories explain."""
    some = slice(None, None, -(-len(x) // JUDGED_ROWS_MAX))
    x, answers, folds = x[some], answers[some], folds[some]
    told_by = None if told_by is None else [each[some] for each in told_by]
    mean = answers.mean(axis=0)
    single = {place: _Key(place, place, 1, 0, size) for place, size in sizes.items()}
    found = {place: _out_of_fold(key, x, answers, folds, told_by) - mean for place, key in single.items()}
    gains = {place: _explained(column, answers - mean) for place, column in found.items()}
    judged = [(gains[place], key) for place, key in single.items() if sizes[place] >= KNOWN_MIN + 2]
    best_first = sorted(sizes, key=lambda place: -gains[place])
    pairs = [(a, b) for a, b in combinations(best_first, 2) if sizes[a] * sizes[b] <= PAIR_SIZE_MAX]
    for a, b in pairs[:PAIRS_MAX]:
        key = _Key(a, b, sizes[b], 1, sizes[a] * sizes[b])
        apart = max(gains[a], gains[b], _explained(found[a] + found[b], answers - mean), 0.0)
        judged.append((_explained(_out_of_fold(key, x, answers, folds, told_by) - mean, answers - mean) - apart, key))
    judged.sort(key=lambda each: -each[0])
    return [key for gain, key in judged[: WIDTH_MAX // answers.shape[1]] if gain > 0]


def _explained(column: Floats, answers: Floats) -> float:
    """The share of the variance, negative when the column is worse than nothing."""
    return float(1 - ((answers - column) ** 2).sum() / max(float((answers**2).sum()), np.finfo(float).tiny))


def _out_of_fold(key: _Key, x: Floats, answers: Floats, folds: Ints, told_by: Sequence[Flags] | None) -> Floats:
    """For each row the mean of its value over the rows of other folds, or those it is `told_by`: (rows, outputs)."""
    if told_by is not None:
        return _by_some(key.codes(x), answers, folds, told_by, size=key.size)
    codes, outputs, count = key.codes(x), answers.shape[1], int(folds.max()) + 1
    counts, sums = _totals(folds * key.size + codes, answers, count * key.size)
    counts, sums = counts.reshape(count, -1), sums.reshape(count, -1, outputs)
    others = (counts.sum(axis=0) - counts)[:, :, None]
    means = _means(others, sums.sum(axis=0) - sums, _fold_means(answers, folds)[:, None])
    return np.asarray(means[folds, codes])


def _by_some(codes: Ints, answers: Floats, folds: Ints, told_by: Sequence[Flags], *, size: int) -> Floats:
    found = np.empty_like(answers)
    for fold, rows in enumerate(told_by):
        inside, mean = folds == fold, answers[rows].sum(axis=0) / max(1, int(rows.sum()))
        found[inside] = _means(*_totals(codes[rows], answers[rows], size), mean)[codes[inside]]
    return found


def _fold_means(answers: Floats, folds: Ints) -> Floats:
    """The mean of the other folds' answers: (folds, outputs)."""
    counts, sums = _totals(folds, answers, int(folds.max()) + 1)
    return np.asarray((sums.sum(axis=0) - sums) / np.maximum(counts.sum() - counts, 1))


def _totals(codes: Ints, answers: Floats, size: int) -> tuple[Floats, Floats]:
    """How often each code is there, (size, 1), and the sums of its answers, (size, outputs)."""
    sums = [np.bincount(codes, column, minlength=size) for column in answers.T]
    return np.bincount(codes, minlength=size).astype(np.float64)[:, None], np.column_stack(sums)


def _means(counts: Floats, sums: Floats, mean: Floats) -> Floats:
    return np.asarray((sums + SMOOTHING * mean) / (counts + SMOOTHING))
