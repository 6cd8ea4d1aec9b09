"""What each version has answered, in the units of the protocol's statistics extension: counts and nanoseconds.

Counted on the event loop's own thread, like the metrics.
"""

import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from aias.core.arrays import Floats
from aias.serving.http.messages import Reply
from aias.serving.observability.tallies import Block


@dataclass(slots=True)
class Duration:
    """How often, and how long altogether."""

    count: int = 0
    ns: int = 0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.ns += int(seconds * 1e9 + 0.5)

    def add_all(self, seconds: Floats) -> None:
        self.count += len(seconds)
        self.ns += int(np.rint(seconds * 1e9).sum())

    def merge(self, other: "Duration") -> None:
        self.count += other.count
        self.ns += other.ns


@dataclass(frozen=True, slots=True)
class Phases:
    """How many requests, or runs, and the seconds of each phase of theirs. Never changes, as other threads read it."""

    count: int = 0
    decode: float = 0.0
    run: float = 0.0
    encode: float = 0.0

    def plus(self, other: "Phases") -> "Phases":
        return Phases(
            self.count + other.count, self.decode + other.decode, self.run + other.run, self.encode + other.encode
        )


@dataclass(slots=True)
class VersionStatistics:
    """`phases` of requests; `sizes`: those of runs, by the rows that ran together."""

    last_at_ms: int = 0
    rows: int = 0
    success: Duration = field(default_factory=Duration)
    queue: Duration = field(default_factory=Duration)
    fail: Duration = field(default_factory=Duration)
    repeated: Duration = field(default_factory=Duration)
    sizes: dict[int, Phases] = field(default_factory=dict)
    phases: Phases = Phases()

    def merge(self, other: "VersionStatistics") -> None:
        self.last_at_ms = max(self.last_at_ms, other.last_at_ms)
        self.rows += other.rows
        self.success.merge(other.success)
        self.queue.merge(other.queue)
        self.fail.merge(other.fail)
        self.repeated.merge(other.repeated)
        self.phases = self.phases.plus(other.phases)
        for size, phases in other.sizes.items():
            self.ran(size, phases)

    def ran(self, size: int, phases: Phases) -> None:
        """Runs of so many rows."""
        known = self.sizes.get(size)
        self.sizes[size] = phases if known is None else known.plus(phases)

    def copy(self) -> "VersionStatistics":
        success, queue, fail, repeated = map(replace, (self.success, self.queue, self.fail, self.repeated))
        return VersionStatistics(
            self.last_at_ms, self.rows, success, queue, fail, repeated, self.sizes.copy(), self.phases
        )


Counted = list[tuple[str, str | int, VersionStatistics]]
"""What a server has counted, by endpoint and version: plain values, for another process to add up. An older release
tells the version's number only."""


