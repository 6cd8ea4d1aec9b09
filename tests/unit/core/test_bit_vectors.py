from dataclasses import replace

import numpy as np
import pytest

from aias.core.bit_vectors import WORDS_AT_ONCE, BitVectors
from aias.core.forest import LESS, LESS_OR_EQUAL, MEMBER, Forest
from unit.core.test_forest import odd_rows, random_forest


def forest_of(
    *, leaves: int = 12, trees: int = 700, modes: tuple[int, ...] = (LESS_OR_EQUAL,), own: bool = False
) -> Forest:
    """Trees of three outputs in turn; `own`: every node compares with another number."""
    found = random_forest(1, trees=trees, leaves=leaves, modes=modes, outputs=1)
    tree = np.empty(len(found.leaf_value), np.int64)
    for child, is_leaf in ((found.left, found.left_is_leaf), (found.right, found.right_is_leaf)):
        tree[child[is_leaf]] = np.flatnonzero(is_leaf) // (leaves - 1)
    threshold = np.random.default_rng(2).normal(size=found.nodes) if own else found.threshold
    return replace(found, leaf_output=tree % 3, base=np.zeros(3), threshold=threshold)


@pytest.mark.parametrize("modes", [(LESS_OR_EQUAL,), (LESS,), (MEMBER,), (LESS_OR_EQUAL, LESS, MEMBER)])
@pytest.mark.parametrize("leaves", [12, 32, 33, 60])
def test_rows_get_the_sums_of_a_walk_to_the_last_bit(modes: tuple[int, ...], leaves: int) -> None:
    forest, x = forest_of(leaves=leaves, modes=modes), odd_rows()

    tables = BitVectors.of(forest)

    assert tables is not None
    np.testing.assert_array_equal(forest.sums(x), tables.sums(x))
    np.testing.assert_array_equal(forest.sums(x[::9]), np.vstack([tables.sums(row[None]) for row in x[::9]]))


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 5, 171, 172])
def test_however_many_rows_there_are(rows: int) -> None:
    forest, x = forest_of(), odd_rows()[:rows]
    tables = BitVectors.of(forest)

    assert tables is not None
    assert 171 * len(tables.output) <= WORDS_AT_ONCE < 172 * len(tables.output)
    np.testing.assert_array_equal(forest.sums(x), tables.sums(x))


def test_many_borders_are_parted_into_blocks() -> None:
    forest, x = forest_of(own=True), odd_rows()

    tables = BitVectors.of(forest)

    assert tables is not None
    assert len(tables.first_slot) > 1
    np.testing.assert_array_equal(forest.sums(x), tables.sums(x))


def test_the_least_of_all_numbers_is_a_border_like_others() -> None:
    forest, x = forest_of(), odd_rows()
    least = np.where(np.arange(forest.nodes) % 5 == 0, np.finfo(np.float64).min, forest.threshold)
    forest = replace(forest, threshold=least)

    with np.errstate(over="raise"):
        tables = BitVectors.of(forest)

    assert tables is not None
    np.testing.assert_array_equal(forest.sums(x), tables.sums(x))


def test_trees_of_one_leaf_are_added_too() -> None:
    forest, x = forest_of(leaves=2), odd_rows()
    alone = np.arange(forest.nodes) % 2 > 0
    forest = replace(forest, right=np.where(alone, forest.left, forest.right))

    tables = BitVectors.of(forest)

    assert tables is not None
    np.testing.assert_array_equal(forest.sums(x), tables.sums(x))


WALKED = {
    "few trees": forest_of(trees=500),
    "large trees": forest_of(leaves=70),
    "a base": replace(forest_of(), base=np.ones(3)),
    "trees of several outputs": replace(random_forest(1, trees=700), base=np.zeros(2)),
}


@pytest.mark.parametrize("forest", WALKED.values(), ids=WALKED)
def test_other_forests_are_walked(forest: Forest) -> None:
    assert BitVectors.of(forest) is None


def test_sets_of_many_members_are_walked(monkeypatch: pytest.MonkeyPatch) -> None:
    forest = forest_of(modes=(MEMBER,))
    assert BitVectors.of(forest) is not None
    monkeypatch.setattr("aias.core.bit_vectors.MEMBERS_MAX", len(forest.set_values) - 1)
    assert BitVectors.of(forest) is None


@pytest.mark.parametrize("child", [0, 25], ids=["round in circles", "of another tree"])
def test_nodes_that_are_no_trees_are_refused(child: int) -> None:
    forest = forest_of()
    node = int(np.flatnonzero(~forest.left_is_leaf)[0])
    left = forest.left.copy()
    left[node] = child

    with pytest.raises(ValueError, match="in no tree, or twice"):
        BitVectors.of(replace(forest, left=left))
