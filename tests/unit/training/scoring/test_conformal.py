import json

import numpy as np
import pytest

from aias.training.scoring.conformal import Conformal, fit


def drawn(rows: int, seed: int) -> tuple:
    """Errors that lean to one side and grow with the prediction."""
    rng = np.random.default_rng(seed)
    found = rng.random(rows) * 10
    return found + (rng.gamma(1.0, size=rows) - 0.3) * (0.5 + found), found[:, None]


def covered(conformal: Conformal, y: np.ndarray, found: np.ndarray) -> np.ndarray:
    low, high = conformal.interval(found).T
    return (low <= y) & (y <= high)


@pytest.mark.parametrize(("rows", "level"), [(25, 0.9), (60, 0.8), (1_000, 0.9), (3_000, 0.95)])
def test_the_truth_is_inside_as_often_as_they_say(rows, level) -> None:
    shares = []
    for seed in range(150):
        conformal = fit(*drawn(rows, seed), level=level)
        assert conformal is not None
        shares.append(covered(conformal, *drawn(400, 10_000 + seed)).mean())
    assert level - 0.015 <= np.mean(shares) <= level + 0.07


def in_groups(count: int, rows: int, seed: int) -> tuple:
    """Errors of which nine tenths are the same for all rows of a group, and so is a part of the prediction."""
    rng = np.random.default_rng(seed)
    groups = np.repeat(np.arange(count), rows)
    own, shared = rng.normal(size=(2, count * rows)), rng.normal(size=(2, count))[:, groups]
    found = 2 * shared[0] + own[0]
    return found + np.sqrt(0.9) * shared[1] + np.sqrt(0.1) * own[1], found[:, None], groups


@pytest.mark.parametrize(("count", "rows"), [(20, 75), (40, 40)])
def test_the_truth_of_groups_never_seen_is_inside_as_often_as_they_say(count: int, rows: int) -> None:
    shares = []
    for seed in range(60):
        y, found, groups = in_groups(count, rows, seed)
        conformal = fit(y, found, groups=groups)
        assert conformal is not None
        shares.append(covered(conformal, *in_groups(400, 5, 10_000 + seed)[:2]).mean())
    assert np.mean(shares) == pytest.approx(0.9, abs=0.02)


def test_groups_of_rows_that_do_not_err_alike_change_little() -> None:
    y, found = drawn(3_000, 0)
    plain, grouped = fit(y, found), fit(y, found, groups=np.arange(3_000) // 30)
    assert plain is not None
    assert grouped is not None
    assert np.diff(grouped.interval(found)).mean() == pytest.approx(np.diff(plain.interval(found)).mean(), rel=0.1)


def test_it_holds_in_every_range_of_the_prediction() -> None:
    conformal = fit(*drawn(20_000, 0))
    assert conformal is not None
    y, found = drawn(50_000, 1)
    inside = covered(conformal, y, found)
    for low in range(10):
        rows = (found[:, 0] >= low) & (found[:, 0] < low + 1)
        assert inside[rows].mean() == pytest.approx(0.9, abs=0.04)


def test_intervals_are_wide_where_errors_are_large_and_lean_where_they_do() -> None:
    conformal = fit(*drawn(5_000, 0))
    assert conformal is not None
    assert len(conformal.edges) == 9
    assert conformal.upper[-1] > 4 * conformal.upper[0]
    assert conformal.upper[-1] > -2 * conformal.lower[-1]


def test_too_few_rows_give_none() -> None:
    assert fit(*drawn(18, 0)) is None
    assert fit(*drawn(19, 0)) is not None
    assert fit(*drawn(198, 0), level=0.99) is None


def test_equal_predictions_share_a_bin() -> None:
    y, _ = drawn(1_000, 0)
    conformal = fit(y, np.full((1_000, 1), 3.0))
    assert conformal is not None
    assert conformal.edges == ()


def test_no_bin_is_small() -> None:
    y, _ = drawn(1_000, 0)
    found = np.where(np.arange(1_000) < 930, 1.0, np.linspace(1.5, 2, 1_000))
    conformal = fit(y, found)
    assert conformal is not None
    assert conformal.edges == ()


def test_amounts_that_are_never_negative_get_no_interval_below_zero() -> None:
    rng = np.random.default_rng(0)
    found = rng.random(1_000) * 2
    y = np.maximum(found + rng.normal(size=1_000), 0.0)
    y[0] = -0.01
    open_ended = fit(y, found[:, None])
    y[0] = 0.0
    floored = fit(y, found[:, None])

    assert open_ended is not None and floored is not None
    assert open_ended.floor is None and floored.floor == 0.0
    assert open_ended.interval(found).min() < -0.1
    assert floored.interval(np.append(found, -9.0)).min() == 0.0
    assert covered(floored, y, found).mean() == pytest.approx(covered(open_ended, y, found).mean(), abs=0.005)


def test_it_comes_back_from_json() -> None:
    conformal = fit(*drawn(2_000, 0))
    assert conformal is not None
    floored = Conformal(0.9, (), (-1.0,), (1.0,), 0.0)
    assert Conformal.from_dict(json.loads(json.dumps(floored.as_dict()))) == floored
    assert Conformal.from_dict(json.loads(json.dumps(conformal.as_dict()))) == conformal
