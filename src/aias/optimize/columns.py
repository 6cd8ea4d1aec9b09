"""Which columns trees ask for, by a small fit that has learned from no reserved row.

What the members themselves ask for hangs on all rows: their fits would tell what certifies a candidate how to be made.
"""

from typing import Any, Final

import numpy as np

from aias.core.arrays import Floats
from aias.core.catalog import member
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.learners.contract import Fit
from aias.training.held_out import HeldOut

VALUES_MAX: Final = 2_000_000
"""That are learned from, 16 MB, of rows by chance: a second of one thread."""

TREES: Final = 100
TREES_MAX: Final = 1_000
"""Of few classes or none, and of many."""

TIME_SHARE: Final = 0.05
SECONDS_MAX: Final = 2.0
"""Of what is left of the time; and so long nobody looks after the workers."""


def asked_of(held: HeldOut, *, deadline: Deadline, seed: int) -> Floats:
    """The share of all splits that use each encoded column, (width,); zeros where there is nothing to learn."""
    table, learner = held.prepared.table, member("learners", "boosted_trees")
    layout, known = table.encoder.layout, held.apart
    if not layout.width or len(known) < learner.rows_min:
        return np.zeros(layout.width)
    rows = np.sort(np.random.default_rng(seed).permutation(known)[: VALUES_MAX // layout.width])
    outputs = len(table.task.classes) if table.task.type == "multiclass" else 1
    rounds = max(1, min(TREES, TREES_MAX // outputs))
    within = Deadline.after(min(TIME_SHARE * deadline.left, SECONDS_MAX), deadline.clock)
    how = Fit(
        table.task, seed, within, 1, nobody, {"rounds": rounds}, layout.categories, layout.category_sizes
    )  # fmt: skip
    fitted: Any = learner.fit(table.whole.examples(rows, table.whole.encoded.columns[rows]), None, how)
    forest = fitted.forest()
    splits = (forest.left != forest.right) | (forest.left_is_leaf != forest.right_is_leaf)  # a lone leaf is none
    counts = np.bincount(forest.feature[splits], minlength=layout.width)
    return np.asarray(counts / max(counts.sum(), 1))
