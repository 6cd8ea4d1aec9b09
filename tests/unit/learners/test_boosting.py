from collections.abc import Callable

import numpy as np

from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.task import Task
from aias.learners.boosting import Rounds, halves, joined, rounds_for_halves
from aias.learners.contract import Examples, Fit


def rounds_made(loss: Callable[[int], float]) -> int:
    """How many rounds there are when the validation loss after round n is `loss(n)`."""
    how = Fit(Task("y", "regression", "rmse"), 0, Deadline.after(3_600), 1, nobody)
    rounds = Rounds("boosted_trees", how, 4, Examples(np.zeros((4, 1)), np.zeros(4)), 5_000)
    while rounds.more():
        rounds.over([loss(rounds.done + 1)] * 2)
    return rounds.done


def test_what_gets_worse_is_stopped_after_a_share_of_its_best_round() -> None:
    assert rounds_made(lambda n: abs(n - 100) / 100 + 1) == 100 + 20 + 30


def test_what_gains_next_to_nothing_is_stopped_and_what_gains_goes_on() -> None:
    assert 400 < rounds_made(lambda n: 1 + float(np.exp(-n / 50))) < 600
    assert rounds_made(lambda n: 2 - 1e-6 * n) == 5_000  # hard to learn, and as fast as ever
    assert rounds_made(lambda n: 1 / n) == 5_000


def test_losses_that_are_no_numbers_end_early() -> None:
    assert rounds_made(lambda _: float("nan")) == 20


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
