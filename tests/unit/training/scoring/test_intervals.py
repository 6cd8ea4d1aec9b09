"""Intervals of few units: how often they miss, by simulation."""

import numpy as np
import pytest

from aias.core.expanded_percentiles import expanded_tail
from aias.training.scoring.metrics import measure_with_interval

SIMULATIONS = 120


def test_few_units_take_percentiles_further_out() -> None:
    assert expanded_tail(1e9, 0.025) == pytest.approx(0.025, rel=1e-6)
    assert expanded_tail(10, 0.025) == pytest.approx(0.0085, abs=1e-4)  # √(10/9) · 2.262


@pytest.mark.parametrize("groups", [6, 12])
def test_a_few_groups_of_unlike_sizes_miss_hardly_more_often_than_said(groups: int) -> None:
    """By plain percentiles 19 % and 13 % of them missed."""
    drawn, missed = np.random.default_rng(0), 0
    for seed in range(SIMULATIONS):
        sizes = np.maximum(2, drawn.lognormal(3.0, 1.0, groups).astype(int))
        numbers = np.repeat(np.arange(groups), sizes)
        off = 1 + 0.5 * drawn.normal(size=groups)[numbers] + 0.3 * drawn.normal(size=len(numbers))
        found = measure_with_interval(np.zeros(len(off)), off[:, None] ** 2, metric="mae", seed=seed, groups=numbers)
        missed += not found.low <= 1 + 0.25 + 0.09 <= found.high
    assert missed / SIMULATIONS <= 0.1
