import numpy as np
import pytest
from sklearn.tree import ExtraTreeRegressor

from aias.learners.contract import Examples
from aias.learners.shrinkage import SHRINKAGES, Shrunk, chosen


def trees_and_rows(count: int = 3, rows: int = 200):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3)).astype(np.float32)
    y = x[:, 0] + rng.normal(size=rows)
    weight = rng.uniform(0.5, 1.5, rows)
    grown = [ExtraTreeRegressor(random_state=i).fit(x, y, sample_weight=weight).tree_ for i in range(count)]
    return grown, x, y


def shrunk_by_hand(tree, row, shrinkage: float) -> float:
    """The formula of the paper, along the row's way through the tree."""
    node, value = 0, tree.value[0, 0, 0]
    while tree.children_left[node] >= 0:
        below = (
            tree.children_left[node] if row[tree.feature[node]] <= tree.threshold[node] else tree.children_right[node]
        )
        step = tree.value[below, 0, 0] - tree.value[node, 0, 0]
        value += step / (1 + shrinkage / tree.weighted_n_node_samples[node])
        node = below
    return value


@pytest.mark.parametrize("shrinkage", [0.0, 1.0, 30.0])
def test_leaves_are_drawn_to_what_is_above_as_the_paper_says(shrinkage: float) -> None:
    grown, x, _ = trees_and_rows()
    shrunk = Shrunk(grown, np.concatenate([tree.value[:, 0] for tree in grown]))
    found = shrunk.scores(shrunk.places(x[:20]), shrinkage)[:, 0]
    expected = [np.mean([shrunk_by_hand(tree, row, shrinkage) for tree in grown]) for row in x[:20]]
    np.testing.assert_allclose(found, expected)


def test_the_other_half_chooses_and_no_row_for_itself() -> None:
    grown, x, y = trees_and_rows()
    shrunk = Shrunk(grown, np.concatenate([tree.value[:, 0] for tree in grown]))
    rows = np.arange(11)
    known, noise = shrunk.scores(shrunk.places(x[rows]), 0.0)[:, 0], np.full(11, y.mean())
    answers = np.where(rows % 2 == 0, known, noise)  # whole trees tell the even rows, hardly anything the odd ones

    def worse(scores, part: Examples) -> float:
        return float(np.square(scores[:, 0] - part.y).mean())

    best, judged = chosen(shrunk, x[rows], Examples(x[rows], answers), worse)
    of_each = {each: shrunk.scores(shrunk.places(x[rows]), each) for each in SHRINKAGES}
    assert best in SHRINKAGES
    np.testing.assert_array_equal(judged[1::2], of_each[0.0][1::2])
    np.testing.assert_array_equal(judged[0::2], of_each[SHRINKAGES[-1]][0::2])
