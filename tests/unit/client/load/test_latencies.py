"""Percentiles of latencies, against NumPy's of the same numbers."""

import math

import numpy as np
import pytest

from aias.client.load.latencies import Latencies


def of(seconds: object) -> Latencies:
    found = Latencies()
    for each in seconds:  # type: ignore[attr-defined]
        found.add(each)
    return found


@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
def test_a_percentile_is_within_a_percent_and_never_below(spread: float) -> None:
    seconds = np.random.default_rng(1).lognormal(-7, spread, 5_000)

    found = of(seconds.tolist())

    for share in (0.001, 0.5, 0.9, 0.99, 0.999, 1.0):
        exact = float(np.quantile(seconds, share, method="inverted_cdf"))
        assert exact * 0.999_999 <= found.at(share) <= exact * 1.008
    assert found.at(1.0) == found.highest == seconds.max()
    assert found.lowest == seconds.min()
    assert math.isclose(found.mean, seconds.mean())


def test_how_many_lie_beyond_a_percentile_is_told() -> None:
    found = of([0.001] * 990 + [0.5] * 10)

    assert found.beyond(0.99) == 10
    assert found.beyond(0.999) == 1
    assert found.beyond(1.0) == 0
    assert found.at(0.99) == pytest.approx(0.001, rel=0.01)
    assert found.at(0.991) == pytest.approx(0.5, rel=0.01)


def test_those_of_several_runs_are_added_up() -> None:
    seconds = np.random.default_rng(2).exponential(0.01, 1_000).tolist()
    one, other = of(seconds[:300]), of(seconds[300:])

    one.merge(other)

    whole = of(seconds)
    assert one.buckets == whole.buckets
    assert (one.count, one.lowest, one.highest) == (1_000, whole.lowest, whole.highest)


def test_between_bounds_each_is_counted_once() -> None:
    found = of([0.0009, 0.001, 0.0019, 0.0021, 0.004, 7.0])

    assert found.within([0.001, 0.002, 0.005]) == [2, 1, 2, 1]


def test_the_curve_ends_with_all_of_them() -> None:
    found = of([0.003, 0.001, 0.002, 0.001])

    shares, seconds = zip(*found.curve(), strict=True)

    assert shares == (0.5, 0.75, 1.0)
    assert seconds == pytest.approx((0.001, 0.002, 0.003), rel=0.01)


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 255e-9, 256e-9, 257e-9, 511e-9, 512e-9, 1.0, 3_600.0, 1e9])
def test_no_latency_is_too_short_or_too_long(seconds: float) -> None:
    found = of([seconds, seconds])

    assert found.at(0.5) == pytest.approx(min(seconds, 2**44 / 1e9), rel=0.01, abs=1e-9)


def test_of_nothing_there_is_no_percentile() -> None:
    assert math.isnan(Latencies().at(0.5))
    assert Latencies().beyond(0.5) == 0
