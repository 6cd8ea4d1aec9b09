"""The leaves of trees that were boosted, fitted once more: each tree in turn to what all the others leave over.

Boosting fits a tree to what those before it left, a share of it, and never comes back. Where answers are without noise,
as a teacher's are, few trees then say less than their splits could. Gauss-Seidel steps of ridge regression over all
leaves mend that (backfitting, Friedman and Stuetzle 1981), of Newton's method where sums are of chances.
"""

from dataclasses import replace
from typing import Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.forest import Forest
from aias.core.links import sigmoid, softmax

PASSES: Final = 3
"""Over all trees. Ten gain hardly more than three (docs/log.md)."""

PULL: Final = 10.0
PULL_OF_CHANCES: Final = 3.0
"""Rows, or the curvature of so many times four, that hold a leaf where it was."""

STEPS_MAX: Final = 8 << 20
ROWS_MIN: Final = 8_000
"""Rows times trees: half a second of one processor. Of more rows some are taken, but not fewer than these: leaves would
know them by heart."""

TREES_MAX: Final = 4_000
"""For more such rows would take hundreds of megabytes, and seconds."""


def corrected(forest: Forest, link: str, x: Floats, said: Floats, weight: Floats, *, seed: int) -> Forest:
    """Of a forest over columns x (rows, width): after the link its sums come nearer to what was `said`.

    `said`: (rows, outputs), or (rows, 1) where one sum is the chance of the second of two; `weight`: of rows, (rows,).
    """
    assert forest.trees <= TREES_MAX, "of so many no leaves are fitted again"
    most = max(STEPS_MAX // max(forest.trees, 1), ROWS_MIN)
    if len(x) > most:
        rows = np.sort(np.random.default_rng(seed).permutation(len(x))[:most])
        x, said, weight = x[rows], said[rows], weight[rows]
    if not len(x):
        return forest
    reached, values = forest.leaves(x), forest.leaf_value.copy()
    sums = np.empty_like(said)
    for output in range(forest.outputs):
        own = forest.leaf_output[reached[:, 0]] == output
        sums[:, output] = forest.base[output] + sum(values[leaf] for leaf in reached[own])
    for _ in range(PASSES):
        for tree, leaf in enumerate(reached):
            first = int(leaf.min())
            place, output = leaf - first, int(forest.leaf_output[first])
            if link == "identity":
                left, curved, pull = said[:, output] - sums[:, output], weight, PULL
            else:
                if link == "sigmoid" or tree % forest.outputs == 0:
                    chances = _chances(link, sums)
                left, pull = said[:, output] - chances[:, output], PULL_OF_CHANCES
                curved = weight * chances[:, output] * (1 - chances[:, output])
            step = np.bincount(place, weight * left) / (np.bincount(place, curved) + pull)
            values[first : first + len(step)] += step
            sums[:, output] += step[place]
    return replace(forest, leaf_value=values)


def _chances(link: str, sums: Floats) -> Floats:
    return sigmoid(sums) if link == "sigmoid" else softmax(sums)
