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


@pytest.mark.parametrize(("rows", "most"), [(20, 0.17), (50, 0.16), (200, 0.16)])
@pytest.mark.parametrize("errors", ["t", "lognormal"])
def test_a_few_errors_that_are_nearly_all_of_the_rmse_are_reckoned_with(errors: str, rows: int, most: float) -> None:
    """By percentiles 18 to 29 % of them missed."""
    drawn, missed = np.random.default_rng(2), 0
    true = {"t": 3**0.5, "lognormal": np.e}[errors]
    for seed in range(2 * SIMULATIONS):
        off = drawn.standard_t(3, rows) if errors == "t" else drawn.lognormal(0.0, 1.0, rows)
        found = measure_with_interval(np.zeros(rows), off[:, None], metric="rmse", seed=seed)
        missed += not found.low <= true <= found.high
    assert missed / (2 * SIMULATIONS) <= most


def test_rows_in_groups_of_one_are_rows() -> None:
    off = np.random.default_rng(0).standard_t(4, 60)
    rows, groups = (
        measure_with_interval(np.zeros(60), off[:, None], metric="rmse", seed=0, groups=by)
        for by in (None, np.arange(60))
    )
    assert (groups.low, groups.high) == pytest.approx((rows.low, rows.high))


@pytest.mark.parametrize("copies", [1, 4])
def test_copies_of_rows_leave_the_interval_as_wide_as_the_rows_by_themselves(copies: int) -> None:
    off = np.random.default_rng(0).standard_t(4, 60)
    found = measure_with_interval(
        np.zeros(60 * copies), np.repeat(off, copies)[:, None], metric="rmse", seed=0,
        groups=np.repeat(np.arange(60), copies),
    )  # fmt: skip
    alone = measure_with_interval(np.zeros(60), off[:, None], metric="rmse", seed=0)
    assert (found.value, found.low, found.high) == pytest.approx((alone.value, alone.low, alone.high))


def test_errors_that_are_all_alike_leave_nothing_open() -> None:
    one = measure_with_interval(np.zeros(40), np.full((40, 1), 2.0), metric="rmse", seed=0)
    assert (one.low, one.value, one.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("positives", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("metric", ["roc_auc", "balanced_accuracy", "recall"])
def test_few_rows_of_a_class_miss_hardly_more_often_than_said(metric: str, positives: int) -> None:
    """By all rows' number up to 82 % of them missed."""
    drawn, missed, rows = np.random.default_rng(1), 0, 200
    y = np.repeat([1, 0], [positives, rows - positives])
    true = {"roc_auc": 0.7602, "balanced_accuracy": 0.75, "recall": 0.6}[metric]
    for seed in range(SIMULATIONS):
        if metric == "roc_auc":
            said = 1 / (1 + np.exp(-drawn.normal(y)))
        else:
            said = np.where(drawn.random(rows) < np.where(y == 1, 0.6, 0.1), 0.9, 0.1)
        found = measure_with_interval(y, np.column_stack([1 - said, said]), metric=metric, seed=seed)
        missed += not found.low - 1e-9 <= true <= found.high + 1e-9
    assert missed / SIMULATIONS <= 0.1


def test_a_class_that_is_never_found_may_be_found_all_the_same() -> None:
    y = np.repeat([0, 1], [150, 50])
    for metric in ("recall", "f1"):
        one = measure_with_interval(y, np.eye(2)[np.zeros(200, int)], metric=metric, seed=0)
        assert (one.value, one.low) == (0.0, 0.0)
        assert one.high == pytest.approx(0.0711, abs=1e-4)  # 1 - 0.025 ** (1 / 50)


def test_one_rare_class_of_many_widens_the_mean_of_all_by_its_share() -> None:
    """A tenth of the mean is of one row; the smallest class alone would leave nothing certain."""
    drawn = np.random.default_rng(0)
    y = np.repeat(np.arange(9), 40)
    labels = np.where(drawn.random(len(y)) < 0.7, y, drawn.integers(0, 9, len(y)))
    one = measure_with_interval(np.append(y, 9), np.eye(10)[np.append(labels, 9)], metric="balanced_accuracy", seed=0)
    assert 0.1 < one.high - one.low < 0.25


def test_a_class_in_one_group_counts_as_one_row() -> None:
    y, groups = np.repeat([1, 0], [30, 90]), np.append(np.zeros(30, int), np.arange(1, 91))
    said = np.linspace(0.9, 0.1, 120)[np.argsort((np.arange(120) * 7) % 120)]
    scores = np.column_stack([1 - said, said])
    rows, whole = (measure_with_interval(y, scores, metric="roc_auc", seed=0, groups=by) for by in (None, groups))
    assert rows.high - rows.low < 0.3
    assert whole.high - whole.low > 0.9
