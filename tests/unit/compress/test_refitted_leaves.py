"""`compress/refitted_leaves.py`: leaves fitted once more."""

import numpy as np
import pytest

from aias.compress.distillation import Size, able
from aias.compress.plain_trees import PlainTrees, plain
from aias.compress.refitted_leaves import corrected
from aias.core.catalog import member
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.learners.contract import Examples, Fit

ROWS, TREES = 3_000, 40


def teacher(x: np.ndarray, kind: str) -> np.ndarray:
    """What is said of rows without noise: (rows, outputs)."""
    sums = 2 * np.sin(2 * x[:, :3]) + x[:, 1:2] * x[:, 2:3]
    if kind == "regression":
        return sums[:, :1]
    if kind == "binary":
        return 1 / (1 + np.exp(-sums[:, :1]))
    powers = np.exp(sums)
    return powers / powers.sum(axis=1, keepdims=True)


def boosted(x: np.ndarray, said: np.ndarray, kind: str) -> PlainTrees:
    classes = {"regression": (), "binary": ("a", "b"), "multiclass": ("a", "b", "c")}[kind]
    settings = {"rounds": TREES, "num_leaves": 8, "learning_rate": 0.1, "min_data_in_leaf": 5}
    y, weight, rows = said[:, 0], None, x
    if kind == "binary":
        settings["objective"] = "cross_entropy"
    if kind == "multiclass":
        rows, y, weight = np.repeat(x, 3, axis=0), np.tile(np.arange(3), len(x)), said.ravel()
    how = Fit(Task("y", kind, "log_loss", classes), 1, Deadline.after(600), 1, nobody, settings)
    return plain(member("learners", "boosted_trees").fit(Examples(rows, y, weight), None, how), two=kind == "binary")


def distance(trees: PlainTrees, x: np.ndarray, said: np.ndarray) -> float:
    return float(np.sqrt(np.mean((trees.scores(x)[:, -said.shape[1] :] - said) ** 2)))


@pytest.mark.parametrize("kind", ["regression", "binary", "multiclass"])
def test_trees_say_more_nearly_what_they_were_taught_on_rows_they_never_saw(kind: str) -> None:
    chance = np.random.default_rng(0)
    x, others = chance.normal(size=(ROWS, 5)), chance.normal(size=(ROWS, 5))
    said = teacher(x, kind)
    trees = boosted(x, said, kind)
    better = corrected(trees.trees, trees.link, x, said, np.ones(ROWS), seed=0)
    after = distance(PlainTrees(better, trees.link, trees.two), others, teacher(others, kind))
    assert after < 0.9 * distance(trees, others, teacher(others, kind))
    assert (better.threshold == trees.trees.threshold).all()


def test_rows_that_weigh_nothing_teach_nothing_and_without_rows_all_stays() -> None:
    x = np.random.default_rng(0).normal(size=(ROWS, 5))
    said = teacher(x, "regression")
    trees = boosted(x, said, "regression")
    for rows, weight in ((ROWS, np.zeros(ROWS)), (0, np.zeros(0))):
        same = corrected(trees.trees, trees.link, x[:rows], said[:rows] + 9, weight, seed=0)
        np.testing.assert_array_equal(same.leaf_value, trees.trees.leaf_value)


def test_of_very_many_trees_no_leaves_are_fitted_again() -> None:
    wanted = [Size(400, 16, 0.2), Size(400, 16, 0.2, again=True), Size(50, 16, 0.2, of=400, again=True)]
    kinds = {"multiclass": tuple("abcdefghijklmnop"), "binary": ("a", "b"), "regression": ()}
    few = {
        kind: [each.again for each in able(Task("y", kind, "log_loss", names), wanted)] for kind, names in kinds.items()
    }
    assert few == {"multiclass": [False, True], "binary": [False, True, True], "regression": [False, True, True]}
