"""`serving/batching/tiers.py`: where a model runs, by what was measured."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from aias.serving.batching.costs import Cost
from aias.serving.batching.tiers import AWAY_SECONDS, STRIKES_MAX, Tier, runs_fast
from aias.serving.bounds import Bounds
from live_server import BOUNDS


def tier(clock: Callable[[], float]) -> Tier:
    return Tier(fast=True, bounds=replace(BOUNDS, inline_seconds=0.005), clock=clock)


def test_one_long_run_among_short_ones_demotes_nobody() -> None:
    found = tier(lambda: 1.0)
    for at in range(100):
        assert found.took(0.1 if at % 2 else 0.001) is None
    assert found.inline


def test_a_demoted_model_comes_back_and_stays_away_longer_the_next_time() -> None:
    now = 1.0
    found = tier(lambda: now)
    away = [each for _ in range(STRIKES_MAX) if (each := found.took(0.1))]
    assert (away, found.inline) == ([AWAY_SECONDS], False)

    now += AWAY_SECONDS
    assert found.inline
    away = [each for _ in range(STRIKES_MAX) if (each := found.took(0.1))]
    assert away == [2 * AWAY_SECONDS]


@pytest.mark.parametrize(
    ("row_seconds", "cost", "fast"),
    [
        (0.00005, Cost(0.00001, 0.00004), True),
        (0.0009, Cost(0.0008, 0.0001), True),
        (0.0009, Cost(0.0001, 0.0008), False),  # rows together save more than the hop costs
        (0.005, Cost(0.005, 0.0), False),
    ],
)
def test_where_a_model_runs_is_measured(row_seconds: float, cost: Cost, *, fast: bool) -> None:
    assert runs_fast(row_seconds, cost, Bounds()) is fast
