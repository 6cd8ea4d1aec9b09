"""What the trees of a forest add up to for a row, without a walk down any of them.

A tree is a word of 32 bits or several, a bit for each leaf. A column's value leaves some of the leaves within reach,
the same ones wherever it lies between two of the borders that nodes compare it with. So each column's words stand in a
table by where its value lies, and of what all columns leave a tree keeps one bit: its leaf. A walk waits at each node
for the one above, and a processor often guesses its way wrongly; here nothing waits and nothing is guessed. After
QuickScorer (Lucchese et al. 2015, SIGIR), with tables in place of its loops over nodes.

Leaves are added one by one in the order of the trees, as ONNX Runtime and `Forest.sums` do: equal to the last bit.
"""

from bisect import bisect_left
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from aias.core.arrays import Flags, Floats, Ints
from aias.core.forest import LESS, MEMBER, Forest

BITS: Final = 32
"""Of a word; as many leaves as boosters usually grow. Its slot behind them holds 0: what a tree's other words add."""

ALL: Final = np.uint32(0xFFFFFFFF)
ONE: Final = np.uint32(1)

TREES_MIN: Final = 500
TREES_A_COLUMN: Final = 20
"""More of them for each column. A tree costs some 40 ns to walk and 12 by a word; what is fixed, and the lookup of each
column, costs as much as that saves on these."""

WORDS_A_TREE_MAX: Final = 2
"""On average: from four on a walk is faster."""

NODE_BYTES_MAX: Final = 256
"""Of tables, for each node; as nodes of ONNX Runtime they take 40 and their attributes as much again."""

MEMBERS_MAX: Final = 500_000
"""Of all sets together: to make tables of one takes some 140 bytes meanwhile."""

BLOCKS: Final = (1, 2, 4, 8, 16)
"""Words of fewer trees are compared with fewer borders; each block is looked up by itself."""

ROWS_MIN: Final = 4
"""Fewer are answered one by one."""

WORDS_AT_ONCE: Final = 120_000
"""Of rows that are answered together: half a megabyte, which stays in the cache."""

Words = npt.NDArray[np.uint32]
Column = tuple[int, list[float], int, int]


