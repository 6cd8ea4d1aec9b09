from dataclasses import replace

import numpy as np
import pytest

from aias.compress.plain_trees import in_single
from aias.core.forest import LESS, LESS_OR_EQUAL, MEMBER, Forest, side_by_side
from aias.encoders.rows import Layout
from aias.graph.compile import compile_graph
from aias.runtimes.onnxruntime import _session

ODD = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1e308, -1e308, 5e-324, 1.0, 2.0, 7.0, 33.0, 40.0, 2.5, -1.0)


def random_forest(
    seed: int, *, trees: int = 9, leaves: int = 12, width: int = 4, outputs: int = 2, modes: tuple[int, ...] = (0,)
) -> Forest:
    """Trees of any shape; sets are asked of the first two columns only, which hold whole numbers."""
    rng = np.random.default_rng(seed)
    nodes = leaves - 1
    children = np.full((trees * nodes, 2), -1)
    for tree in range(trees):
        free = [(tree * nodes, 0), (tree * nodes, 1)]
        for node in range(tree * nodes + 1, (tree + 1) * nodes):
            parent = free.pop(rng.integers(len(free)))
            children[parent] = node
            free += [(node, 0), (node, 1)]
    is_leaf = children < 0
    children[is_leaf] = rng.permutation(trees * leaves)
    mode = rng.choice(modes, trees * nodes).astype(np.uint8)
    threshold = rng.choice([*rng.normal(size=20), *(value for value in ODD if np.isfinite(value))], trees * nodes)
    sizes = np.where(mode == MEMBER, rng.integers(1, 9, trees * nodes), 0)
    sets = [rng.choice(45, size, replace=False).astype(float) for size in sizes if size]
    feature = np.where(mode == MEMBER, rng.integers(0, 2, trees * nodes), rng.integers(0, width, trees * nodes))
    return Forest(
        feature, threshold, mode, rng.random(trees * nodes) < 0.5,
        children[:, 0], children[:, 1], is_leaf[:, 0], is_leaf[:, 1],
        rng.normal(size=trees * leaves), rng.integers(0, outputs, trees * leaves), np.arange(trees) * nodes,
        np.cumsum(sizes), np.concatenate([np.zeros(0), *sets]), rng.normal(size=outputs),
    )  # fmt: skip


def odd_rows(width: int = 4, *, seed: int = 0, rows: int = 400) -> np.ndarray:
    rng = np.random.default_rng(seed)
    kinds = [rng.normal(size=(rows, width)), rng.integers(0, 45, (rows, width)).astype(float)]
    kinds.append(rng.choice(ODD, (rows, width)))
    x = np.vstack([*kinds, np.choose(rng.integers(0, 3, (rows, width)), kinds)])
    x[:, :2] = np.trunc(x[:, :2])
    return x


class Sums:
    """One output of a forest, as a pipeline of its own."""

    def __init__(self, forest: Forest, output: int) -> None:
        self.forest, self.output = forest, output

    def export(self, graph) -> str:
        return graph.op(
            "Gather", self.forest.write(graph, graph.columns), graph.constant(np.array([self.output])), axis=1
        )


def run(forest: Forest, x: np.ndarray) -> np.ndarray:
    """The sums by ONNX Runtime."""
    layout = Layout(x.shape[1], (), (), (), 0, 0)
    graphs = [compile_graph(Sums(forest, output), layout, classes=()) for output in range(forest.outputs)]
    return np.column_stack([_session(graph).run(["prediction"], {"columns": x})[0] for graph in graphs])


