"""When requests go out, and which rate is the last that a server keeps up with."""

import socket
from itertools import pairwise

import numpy as np
import pytest

from aias.cli.bench_text import show_peak
from aias.client.load.peak import find_peak
from aias.client.load.result import Plan, Result
from aias.client.load.schedule import poisson
from aias.client.load.target import Target
from aias.client.load.workload import Workload


def test_arrivals_are_as_many_as_asked_for_and_know_nothing_of_each_other() -> None:
    times = list(poisson(1_000, 20, seed=3))

    gaps = np.diff(times)
    assert len(times) == pytest.approx(20_000, rel=4 / 20_000**0.5)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)
    assert abs(np.corrcoef(gaps[1:], gaps[:-1])[0, 1]) < 0.03
    assert all(a <= b for a, b in pairwise(times))
    assert times[-1] < 20


def test_the_same_seed_gives_the_same_arrivals() -> None:
    assert list(poisson(50, 3, seed=1)) == list(poisson(50, 3, seed=1))
    assert list(poisson(50, 3, seed=1)) != list(poisson(50, 3, seed=2))


def server(capacity: float, *, late_from: float = 1e9, collapses: bool = False) -> "object":
    """Answers in time as long as it is asked no more often than it can; a generator that can no more is late."""

    def measure(rate: float) -> Result:
        result = Result(Plan(10, rate=rate), seconds=10, sent=round(10 * rate))
        result.good = result.sent if rate <= capacity else 0 if collapses else round(10 * capacity)
        result.late.add(1.0 if rate >= late_from else 0.0)
        return result

    return measure


@pytest.mark.parametrize("guess", [40.0, 900.0, 1_000.0, 2_000.0, 9_000.0])
def test_the_peak_is_found_from_any_guess(guess: float) -> None:
    peak = find_peak(server(1_000), capacity=guess)  # type: ignore[arg-type]

    assert peak.best is not None
    assert peak.best.plan.rate is not None
    assert 1_000 / 1.08 < peak.best.plan.rate <= 1_010
    assert peak.beyond is not None
    assert peak.beyond.plan.rate == 2 * peak.best.plan.rate
    assert peak.held == pytest.approx(1.0, abs=0.08)


def test_a_server_that_collapses_is_told_by_what_is_left_at_twice_the_peak() -> None:
    assert find_peak(server(1_000, collapses=True), capacity=1_500).held == 0  # type: ignore[arg-type]


def test_the_search_ends_where_the_generator_can_no_more() -> None:
    peak = find_peak(server(5_000, late_from=2_000), capacity=1_500)  # type: ignore[arg-type]

    assert peak.best is not None
    assert peak.best.plan.rate is not None
    assert peak.best.plan.rate < 2_000
    assert peak.generator_failed
    assert peak.beyond is None


def test_a_generator_that_cannot_keep_the_first_rate_is_given_lower_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """A closed loop asks less of it than an open one at half that rate, on a processor that it shares."""
    peak = find_peak(server(5_000, late_from=2_000), capacity=12_000)  # type: ignore[arg-type]
    show_peak(peak, Workload(Target(socket.AF_INET, ("127.0.0.1", 9), (b"",)), "/predict/churn", "churn@1", 1))

    assert peak.best is not None
    assert peak.best.plan.rate is not None
    assert 1_000 < peak.best.plan.rate < 2_000
    assert peak.beyond is None
    assert "The server may do more" in capsys.readouterr().out


def test_an_objective_that_no_rate_keeps_ends_the_search_too() -> None:
    peak = find_peak(server(0), capacity=1_000)  # type: ignore[arg-type]

    assert peak.best is None
    assert len(peak.steps) == 12


@pytest.mark.parametrize(
    ("late_from", "said"), [(0.0, "the generator did not keep"), (400.0, "try a longer one"), (1e9, "try a longer one")]
)
def test_whose_fault_it_is_that_no_rate_was_found_is_told(
    late_from: float, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    peak = find_peak(server(0, late_from=late_from), capacity=1_000)  # type: ignore[arg-type]

    target = Target(socket.AF_INET, ("127.0.0.1", 9), (b"",))
    show_peak(peak, Workload(target, "/predict/churn", "churn@1", 1))

    assert said in capsys.readouterr().out
