import math

import numpy as np
import pytest

from aias.registry.rollout.evidence import TIMES, Comparison, Evidence

BOUND, ALARMS, RUNS, CELLS = 0.02, 0.1, 80, 150


def ever_certain(
    rng: np.random.Generator, share: np.ndarray | float, live: np.ndarray | float, *, asked: int = 1, beside: int = 9
) -> bool:
    """Whether, looked at after every cell, it is ever called worse."""
    ours = rng.binomial(asked, np.broadcast_to(share, CELLS))
    theirs = rng.binomial(beside, np.broadcast_to(live, CELLS))
    seen = Comparison()
    for bad, live_bad in zip(ours.tolist(), theirs.tolist(), strict=True):
        seen.see(asked=asked, bad=bad, live_asked=beside, live_bad=live_bad, bound=BOUND)
        if seen.wealth >= math.log(1 / ALARMS):
            return True
    return False


def often(share: np.ndarray | float, live: np.ndarray | float, *, asked: int = 1, beside: int = 9) -> float:
    rng = np.random.default_rng(7)
    return sum(ever_certain(rng, share, live, asked=asked, beside=beside) for _ in range(RUNS)) / RUNS


DRIFT = 0.3 * (np.sin(np.linspace(0, 9, CELLS)) > 0) + 0.01
ALLOWED = ALARMS + 3 * math.sqrt(ALARMS * (1 - ALARMS) / RUNS)


@pytest.mark.parametrize(
    ("share", "live"), [(BOUND, BOUND), (BOUND, 0.0), (0.2, 0.2), (DRIFT, DRIFT), (0.01, 0.0)],
    ids=["at the bound", "at the bound, the live one never", "both far above", "both in waves", "below the bound"],
)  # fmt: skip
def test_what_is_not_worse_is_hardly_ever_called_so_however_often_one_looks(share: object, live: object) -> None:
    assert often(share, live) <= ALLOWED
    assert often(share, live, asked=5, beside=5) <= ALLOWED


def test_the_average_gain_of_what_is_exactly_alike_is_at_most_one() -> None:
    """Hypergeometric, as the docstring says: n answers of which k are bad are dealt to both at random."""
    for n, k, asked in ((2, 1, 1), (2, 2, 1), (20, 3, 1), (20, 7, 10), (6, 6, 2)):
        average = np.zeros(len(TIMES))
        for bad in range(max(0, k - (n - asked)), min(k, asked) + 1):
            probability = math.comb(k, bad) * math.comb(n - k, asked - bad) / math.comb(n, asked)
            seen = Comparison()
            seen.see(asked=asked, bad=bad, live_asked=n - asked, live_bad=k - bad, bound=BOUND)
            average += probability * np.exp(seen.beside)
        assert (average <= 1 + 1e-12).all(), (n, k, asked)


@pytest.mark.parametrize(("share", "live"), [(0.5, 0.0), (0.3, 0.01), (DRIFT + 0.5, DRIFT)])
def test_what_is_clearly_worse_is_found_out(share: object, live: object) -> None:
    assert often(share, live) >= 0.95


def test_a_version_that_never_answers_is_found_out_by_a_handful_of_failures() -> None:
    seen = Evidence()
    told = []
    for _ in range(4):
        seen.errors.see(asked=1, bad=1, live_asked=19, live_bad=0, bound=0.01)
        told.append(bool(seen.worse(error_share=0.01, slower=1.5, false_alarms=0.01)))

    assert (told[0], told[-1]) == (False, True)
    assert "of the live version 0 of" in seen.worse(error_share=0.01, slower=1.5, false_alarms=0.01)


def test_what_workers_have_seen_adds_up_to_what_one_would_have() -> None:
    rng = np.random.default_rng(1)
    one, other, both = Evidence(), Evidence(), Evidence()
    for at in range(50):
        cell = {"asked": 3, "bad": int(rng.binomial(3, 0.2)), "live_asked": 7, "live_bad": int(rng.binomial(7, 0.1))}
        for each in (one if at % 2 else other), both:
            each.slow.see(**cell, bound=0.05)
            each.errors.see(**cell, bound=0.01)
    one.mirrored.difference_max, other.mirrored.difference_max = 0.5, 0.25

    one.add(other)

    assert (one.slow.asked, one.slow.bad) == (both.slow.asked, both.slow.bad)
    assert one.errors.wealth == pytest.approx(both.errors.wealth)
    assert one.slow.wealth == pytest.approx(both.slow.wealth)
    assert one.mirrored.difference_max == 0.5