@pytest.mark.parametrize("modes", [(LESS_OR_EQUAL,), (LESS,), (MEMBER,), (LESS_OR_EQUAL, MEMBER), (0, LESS, MEMBER)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_sums_are_those_of_the_graph_to_the_last_bit(modes: tuple[int, ...], outputs: int) -> None:
    for seed in range(3):
        forest = random_forest(seed, modes=modes, outputs=outputs, trees=15)
        np.testing.assert_array_equal(run(forest, odd_rows()), forest.sums(odd_rows()))


@pytest.mark.parametrize("single", [False, True])
def test_the_leaves_that_rows_reach_are_those_whose_values_add_up(*, single: bool) -> None:
    forest, x = random_forest(3, modes=(0, LESS, MEMBER), outputs=1, trees=15), odd_rows()
    if single:
        forest = in_single(forest, x)
    reached = forest.leaves(x)
    assert reached.shape == (15, len(x))
    np.testing.assert_allclose(forest.leaf_value[reached].sum(axis=0) + forest.base, forest.sums(x)[:, 0], rtol=1e-12)


def test_a_row_is_answered_alone_as_in_a_batch() -> None:
    forest = random_forest(1, modes=(0, MEMBER), trees=200)
    x = odd_rows(rows=20)
    together = forest.sums(x)
    np.testing.assert_array_equal(np.vstack([forest.sums(row[None]) for row in x]), together)
    np.testing.assert_array_equal(np.vstack([run(forest, row[None]) for row in x[:10]]), together[:10])


def test_forests_side_by_side_give_their_sums_side_by_side() -> None:
    forests = [random_forest(seed, outputs=1 + seed, modes=(0, MEMBER) if seed else (0,)) for seed in range(3)]
    expected = np.hstack([each.sums(odd_rows()) for each in forests])
    joined = side_by_side(forests)
    np.testing.assert_array_equal(joined.sums(odd_rows()), expected)
    np.testing.assert_array_equal(run(joined, odd_rows()), expected)


def test_a_forest_beside_nothing_is_itself() -> None:
    forest = random_forest(0)
    np.testing.assert_array_equal(side_by_side([forest]).sums(odd_rows()), forest.sums(odd_rows()))


def test_some_of_the_trees_and_the_others_add_up_to_all() -> None:
    for modes in ((LESS_OR_EQUAL,), (0, LESS, MEMBER)):
        forest = random_forest(2, modes=modes)
        some, others = forest.some(np.array([7, 0, 3])), forest.some(np.array([1, 2, 4, 5, 6, 8]))
        assert (some.trees, some.nodes, some.nodes + others.nodes) == (3, 33, forest.nodes)
        sums = some.sums(odd_rows()) + others.sums(odd_rows()) - forest.base  # which each of them has
        np.testing.assert_allclose(sums, forest.sums(odd_rows()), rtol=1e-12, atol=1e-12)
        np.testing.assert_array_equal(run(some, odd_rows()), some.sums(odd_rows()))


def test_scaling_scales_the_sums() -> None:
    forest = random_forest(0, modes=(0, MEMBER))
    np.testing.assert_allclose(forest.scaled(0.25).sums(odd_rows()), forest.sums(odd_rows()) / 4, rtol=1e-12)


def test_a_forest_reads_its_columns_from_new_places() -> None:
    forest, x = random_forest(0, modes=(0, MEMBER)), odd_rows()
    places = np.array([5, 0, 3, 1])
    wide = np.zeros((len(x), 6))
    wide[:, places] = x
    np.testing.assert_array_equal(forest.reading(places).sums(wide), forest.sums(x))
    np.testing.assert_array_equal(run(forest.reading(places), wide), forest.sums(x))


def test_a_forest_is_stored_as_arrays() -> None:
    forest = random_forest(0, modes=(0, MEMBER))
    state = forest.state("member_")
    assert all(array.dtype != object for array in state.values())
    np.testing.assert_array_equal(Forest.load(state, "member_").sums(odd_rows()), forest.sums(odd_rows()))


def test_a_tree_that_is_one_leaf_is_a_node_with_two_equal_leaves() -> None:
    whole = random_forest(0, trees=1, leaves=2, outputs=1)
    one = replace(whole, left=np.zeros(1, int), right=np.zeros(1, int))
    np.testing.assert_array_equal(one.sums(odd_rows()), np.full((1600, 1), one.leaf_value[0] + one.base[0]))
    np.testing.assert_array_equal(run(one, odd_rows()), one.sums(odd_rows()))


def test_arrays_that_do_not_fit_together_are_no_forest() -> None:
    forest = random_forest(0)
    for broken in ({"left": forest.left + 1000}, {"mode": np.full_like(forest.mode, MEMBER)}):
        with pytest.raises(AssertionError):
            replace(forest, **broken)
