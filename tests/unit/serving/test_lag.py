"""What runs on the loop itself, at more than it can carry; on a simulated clock."""

import random
from collections import deque

import pytest

from aias.serving.lag import PATIENCE, Lag

OBJECTIVE = 1.0


def test_who_comes_in_time_is_never_refused() -> None:
    lag = Lag()

    assert not any(lag.refuses(0.9 * OBJECTIVE, OBJECTIVE, now=at) for at in range(100))


def test_a_single_stall_refuses_nobody() -> None:
    lag, now = Lag(), 100.0

    for left in range(400):
        assert not lag.refuses(3.0 - left * 0.007, OBJECTIVE, now=now + left * 0.001)


def test_a_wait_that_stays_too_long_is_refused_until_it_is_over() -> None:
    lag = Lag()

    assert not lag.refuses(1.5, OBJECTIVE, now=0.0)
    assert lag.refuses(1.5, OBJECTIVE, now=PATIENCE + 0.01)
    assert not lag.refuses(0.5, OBJECTIVE, now=PATIENCE + 0.02)
    assert not lag.refuses(1.5, OBJECTIVE, now=PATIENCE + 0.03)


def loop_under(times: float, *, run: float, refusal: float, connections: int, seconds: float) -> tuple[float, float]:
    """Poisson arrivals at a multiple of what a loop can answer, as many at a time as there are connections.

    What was answered, as a share of what could have been; and the wait of 99 in 100 of those.
    """
    chance, lag, waiting, took = random.Random(5), Lag(), deque[float](), list[float]()
    now, due = 0.0, 0.0
    while now < seconds:
        while due <= now or not waiting:
            now = max(now, due)
            if len(waiting) < connections:
                waiting.append(due)
            due += chance.expovariate(times / run)
        came = waiting.popleft()
        if lag.refuses(now - came, OBJECTIVE, now):
            now += refusal
        else:
            now += run
            took.append(now - came)
    took.sort()
    return len(took) * run / seconds, took[int(0.99 * len(took))]


@pytest.mark.parametrize("times", [2, 5])
def test_a_model_of_microseconds_is_held_back_by_its_callers_connections_alone(times: float) -> None:
    share, worst = loop_under(times, run=0.00005, refusal=0.00003, connections=2_048, seconds=0.5)

    assert share >= 0.99
    assert worst <= 0.2 * OBJECTIVE


@pytest.mark.parametrize("times", [2, 5])
def test_a_model_of_milliseconds_answers_nearly_all_it_can_and_nobody_too_late(times: float) -> None:
    share, worst = loop_under(times, run=0.005, refusal=0.00006, connections=2_048, seconds=60.0)

    assert share >= 0.9
    assert worst <= 2 * OBJECTIVE
