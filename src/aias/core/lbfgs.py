"""The minimum of a smooth function of very many variables: L-BFGS (Liu and Nocedal 1989) with a weak Wolfe search.

SciPy's takes bounds too, and for hundreds of thousands of variables its own work then takes longer than the function.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.floating[Any]]

Value = Callable[[Vector], tuple[float, Vector]]
"""The function at a point, and its gradient there."""

MEMORY: Final = 8
"""Steps from which the curvature is known."""

DECREASE: Final = 1e-4
CURVATURE: Final = 0.9
TRIES_MAX: Final = 20
GRADIENT_MIN: Final = 1e-5


@dataclass(frozen=True, slots=True, eq=False)
class _Point:
    x: Vector
    value: float
    gradient: Vector


def minimise(
    value: Value, start: Vector, *, rounds_max: int, tolerance: float, stop: Callable[[], bool] = lambda: False
) -> Vector:
    """Until a round gains relatively less than `tolerance`; what it has reached when `stop` says so."""
    here = _Point(start, *value(start))
    pairs: deque[tuple[Vector, Vector, float]] = deque(maxlen=MEMORY)
    for _ in range(rounds_max):
        if float(np.abs(here.gradient).max(initial=0.0)) <= GRADIENT_MIN or stop():
            break
        found = _step(value, here, _direction(here.gradient, pairs), first=not pairs)
        if found is None:  # nothing is lower in this direction but for rounding
            break
        moved, turned = found.x - here.x, found.gradient - here.gradient
        curved = float(moved @ turned)
        if curved > 0:
            pairs.append((moved, turned, curved))
        gain, size = here.value - found.value, max(abs(here.value), abs(found.value), 1.0)
        here = found
        if gain <= tolerance * size:
            break
    return here.x


def _direction(gradient: Vector, pairs: deque[tuple[Vector, Vector, float]]) -> Vector:
    """The two loops of Nocedal 1980."""
    direction = -gradient
    parts = []
    for moved, turned, curved in reversed(pairs):
        part = float(moved @ direction) / curved
        direction -= part * turned
        parts.append(part)
    if pairs:
        _, turned, curved = pairs[-1]
        direction *= curved / float(turned @ turned)
    for (moved, turned, curved), part in zip(pairs, reversed(parts), strict=True):
        direction += (part - float(turned @ direction) / curved) * moved
    return direction


def _step(value: Value, here: _Point, direction: Vector, *, first: bool) -> _Point | None:
    """Far enough and not too far (Lewis and Overton 2013); at worst the last point that is lower."""
    slope = float(here.gradient @ direction)
    low, high = 0.0, np.inf
    length = 1 / float(np.linalg.norm(direction)) if first else 1.0
    lower: _Point | None = None
    for _ in range(TRIES_MAX):
        x = here.x + here.x.dtype.type(length) * direction
        there = _Point(x, *value(x))
        if not there.value <= here.value + DECREASE * length * slope:
            high = length
        else:
            lower = there
            if float(there.gradient @ direction) >= CURVATURE * slope:
                break
            low = length
        length = 2 * low if np.isinf(high) else (low + high) / 2
    return lower