@dataclass(frozen=True, slots=True, eq=False)
class BitVectors:
    """`columns`: each with its borders, and the rows of `places` where its values and where missing ones begin;
    `places`: for a column's value and a block, the row of `table`. Words of no tree fill up the last block."""

    columns: list[Column]
    borders: list[Floats]  # once more, for many rows
    places: Ints  # (values, blocks)
    table: Words  # (cells, words of a block)
    first_slot: Ints  # (blocks, words of a block)
    value: Floats  # (words * 33,)
    output: Ints  # (words,)
    outputs: int

    @classmethod
    def of(cls, forest: Forest) -> Self | None:
        """None where a walk is as fast, or takes far less memory. Raises `ValueError` of what are no trees."""
        columns = len(np.unique(forest.feature))
        if forest.trees < TREES_MIN + TREES_A_COLUMN * columns or forest.single or forest.base.any():
            return None
        if len(forest.set_values) > MEMBERS_MAX:
            return None
        tree, begin, middle, end = _spans(forest)
        words = -(-end[forest.roots] // BITS)
        first = np.cumsum(words) - words
        count = int(words.sum())
        if count > WORDS_A_TREE_MAX * forest.trees:
            return None
        pairs = _Pairs.of(forest, first[tree], begin, middle, end)
        size = pairs.block(count, NODE_BYTES_MAX * forest.nodes)
        if not size:
            return None
        sides = ((forest.left, forest.left_is_leaf, begin), (forest.right, forest.right_is_leaf, middle))
        leaf = np.concatenate([child[is_leaf] for child, is_leaf, _ in sides])
        place = np.concatenate([BITS * first[tree[is_leaf]] + at[is_leaf] for _, is_leaf, at in sides])
        word, bit = place // BITS, place % BITS
        filled = -(-count // size) * size
        there, output, value = np.zeros(filled, np.uint32), np.zeros(filled, np.int64), np.zeros((filled, BITS + 1))
        np.bitwise_or.at(there, word, ONE << bit.astype(np.uint32))
        value[word, bit], output[word] = forest.leaf_value[leaf], forest.leaf_output[leaf]
        if (output[word] != forest.leaf_output[leaf]).any():
            return None
        slots = np.arange(0, value.size, BITS + 1).reshape(-1, size)
        return cls(*pairs.tables(there.reshape(-1, size)), slots, value.ravel(), output, forest.outputs)

    def sums(self, x: Floats) -> Floats:
        """Of rows (rows, columns): (rows, outputs)."""
        if len(x) < ROWS_MIN:
            return np.array([self._sums(row) for row in x.tolist()], np.float64).reshape(len(x), self.outputs)
        step = max(ROWS_MIN, WORDS_AT_ONCE // len(self.output))
        return np.concatenate([self._together(x[at : at + step]) for at in range(0, len(x), step)])

    def _together(self, x: Floats) -> Floats:
        """The same in a few steps for all rows, during which others may run: of row by row the interpreter is never
        free for long."""
        rows, (blocks, size) = len(x), self.first_slot.shape
        left = np.empty((rows * blocks, size), np.uint32)
        cells, into = np.empty_like(left), left
        for (column, _, start, _), borders in zip(self.columns, self.borders, strict=True):
            value = x[:, column]
            # Missing ones are sorted behind the last border, one before the place that is theirs.
            at = np.searchsorted(borders, value) + (value != value) + start
            self.table.take(self.places.take(at, axis=0).ravel(), axis=0, out=into, mode="clip")
            if into is cells:
                np.bitwise_and(left, cells, out=left)
            into = cells
        left -= ONE
        leaves = self.value.take(np.bitwise_count(left).reshape(rows, blocks, size) + self.first_slot)
        # By itself this would hold the interpreter; of one row it does so for microseconds.
        return np.array([np.bincount(self.output, row, self.outputs) for row in leaves.reshape(rows, -1)])

    def _sums(self, row: list[float]) -> Any:
        at = [
            start + bisect_left(borders, row[column]) if row[column] == row[column] else missing
            for column, borders, start, missing in self.columns
        ]
        left = np.bitwise_and.reduce(self.table[self.places[at]], axis=0)  # (blocks, words of a block)
        leaves = self.value.take(np.bitwise_count(left - ONE) + self.first_slot)
        return np.bincount(self.output, leaves.ravel(), self.outputs)


def _spans(forest: Forest) -> tuple[Ints, Ints, Ints, Ints]:
    """Of each node the tree, and where in the order of the tree's leaves its own begin, those on its right, and end."""
    tree, begin, middle, end = (np.zeros(forest.nodes, np.int64) for _ in range(4))
    levels, at = [], forest.roots
    tree[at], seen = np.arange(forest.trees), 0
    children = ((forest.left, ~forest.left_is_leaf), (forest.right, ~forest.right_is_leaf))
    while len(at) and seen <= forest.nodes:
        levels.append(at)
        seen += len(at)
        for child, inner in children:
            tree[child[at[inner[at]]]] = tree[at[inner[at]]]
        at = np.concatenate([child[at[inner[at]]] for child, inner in children])
    if seen != forest.nodes or len(np.unique(np.concatenate(levels))) != seen:
        raise ValueError("a node stands in no tree, or twice")
    for at in reversed(levels):  # how many leaves, first
        counts = [np.where(inner[at], end[np.where(inner, child, 0)[at]], 1) for child, inner in children]
        middle[at], end[at] = counts[0], counts[0] + counts[1]
    for at in levels:
        middle[at] += begin[at]
        end[at] += begin[at]
        for (child, inner), start in zip(children, (begin, middle), strict=True):
            begin[child[at[inner[at]]]] = start[at[inner[at]]]
    return tree, begin, middle, end


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """Nodes and the words that they decide on, (pairs,) each, by column, then by word. Of a word a node leaves `left`
    to a row that goes left, else `right`. It compares with `borders[starts[i]:starts[i + 1]]`: its threshold or set."""

    column: Ints
    word: Ints
    left: Words
    right: Words
    missing_left: Flags
    is_set: Flags
    starts: Ints  # (pairs + 1,)
    borders: Floats

    @classmethod
    def of(cls, forest: Forest, first: Ints, begin: Ints, middle: Ints, end: Ints) -> Self:
        is_set, sizes = forest.mode == MEMBER, np.diff(forest.set_ends, prepend=0)
        with np.errstate(over="ignore"):  # below the least of all numbers is none, as the next line sees
            threshold = np.where(forest.mode == LESS, np.nextafter(forest.threshold, -np.inf), forest.threshold)
        if not np.isfinite(threshold[~is_set]).all() or not np.isfinite(forest.set_values).all():
            raise ValueError("a node compares with what is no number")
        counts = np.where(is_set, sizes, 1)
        borders = np.empty(counts.sum())
        in_set = np.repeat(is_set, counts)
        borders[in_set], borders[~in_set] = forest.set_values, threshold[~is_set]
        spread = (end - 1) // BITS - begin // BITS + 1
        node = np.repeat(np.arange(forest.nodes), spread)
        part = _within(spread) + begin[node] // BITS
        order = np.lexsort((first[node] + part, forest.feature[node]))
        node, part = node[order], part[order]
        low, split, high = (each[node] - BITS * part for each in (begin, middle, end))
        own = np.repeat((np.cumsum(counts) - counts)[node], counts[node]) + _within(counts[node])
        return cls(
            forest.feature[node], first[node] + part, ~_bits(split, high), ~_bits(low, split),
            forest.missing_left[node], is_set[node], np.append(0, np.cumsum(counts[node])), borders[own],
        )  # fmt: skip

    def block(self, words: int, bytes_max: int) -> int:
        """How many of the words a block has so that tables take no more than that; 0 where they would take more."""
        owner, borders = self._compared(0, len(self.word))
        values, rank = np.unique(borders, return_inverse=True)
        codes, code = np.unique(self.column[owner] * len(values) + rank, return_inverse=True)
        columns = len(np.unique(self.column))
        for blocks in BLOCKS:
            size = -(-words // blocks)
            cells = len(np.unique(self.word[owner] // size * len(codes) + code)) + 2 * columns * blocks
            if cells * size * ALL.itemsize <= bytes_max:
                return size
        return 0

    def tables(self, there: Words) -> tuple[list[Column], list[Floats], Ints, Words]:
        """`there`: the bits that stand for a leaf, (blocks, words of a block)."""
        columns, places, table, cells, values = list[Column](), list[Ints](), list[Words](), 0, 0
        blocks, size = there.shape
        for column in np.unique(self.column).tolist():
            begin, end = np.searchsorted(self.column, (column, column + 1))
            bounds = begin + np.searchsorted(self.word[begin:end], np.arange(blocks + 1) * size)
            borders = np.unique(self._compared(begin, end)[1])
            found = np.empty((len(borders) + 2, blocks), np.int64)
            for block, (low, high) in enumerate(pairwise(bounds.tolist())):
                own = np.unique(self._compared(low, high)[1])
                made = self._cells(low, high, own, block * size, size)
                table.append(made if columns else made & there[block])
                found[:-1, block] = cells + np.searchsorted(own, np.append(borders, np.inf))
                found[-1, block] = (cells := cells + len(made)) - 1
            columns.append((column, borders.tolist(), values, values + len(borders) + 1))
            values += len(found)
            places.append(found)
        return columns, [np.array(each[1]) for each in columns], np.concatenate(places), np.concatenate(table)

    def _compared(self, begin: int, end: int) -> tuple[Ints, Floats]:
        """Of some pairs what a value is above or not, and the pair: of a set both sides of each member."""
        owner = np.repeat(np.arange(begin, end), np.diff(self.starts[begin : end + 1]))
        borders, in_set = self.borders[self.starts[begin] : self.starts[end]], self.is_set[owner]
        below = np.nextafter(borders[in_set], -np.inf)
        return np.concatenate([owner, owner[in_set]]), np.concatenate([borders, below])

    def _cells(self, begin: int, end: int, borders: Floats, first: int, size: int) -> Words:
        """What some pairs leave of words: of a value up to each of the borders, above them, missing: (cells, words)."""
        word, left, right = self.word[begin:end] - first, self.left[begin:end], self.right[begin:end]
        is_set, starts = self.is_set[begin:end], self.starts[begin:end]
        plain = ~is_set
        rank = np.searchsorted(borders, self.borders[starts[plain]])
        found, passed = (np.full((len(borders) + extra, size), ALL) for extra in (2, 1))
        np.bitwise_and.at(found.reshape(-1), rank * size + word[plain], left[plain])
        np.bitwise_and.at(passed.reshape(-1), (rank + 1) * size + word[plain], right[plain])
        upwards = found[-2::-1]
        np.bitwise_and.accumulate(upwards, axis=0, out=upwards)
        found[:-1] &= np.bitwise_and.accumulate(passed, axis=0)
        np.bitwise_and.at(found[-1], word, np.where(self.missing_left[begin:end], left, right))
        if is_set.any():
            sizes = np.diff(self.starts[begin : end + 1])[is_set]
            members = np.searchsorted(borders, self.borders[np.repeat(starts[is_set], sizes) + _within(sizes)])
            inside = np.zeros((len(borders) + 1, len(sizes)), np.bool_)
            inside[members, np.repeat(np.arange(len(sizes)), sizes)] = True
            firsts = np.flatnonzero(np.diff(word[is_set], prepend=-1))
            kept = np.bitwise_and.reduceat(np.where(inside, left[is_set], right[is_set]), firsts, axis=1)
            found[:-1, word[is_set][firsts]] &= kept
        return found


def _within(counts: Ints) -> Ints:
    """0, 1, 2, ... for each, one after another."""
    return np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)


def _bits(begin: Ints, end: Ints) -> Words:
    """From one place to another, of those that a word has."""
    one = np.uint64(1)
    low, high = (one << np.clip(each, 0, BITS).astype(np.uint64) for each in (begin, end))
    return (high - low).astype(np.uint32)
