"""Leaves drawn towards the nodes above them, the more the fewer rows those hold (Agarwal et al., ICML 2022).

    value of a node = value of its parent + (its mean - the parent's mean) / (1 + λ / the parent's rows)

One forest that is grown to its end answers for every λ, as forests of larger leaves would that had to be grown anew.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.learners.contract import Examples, halves, joined

SHRINKAGES: Final = (0.0, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
SHRINKAGE_USUAL: Final = 1.0

Worse = Callable[[Floats, Examples], float]
"""How far scores, (rows, outputs), are from what rows are; less is better."""


class Shrunk:
    """`trees`: scikit-learn's. `means`: of each node of one tree after another, (nodes, outputs)."""

    def __init__(self, trees: Sequence[Any], means: Floats) -> None:
        self.trees, self.means = trees, means
        self.counts = np.array([tree.node_count for tree in trees])
        self.starts = np.cumsum(self.counts) - self.counts
        self.rows = np.concatenate([tree.weighted_n_node_samples for tree in trees])
        self._levels = self._top_down()

    def values(self, shrinkage: float) -> Floats:
        """Of every node, (nodes, outputs)."""
        found = self.means.copy()
        if shrinkage:
            for above, below in self._levels:
                kept = self.rows[above] / (self.rows[above] + shrinkage)
                found[below] = found[above] + (self.means[below] - self.means[above]) * kept[:, None]
        return found

    def places(self, x: Any) -> Any:
        """The leaves that rows reach, by their places among all nodes: (trees, rows)."""
        return np.array([start + tree.apply(x) for start, tree in zip(self.starts, self.trees, strict=True)])

    def scores(self, places: Any, shrinkage: float) -> Floats:
        """What the trees say on average: (rows, outputs)."""
        values, total = self.values(shrinkage), np.zeros((places.shape[1], self.means.shape[1]))
        for tree in places:
            total += values[tree]
        return np.asarray(total / len(places))

    def _top_down(self) -> list[tuple[Any, Any]]:
        """Nodes and their children, level by level."""
        left, right = (
            np.concatenate([getattr(tree, side) for tree in self.trees]) for side in ("children_left", "children_right")
        )
        first = np.repeat(self.starts, self.counts)
        level, found = self.starts, []
        while len(level := level[left[level] >= 0]):
            below = np.concatenate([first[level] + left[level], first[level] + right[level]])
            found.append((np.concatenate([level, level]), below))
            level = below
        return found


def chosen(trees: Shrunk, x: Any, valid: Examples, worse: Worse) -> tuple[float, Floats]:
    """The shrinkage by which the rows are told best, and scores of each half of them by the one of the other half."""
    places, parts = trees.places(x), halves(valid)
    scores = {each: trees.scores(places, each) for each in SHRINKAGES}
    sides = [slice(None), *(slice(i, None, len(parts)) for i in range(len(parts)))]
    best, *others = (
        min(SHRINKAGES, key=lambda each: worse(scores[each][rows], part))
        for rows, part in zip(sides, [valid, *parts], strict=True)
    )
    return best, joined([scores[one][rows] for one, rows in zip(others[::-1], sides[1:], strict=True)])
