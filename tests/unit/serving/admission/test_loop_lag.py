"""What runs on the loop itself, at more than it can carry; on a simulated clock."""

import random
from collections import deque
from collections.abc import Callable

import pytest

from aias.serving.admission.loop_lag import PATIENCE, LoopLag
from aias.serving.refusals import Overloaded

OBJECTIVE = 1.0


def refused(lag: LoopLag, late: float, now: float) -> bool:
    try:
        lag.check(late, OBJECTIVE, now)
    except Overloaded:
        return True
    return False


def test_who_comes_in_time_is_never_refused() -> None:
    lag = LoopLag()

    assert not any(refused(lag, 0.9 * OBJECTIVE, now=at) for at in range(100))


def test_a_single_stall_refuses_nobody() -> None:
    lag, now = LoopLag(), 100.0

    assert not any(refused(lag, 3.0 - left * 0.007, now=now + left * 0.001) for left in range(400))


def test_a_wait_that_stays_too_long_is_refused_until_it_is_over() -> None:
    lag = LoopLag()

    assert not refused(lag, 1.5, now=0.0)
    assert refused(lag, 1.5, now=PATIENCE + 0.01)
    assert not refused(lag, 0.5, now=PATIENCE + 0.02)
    assert not refused(lag, 1.5, now=PATIENCE + 0.03)


def arrivals(times: float, run: float) -> Callable[[float], list[float]]:
    """When requests come, at a multiple of what can be answered: all until a time that have not been told yet."""
    chance, due = random.Random(5), 0.0

    def until(now: float) -> list[float]:
        nonlocal due
        found = []
        while due <= now:
            found.append(due)
            due += chance.expovariate(times / run)
        return found

    return until


def one_by_one(times: float, *, run: float, refusal: float, connections: int, seconds: float) -> tuple[float, float]:
    """Requests in the order in which they came, each told how long it has waited; as many as there are connections.

    What was answered, as a share of what could have been; and the wait of 99 in 100 of those.
    """
    come, lag, waiting, took, now = arrivals(times, run), LoopLag(), deque[float](), list[float](), 0.0
    while now < seconds:
        waiting.extend(come(now)[: connections - len(waiting)])
        if not waiting:
            now += run / times
            continue
        came = waiting.popleft()
        if refused(lag, now - came, now):
            now += refusal
        else:
            now += run
            took.append(now - came)
    return len(took) * run / seconds, sorted(took)[int(0.99 * len(took))]


@pytest.mark.parametrize("times", [2, 5])
def test_a_model_of_microseconds_is_held_back_by_its_callers_connections_alone(times: float) -> None:
    share, worst = one_by_one(times, run=0.00005, refusal=0.00003, connections=2_048, seconds=0.5)

    assert share >= 0.99
    assert worst <= 0.25 * OBJECTIVE


@pytest.mark.parametrize("times", [2, 5])
def test_a_model_of_milliseconds_answers_nearly_all_it_can_and_nobody_too_late(times: float) -> None:
    share, worst = one_by_one(times, run=0.005, refusal=0.00006, connections=2_048, seconds=60.0)

    assert share >= 0.9
    assert worst <= 2 * OBJECTIVE
