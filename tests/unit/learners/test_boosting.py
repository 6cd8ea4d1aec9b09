from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from aias.core.deadline import Deadline
from aias.core.events import Event, nobody
from aias.core.task import Task
from aias.learners.boosting import TELL_SECONDS, Rounds, boost, rounds_for_halves
from aias.learners.contract import CURVE_POINTS_MAX, Examples, Fit, halves, joined

TASK = Task("y", "binary", "roc_auc", ("a", "b"))


@dataclass
class Fitted:
    rounds: int
    settings: dict = field(default_factory=dict)
    judged: object = None

    def scores(self, x):
        return np.full((len(x), 2), float(self.rounds))


@dataclass
class Booster:
    """Its losses are given; what it came to is a number of rounds."""

    each: list
    done: int = 0

    def grow(self):
        self.done += 1
        return self.done <= len(self.each)

    def losses(self):
        return self.each[self.done - 1]

    def scores(self):
        return Fitted(self.done).scores(range(4))

    def trees(self, rounds):
        return Fitted(rounds)


def some(rows):
    return Examples(np.zeros((rows, 1)), np.arange(rows) % 2)


def rounds(*, most=1000, judges=4, clock=lambda: 0.0, left=1000.0, watch=nobody, keep=None, score=None, **kwargs):
    how = Fit(TASK, 0, Deadline(clock() + left, left, clock), 1, watch, keep=keep, score=score)
    return Rounds("some_trees", how, 10, some(judges) if judges else None, most, **kwargs)


def ticking():
    ticks = iter(range(100_000))
    return lambda: float(next(ticks))


def test_rounds_end_when_they_have_not_helped_for_long() -> None:
    booster = Booster([[1.0, 1.0]] * 9 + [[0.5, 0.5]] + [[1.0, 1.0]] * 990)
    assert boost(booster, rounds()).rounds == 10
    assert booster.done == 10 + 23  # twenty, and three tenths of ten


def test_without_rows_that_judge_there_are_as_many_as_were_asked_for() -> None:
    fitted = boost(Booster([[]] * 99), rounds(judges=0, most=30))
    assert fitted.rounds == 30 and fitted.judged is None


def test_where_nothing_is_left_to_learn_rounds_end() -> None:
    assert boost(Booster([[1.0, 1.0], [0.5, 0.5]]), rounds()).rounds == 2
    assert boost(Booster([]), rounds()).rounds == 1


def test_each_half_is_scored_by_the_rounds_that_the_other_chose() -> None:
    fitted = boost(Booster([[1.0, 1.0], [0.4, 0.6], [0.6, 0.4], [1.0, 1.0]]), rounds())
    np.testing.assert_array_equal(fitted.judged[:, 0], [3.0, 2.0, 3.0, 2.0])


def test_a_round_that_would_end_late_is_not_begun_but_the_first_is() -> None:
    late = boost(Booster([[]] * 999), rounds(judges=0, clock=ticking(), left=20.0))
    assert 2 <= late.rounds <= 20
    assert boost(Booster([[]] * 999), rounds(judges=0, clock=ticking(), left=0.0)).rounds == 1


def test_rounds_that_time_ended_say_so_and_others_do_not() -> None:
    late, stale = rounds(clock=ticking(), left=30.0), rounds()
    boost(Booster([[1.0 / n, 1.0 / n] for n in range(1, 1000)]), late)
    boost(Booster([[1.0, 1.0]] * 999), stale)
    assert not late.how.deadline.passed and late.how.cuts == ["some_trees"]
    assert not stale.how.cuts


def test_time_is_left_for_what_comes_after_the_last_round() -> None:
    plenty = boost(Booster([[]] * 999), rounds(judges=0, clock=ticking(), left=50.0)).rounds
    few = boost(Booster([[]] * 999), rounds(judges=0, clock=ticking(), left=50.0, finish_seconds=(0.0, 2.0))).rounds
    assert few < 0.7 * plenty


