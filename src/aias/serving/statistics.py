"""What each version has answered, in the units of the protocol's statistics extension: counts and nanoseconds.

Counted on the event loop's own thread, like the metrics.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from aias.serving.messages import Reply


@dataclass(slots=True)
class Duration:
    """How often, and how long altogether."""

    count: int = 0
    ns: int = 0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.ns += round(seconds * 1e9)

    def merge(self, other: "Duration") -> None:
        self.count += other.count
        self.ns += other.ns


@dataclass(slots=True)
class Phases:
    compute_input: Duration = field(default_factory=Duration)
    compute_infer: Duration = field(default_factory=Duration)
    compute_output: Duration = field(default_factory=Duration)

    def add(self, decode: float, run: float, encode: float) -> None:
        self.compute_input.add(decode)
        self.compute_infer.add(run)
        self.compute_output.add(encode)

    def merge(self, other: "Phases") -> None:
        self.compute_input.merge(other.compute_input)
        self.compute_infer.merge(other.compute_infer)
        self.compute_output.merge(other.compute_output)


@dataclass(slots=True)
class VersionStatistics:
    """`sizes`: the phases of requests by their number of rows."""

    last_at_ms: int = 0
    rows: int = 0
    success: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    phases: Phases = field(default_factory=Phases)
    sizes: dict[int, Phases] = field(default_factory=dict)

    def merge(self, other: "VersionStatistics") -> None:
        self.last_at_ms = max(self.last_at_ms, other.last_at_ms)
        self.rows += other.rows
        self.success.merge(other.success)
        self.queue.merge(other.queue)
        self.fail.merge(other.fail)
        self.phases.merge(other.phases)
        for size, phases in other.sizes.items():
            self.sizes.setdefault(size, Phases()).merge(phases)


Counted = list[tuple[str, int, VersionStatistics]]
"""What a server has counted, by endpoint and version's number: plain values, for another process to add up."""


class Statistics:
    """Of every version that has been asked since the server started."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._versions: dict[tuple[str, int], VersionStatistics] = {}

    def note(self, endpoint: str, number: int, reply: Reply, seconds: float, *, queue: float = 0.0) -> None:
        """Count an answered request, or one that failed with a model at hand. `queue`: seconds that it waited."""
        found = self._versions.get((endpoint, number))
        if found is None:
            found = self._versions[endpoint, number] = VersionStatistics()
        found.last_at_ms = round(self._clock() * 1000)
        if reply.phases is None:
            found.fail.add(seconds)
            return
        found.success.add(seconds)
        found.queue.add(queue)
        found.rows += reply.rows
        found.phases.add(*reply.phases)
        sizes = found.sizes.get(reply.rows)
        if sizes is None:
            sizes = found.sizes[reply.rows] = Phases()
        sizes.add(*reply.phases)

    def counted(self) -> Counted:
        return [(endpoint, number, found) for (endpoint, number), found in self._versions.items()]

    def add(self, more: Counted) -> None:
        """Count what another process of the same server has counted too."""
        for endpoint, number, found in more:
            self._versions.setdefault((endpoint, number), VersionStatistics()).merge(found)

    def of(self, known: Iterable[tuple[str, str]]) -> Iterator[dict[str, object]]:
        """What the extension calls `model_stats`: of `known` (endpoint, number), asked or not, and of versions before.

        There is no cache.
        """
        names = {name for name, _ in known}
        pairs = {(name, int(number)) for name, number in known}
        pairs |= {pair for pair in self._versions if pair[0] in names}
        for name, number in sorted(pairs):
            yield _described(name, number, self._versions.get((name, number), VersionStatistics()))


def _described(name: str, number: int, found: VersionStatistics) -> dict[str, object]:
    nothing = {"count": 0, "ns": 0}
    return {
        "name": name,
        "version": str(number),
        "last_inference": found.last_at_ms,
        "inference_count": found.rows,
        "execution_count": found.phases.compute_infer.count,
        "inference_stats": {
            "success": _plain(found.success),
            "fail": _plain(found.fail),
            "queue": _plain(found.queue),
            **_phases(found.phases),
            "cache_hit": nothing,
            "cache_miss": nothing,
        },
        "batch_stats": [{"batch_size": size, **_phases(found.sizes[size])} for size in sorted(found.sizes)],
    }


def _phases(phases: Phases) -> dict[str, object]:
    return {name: _plain(getattr(phases, name)) for name in ("compute_input", "compute_infer", "compute_output")}


def _plain(duration: Duration) -> dict[str, int]:
    return {"count": duration.count, "ns": duration.ns}
