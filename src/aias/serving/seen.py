"""What was seen of answered requests: put down as it is, and added up hundreds at a time.

    a request ─▶ seven numbers behind the others ─ full, or somebody reads ─▶ histograms, sums, statistics

To add each request to five histograms and eight sums takes 6 us of it, a tenth of what it takes to answer a small one;
NumPy adds up hundreds for a twentieth of that each.
"""

import time
from array import array
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

REQUESTS_MAX: Final = 512
"""Of one endpoint's version until they are added up: 100 us at once."""

_WIDTH: Final = 7
_NUMBERS_MAX: Final = REQUESTS_MAX * _WIDTH


class Block(NamedTuple):
    """Of requests of one version at one endpoint, a value each; `queue` is below 0 of one that no thread waited for,
    and part of `run`."""

    seconds: Floats
    decode: Floats
    run: Floats
    encode: Floats
    queue: Floats
    rows: Floats
    at: Floats


class Seen:
    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str, int], array[float]] = {}

    def add(
        self, which: tuple[str, str, int], seconds: float, phases: tuple[float, float, float], queue: float | None,
        rows: int,
    ) -> bool:  # fmt: skip
        """Put a request down; `which`: endpoint, version, and its number. Whether it is time to add up."""
        numbers = self._numbers.get(which)
        if numbers is None:
            numbers = self._numbers[which] = array("d")
        numbers.extend((seconds, *phases, -1.0 if queue is None else queue, rows, time.time()))
        return len(numbers) >= _NUMBERS_MAX

    def take(self) -> Iterator[tuple[tuple[str, str, int], Block]]:
        """All that was put down since."""
        for which, numbers in self._numbers.items():
            if numbers:
                block = Block(*np.array(numbers).reshape(-1, _WIDTH).T)
                del numbers[:]
                yield which, block