class Statistics:
    """Of every version that has been asked since the server started."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._versions: dict[tuple[str, str], VersionStatistics] = {}

    def note(self, endpoint: str, version: str, reply: Reply, seconds: float, *, queue: float = 0.0) -> None:
        """Count an answered request, or one that failed with a model at hand. `queue`: seconds that it waited."""
        found = self._versions.get((endpoint, version))
        if found is None:
            found = self._versions[endpoint, version] = VersionStatistics()
        found.last_at_ms = round(self._clock() * 1000)
        if reply.repeated:
            found.success.add(seconds)
            found.repeated.add(seconds)
            return
        if reply.phases is None:
            found.fail.add(seconds)
            return
        decode, run, encode = reply.phases
        phases = Phases(1, decode, run - queue, encode)
        found.success.add(seconds)
        found.queue.add(queue)
        found.rows += reply.rows
        found.phases = found.phases.plus(phases)
        found.ran(reply.rows, phases)

    def failed(self, endpoint: str, version: str, times: int, at: float) -> None:
        """Count requests that were turned away in no time, the last of them at that time."""
        found = self._versions.setdefault((endpoint, version), VersionStatistics())
        found.last_at_ms = max(found.last_at_ms, round(at * 1000))
        found.fail.count += times

    def ran(self, endpoint: str, version: str, block: Block) -> None:
        """Count answered requests, all at once. Those that ran together are `executed` besides."""
        found = self._versions.get((endpoint, version))
        if found is None:
            found = self._versions[endpoint, version] = VersionStatistics()
        found.last_at_ms = max(found.last_at_ms, round(float(block.at[-1]) * 1000))
        found.rows += int(block.rows.sum())
        found.success.add_all(block.seconds)
        queue = np.maximum(block.queue, 0.0)
        found.queue.add_all(queue)
        run, alone = block.run - queue, block.batch_rows == 0
        whole = (float(each.sum()) for each in (block.decode, run, block.encode))
        found.phases = found.phases.plus(Phases(len(block.rows), *whole))
        sizes = np.where(alone, block.rows, block.batch_rows)
        for size in np.unique(sizes[sizes > 0]):
            of_it = sizes == size
            own = of_it & alone
            phases = Phases(
                int(own.sum()),
                float(block.decode[of_it].sum()),
                float(run[own].sum()),
                float(block.encode[of_it].sum()),
            )
            found.ran(int(size), phases)

    def executed(self, endpoint: str, version: str, rows: int, seconds: float) -> None:
        """Count a run of several requests' rows."""
        self._versions.setdefault((endpoint, version), VersionStatistics()).ran(rows, Phases(1, run=seconds))

    def runs(self) -> Iterator[tuple[tuple[str, str], list[tuple[int, int]]]]:
        """Of each endpoint and version that has run: rows, and how many runs had so many."""
        for of, found in self._versions.items():
            if sizes := [(rows, phases.count) for rows, phases in found.sizes.items() if phases.count]:
                yield of, sizes

    def counted(self) -> Counted:
        """As it is now, whatever is counted afterwards."""
        return [(endpoint, version, found.copy()) for (endpoint, version), found in self._versions.items()]

    def add(self, more: Counted) -> None:
        """Count what another process of the same server has counted too."""
        for endpoint, version, found in more:
            # Most endpoints have the name of their model.
            whole = version if isinstance(version, str) else f"{endpoint}@{version}"
            self._versions.setdefault((endpoint, whole), VersionStatistics()).merge(found)

    def of(self, known: Collection[tuple[str, str]]) -> Iterator[dict[str, object]]:
        """What the extension calls `model_stats`: of `known` (endpoint, version), asked or not, and of versions before.

        The extension tells versions by their number: of those of several models the one that is known has it, or else
        the last that was asked. Nothing is counted as a miss of the cache: whether a request could have been there, its
        cost decides.
        """
        names = {name for name, _ in known}
        before = sorted((found.last_at_ms, *of) for of, found in self._versions.items() if of[0] in names)
        pairs = [*((name, version) for _, name, version in before), *known]
        shown = {(name, int(version.rpartition("@")[2])): version for name, version in pairs}
        for (name, number), version in sorted(shown.items()):
            yield _described(name, number, self._versions.get((name, version), VersionStatistics()))


def _described(name: str, number: int, found: VersionStatistics) -> dict[str, object]:
    return {
        "name": name,
        "version": str(number),
        "last_inference": found.last_at_ms,
        "inference_count": found.rows,
        "execution_count": sum(each.count for each in found.sizes.values()),
        "inference_stats": {
            "success": _plain(found.success),
            "fail": _plain(found.fail),
            "queue": _plain(found.queue),
            **_phases(found.phases),
            "cache_hit": _plain(found.repeated),
            "cache_miss": {"count": 0, "ns": 0},
        },
        "batch_stats": [{"batch_size": size, **_phases(found.sizes[size])} for size in sorted(found.sizes)],
    }


def _phases(phases: Phases) -> dict[str, object]:
    each = {"compute_input": phases.decode, "compute_infer": phases.run, "compute_output": phases.encode}
    return {name: {"count": phases.count, "ns": round(seconds * 1e9)} for name, seconds in each.items()}


def _plain(duration: Duration) -> dict[str, int]:
    return {"count": duration.count, "ns": duration.ns}
