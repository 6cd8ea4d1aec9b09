"""L-BFGS finds the minima that are known, in few rounds, in either precision."""

from typing import Any

import numpy as np
import pytest

from aias.core.lbfgs import minimise


def bowl(x: Any) -> tuple[float, Any]:
    """Of conditioning 100; its minimum is 0 at 1, 2, 3, ..."""
    strength = np.logspace(0, 2, len(x)).astype(x.dtype)
    off = x - np.arange(1, 1 + len(x), dtype=x.dtype)
    return 0.5 * float(strength @ (off * off)), strength * off


def valley(x: Any) -> tuple[float, Any]:
    """Rosenbrock 1960: the minimum is at (1, 1)."""
    bend = x[1] - x[0] ** 2
    return float(100 * bend**2 + (1 - x[0]) ** 2), np.array([-400 * x[0] * bend - 2 * (1 - x[0]), 200 * bend])


@pytest.mark.parametrize(("kind", "near"), [(np.float64, 1e-4), (np.float32, 1e-2)])
def test_a_bowl_ends_at_its_bottom(kind: Any, near: float) -> None:
    found = minimise(bowl, np.zeros(20, kind), rounds_max=300, tolerance=1e-14)
    assert found.dtype == kind
    np.testing.assert_allclose(found, np.arange(1, 21), atol=near)


def test_a_bent_valley_is_followed_to_its_end() -> None:
    np.testing.assert_allclose(minimise(valley, np.array([-1.2, 1.0]), rounds_max=200, tolerance=1e-15), 1, atol=1e-4)


def test_it_never_ends_higher_than_it_began_and_stops_when_told() -> None:
    start, rounds = np.full(20, 5.0), iter(range(100))
    found = minimise(bowl, start, rounds_max=100, tolerance=0.0, stop=lambda: next(rounds) >= 3)
    assert bowl(found)[0] < bowl(start)[0]
    assert bowl(found)[0] > 1e-9


def test_the_minimum_itself_stays_where_it_is() -> None:
    start = np.arange(1.0, 21.0)
    np.testing.assert_array_equal(minimise(bowl, start, rounds_max=9, tolerance=0.0), start)
