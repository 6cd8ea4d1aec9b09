import numpy as np
import pytest

from aias.compress.plain_trees import PlainTrees, in_single, told_apart
from aias.core.forest import LESS, LESS_OR_EQUAL, Forest
from aias.graph.builder import Builder
from aias.runtimes.onnxruntime import _session


def stumps(thresholds: np.ndarray, mode: int) -> Forest:
    """A tree of one node for each threshold, over one column; left is 1, 2, 4, ... of the sum."""
    count = len(thresholds)
    none, yes = np.zeros(count, np.int64), np.ones(count, bool)
    return Forest(
        none, thresholds, np.full(count, mode, np.uint8), ~yes, 2 * np.arange(count), 2 * np.arange(count) + 1, yes,
        yes, np.column_stack([2.0 ** np.arange(count), none]).ravel(), np.zeros(2 * count, np.int64),
        np.arange(count), none, np.zeros(0), np.zeros(1),
    )  # fmt: skip


def values() -> np.ndarray:
    """Such as float32 can tell apart, some of them neighbours there, and not all of them values of float32."""
    rng = np.random.default_rng(0)
    near = np.float32(1) + np.arange(12) * np.spacing(np.float32(1))
    inexact = np.float64(near) + rng.uniform(-0.3, 0.3, 12) * np.spacing(np.float32(1))
    return np.unique(np.concatenate([inexact, rng.normal(size=9), [0.1, 16_777_216.0, 16_777_218.0, -1e30, 0.0]]))


@pytest.mark.parametrize("mode", [LESS_OR_EQUAL, LESS])
def test_each_value_that_occurs_goes_where_it_went_in_double_precision(mode: int) -> None:
    found = values()
    middles, x = (found[:-1] + found[1:]) / 2, found[:, None]
    for thresholds in (middles, found, np.nextafter(found, np.inf), np.nextafter(found, -np.inf)):
        forest = stumps(thresholds[:20], mode)

        single = in_single(forest, x)

        assert single.single
        assert np.array_equal(single.sums(x), forest.sums(x))


def test_two_values_that_are_one_in_single_precision_go_the_same_way() -> None:
    x = np.array([[16_777_216.0], [16_777_217.0]])
    single = in_single(stumps(np.array([16_777_216.5]), LESS_OR_EQUAL), x)
    assert len(np.unique(single.sums(x))) == 1
    assert not told_apart(x)
    assert told_apart(np.array([[0.1, np.nan], [0.2, 1.0], [0.1, np.nan]]))


@pytest.mark.parametrize("mode", [LESS_OR_EQUAL, LESS])
@pytest.mark.parametrize(("link", "two"), [("identity", False), ("sigmoid", True), ("identity", True)])
def test_the_graph_answers_as_the_trees_do_to_the_oddest_values(mode: int, link: str, two: bool) -> None:
    x = np.concatenate([values(), [np.nan, np.inf, -np.inf, 1e308, -1e308, 5e-324, -5e-324, -0.0]])[:, None]
    forest = in_single(stumps(np.random.default_rng(1).choice(values(), 12), mode).scaled(1e-3), x)
    trees = PlainTrees(forest, link, two)
    graph = Builder(width=1, texts=0)
    classes = ["no", "yes"] if two else []
    output = "probabilities" if two else "prediction"

    session = _session(graph.finish(trees.export(graph, graph.columns), classes=classes))
    found = session.run([output], {"columns": x})[0].reshape(len(x), -1)
    alone = np.concatenate([session.run([output], {"columns": row[None]})[0] for row in x]).reshape(len(x), -1)

    assert np.abs(found - trees.scores(x)).max() < 1e-5
    assert np.array_equal(found, alone)
    assert np.array_equal(Forest.load(forest.state()).sums(x), forest.sums(x))
