import numpy as np

from aias.learners.boosting import halves, joined, rounds_for_halves
from aias.learners.contract import Examples


def test_each_half_takes_the_round_that_the_other_likes_near_the_best_of_both() -> None:
    losses = [[3.0, 3.0], [1.0, 2.0], [2.0, 1.0], [2.5, 2.5], [2.5, 2.5], [0.0, 0.0]]
    assert rounds_for_halves(losses, 2, parts=2) == [3, 2]


def test_where_nothing_could_be_learned_every_round_is_as_good() -> None:
    assert rounds_for_halves([], 1, parts=2) == [1, 1]


def test_halves_come_together_as_they_were() -> None:
    y = np.arange(5.0)
    parts = halves(Examples(y[:, None], y))
    assert [len(part.y) for part in parts] == [3, 2]
    np.testing.assert_array_equal(joined([part.x for part in parts])[:, 0], y)
    assert len(halves(Examples(y[:1, None], y[:1]))) == 1
