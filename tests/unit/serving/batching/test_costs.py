"""What a run will take, learned from those there were."""

import random

import pytest

from aias.serving.batching.costs import Cost


def test_the_cost_of_a_run_is_learned_from_runs_of_several_sizes() -> None:
    chance, cost = random.Random(3), Cost(0.001, 0.0001)
    for _ in range(300):
        rows = chance.choice([1, 2, 4, 8, 16, 32])
        cost.learn(rows, (0.0002 * rows + 0.003) * chance.uniform(0.8, 1.2))

    assert cost.seconds(1) == pytest.approx(0.0032, rel=0.15)
    assert cost.seconds(32) == pytest.approx(0.0094, rel=0.2)


def test_runs_of_one_size_do_not_make_the_cost_of_others_drift_away() -> None:
    chance, cost = random.Random(3), Cost(0.0002, 0.003)
    for _ in range(5_000):
        cost.learn(1, 0.0032 * chance.uniform(0.5, 1.5))

    assert cost.seconds(32) == pytest.approx(0.0094, rel=0.15)


def test_one_stall_of_the_machine_is_not_taken_for_the_cost() -> None:
    cost = Cost(0.0002, 0.003)
    for _ in range(50):
        cost.learn(1, 0.0032)
    cost.learn(1, 5.0)

    assert cost.seconds(1) < 0.004


def test_a_machine_that_became_ten_times_slower_is_believed_in_the_end() -> None:
    cost = Cost(0.0002, 0.003)
    for at in range(200):
        rows = 1 + at % 8
        cost.learn(rows, 10 * (0.0002 * rows + 0.003))

    assert cost.seconds(4) == pytest.approx(0.038, rel=0.15)
