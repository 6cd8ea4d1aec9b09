"""Latencies: how many took how long, to within one percent, from a nanosecond to hours, in constant memory.

Each power of two is cut into 128 equal steps, as Gil Tene's HdrHistogram has it: whatever comes, adding costs the same,
and the histograms of several runs can be added up.
"""

import math
from typing import Final

_BITS: Final = 7
_STEPS: Final = 1 << _BITS
_NS_MAX: Final = (1 << 44) - 1
"""Almost five hours; what takes longer is counted there."""


class Latencies:
    """Of some requests, in seconds."""

    __slots__ = ("buckets", "count", "highest", "lowest", "total")

    def __init__(self) -> None:
        self.buckets: dict[int, int] = {}
        self.count, self.total, self.lowest, self.highest = 0, 0.0, math.inf, 0.0

    def add(self, seconds: float) -> None:
        ns = min(max(int(seconds * 1e9), 0), _NS_MAX)
        shift = ns.bit_length() - _BITS - 1
        at = ns if shift <= 0 else (shift << _BITS) + (ns >> shift)
        self.buckets[at] = self.buckets.get(at, 0) + 1
        self.count += 1
        self.total += seconds
        if seconds < self.lowest:
            self.lowest = seconds
        if seconds > self.highest:
            self.highest = seconds

    def merge(self, other: "Latencies") -> None:
        for at, count in other.buckets.items():
            self.buckets[at] = self.buckets.get(at, 0) + count
        self.count += other.count
        self.total += other.total
        self.lowest, self.highest = min(self.lowest, other.lowest), max(self.highest, other.highest)

    @property
    def mean(self) -> float:
        return self.total / self.count if self.count else math.nan

    def at(self, share: float) -> float:
        """What so large a share of the requests took at most: `at(0.99)` is the 99th percentile."""
        rank, seen = self._rank(share), 0
        for at, count in sorted(self.buckets.items()):
            seen += count
            if seen >= rank:
                return min(_above(at) / 1e9, self.highest)
        return math.nan

    def beyond(self, share: float) -> int:
        """How many took longer than `at(share)`, by rank: a percentile that few lie beyond says little."""
        return self.count - self._rank(share) if self.count else 0

    def curve(self) -> list[tuple[float, float]]:
        """Share and seconds of each step that was hit: that share took at most so long."""
        points, seen = [], 0
        for at, count in sorted(self.buckets.items()):
            seen += count
            points.append((seen / self.count, min(_above(at) / 1e9, self.highest)))
        return points

    def within(self, bounds: list[float]) -> list[int]:
        """How many lie between each bound and the one before; the last: how many lie beyond all."""
        found, edge = [0] * (len(bounds) + 1), 0
        for at, count in sorted(self.buckets.items()):
            while edge < len(bounds) and _above(at) / 1e9 > bounds[edge] * (1 + 1 / _STEPS):
                edge += 1
            found[edge] += count
        return found

    def _rank(self, share: float) -> int:
        return max(1, math.ceil(share * self.count - 1e-9))


def _above(at: int) -> int:
    """Nanoseconds where a cell ends."""
    shift = max((at >> _BITS) - 1, 0)
    return (at - (shift << _BITS) + 1) << shift
