"""What was seen of answered requests: put down as it is, and added up hundreds at a time.

    a request ─▶ nine numbers behind the others ─ full, or somebody reads ─▶ histograms, sums, statistics

To add each request to five histograms and eight sums takes 6 us of it, a tenth of what it takes to answer a small one;
NumPy adds up hundreds for a twentieth of that each.
"""

import time
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

import numpy as np

from aias.core.arrays import Floats

REQUESTS_MAX: Final = 512
"""Of one endpoint's version until they are added up: 100 us at once."""

_NUMBERS: Final = Struct("=9d")


_pack: Final = _NUMBERS.pack


class Block(NamedTuple):
    """Of requests of one version at one endpoint, a value each; `queue` is below 0 of one that no thread waited for,
    and part of `run`; `batch_rows` is 0 of one that did not run with others."""

    seconds: Floats
    decode: Floats
    run: Floats
    encode: Floats
    queue: Floats
    rows: Floats
    status: Floats
    batch_rows: Floats
    at: Floats


class Tallies:
    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], list[bytes]] = {}

    def add(
        self, which: tuple[str, str], seconds: float, phases: tuple[float, float, float], queue: float | None,
        rows: int, status: int = 200, batch_rows: int = 0,
    ) -> bool:  # fmt: skip
        """Put a request down; `which`: endpoint and version. Whether it is time to add up."""
        seen = self._seen.get(which)
        if seen is None:
            seen = self._seen[which] = []
        seen.append(_pack(seconds, *phases, -1.0 if queue is None else queue, rows, status, batch_rows, time.time()))
        return len(seen) >= REQUESTS_MAX

    def take(self) -> Iterator[tuple[tuple[str, str], Block]]:
        """All that was put down since."""
        for which, seen in self._seen.items():
            if seen:
                numbers = np.frombuffer(b"".join(seen)).reshape(len(seen), -1)
                seen.clear()
                yield which, Block(*numbers.T)