def test_what_came_before_the_first_round_does_not_count_as_its_time() -> None:
    now = [0.0]
    held = rounds(judges=0, clock=lambda: now[0], left=10.0)
    now[0] = 6.0
    held.begun()
    held.over([])
    assert held.more()


def test_rounds_that_were_gone_on_from_are_not_chosen() -> None:
    held = rounds(done=5)
    for loss in (0.5, 0.6):
        held.over([loss, loss])
    assert held.best == 6 and held.for_halves == [6, 6]


def test_a_state_can_be_kept_after_each_round() -> None:
    kept: list = []
    boost(Booster([[1.0, 1.0]] * 3), rounds(keep=lambda make: kept.append(make())))
    assert [each.rounds for each in kept] == [1, 1, 1]
    assert kept[0].judged.shape == (4, 2)


def test_how_it_goes_is_told_now_and_then() -> None:
    told: list[Event] = []
    now = [0.0]
    held = rounds(clock=lambda: now[0], watch=told.append, score=lambda _, scores: scores[0, 0])
    for _ in range(10):
        now[0] += TELL_SECONDS / 2
        held.over([0.3, 0.5], lambda: np.full((4, 2), 7.0))
    assert [event.facts["round"] for event in told] == [1, 3, 5, 7, 9]
    assert told[0].facts == {
        "learner": "some_trees", "round": 1, "validation_loss": 0.4, "best_round": 1, "score": 7.0,
        "rows_per_second": pytest.approx(40.0), "seconds_left": pytest.approx(1000 - TELL_SECONDS / 2),
    }  # fmt: skip
    assert told[0].message == "some trees: 1 rounds, validation loss 0.4000, roc_auc 7.0000"


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


def rounds_made(loss: Callable[[int], float]) -> int:
    """How many rounds there are when the validation loss after round n is `loss(n)`."""
    how = Fit(Task("y", "regression", "rmse"), 0, Deadline.after(3_600), 1, nobody)
    rounds = Rounds("boosted_trees", how, 4, Examples(np.zeros((4, 1)), np.zeros(4)), 5_000)
    while rounds.more():
        rounds.over([loss(rounds.done + 1)] * 2)
    return rounds.done


def test_what_gains_next_to_nothing_is_stopped_and_what_gains_goes_on() -> None:
    assert 500 < rounds_made(lambda n: 1 + float(np.exp(-n / 50))) < 700
    assert rounds_made(lambda n: 2 - 1e-6 * n) == 5_000  # hard to learn, and as fast as ever
    assert rounds_made(lambda n: 1 / n) == 5_000


def test_losses_that_are_no_numbers_end_early() -> None:
    assert rounds_made(lambda _: float("nan")) == 20


def test_what_each_round_was_worth_is_told_at_the_end() -> None:
    told: list[Event] = []
    losses = [[1 / each, 3 / each] for each in range(1, 8)]
    boost(Booster(losses), rounds(watch=told.append))
    assert [event.name for event in told] == ["train.round", "train.curve"]
    assert told[1].facts == {
        "learner": "some_trees", "rounds": [*range(1, 8)],
        "validation_losses": pytest.approx([2 / each for each in range(1, 8)]),
    }  # fmt: skip


def test_of_a_long_fit_a_few_rounds_are_told() -> None:
    told: list[Event] = []
    boost(Booster([[5_000.0 - each, 5_000.0 - each] for each in range(3_000)]), rounds(most=3_000, watch=told.append))
    at = told[-1].facts["rounds"]
    assert (at[0], at[-1]) == (1, 3_000) and len(at) == CURVE_POINTS_MAX
    assert told[-1].facts["validation_losses"] == [5_001.0 - each for each in at]


def test_rounds_that_were_gone_on_from_are_in_no_curve() -> None:
    told: list[Event] = []
    boost(Booster([[0.5, 0.5]] * 2), rounds(done=5, watch=told.append))
    assert told[-1].facts["rounds"] == [6, 7]


def test_without_rows_that_judge_there_is_no_curve() -> None:
    told: list[Event] = []
    boost(Booster([[]] * 9), rounds(judges=0, most=5, watch=told.append))
    assert told == []
