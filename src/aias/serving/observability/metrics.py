"""What a server has done: plain integers while it works, Prometheus' text when asked.

All is counted on the event loop's own thread, so nothing needs a lock.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final

import msgspec
import numpy as np

from aias.access.accounts import Usage
from aias.access.keys import Key
from aias.core.arrays import Floats
from aias.serving.http.messages import Reply
from aias.serving.observability.statistics import Counted, Statistics
from aias.serving.observability.tallies import Tallies

PHASES: Final = ("decode", "run", "encode", "queue")

BATCH_ROWS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)

BUCKETS_SECONDS: Final = (
    *(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001),
    *(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)

LOAD_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Histogram:
    """How often each bucket was hit, and the sum of all."""

    __slots__ = ("buckets", "counts", "sum")

    def __init__(self, buckets: tuple[float, ...] = BUCKETS_SECONDS) -> None:
        self.buckets = buckets
        self.counts = [0] * (len(buckets) + 1)
        self.sum = 0.0

    def add(self, amount: float, times: int = 1) -> None:
        self.counts[bisect_left(self.buckets, amount)] += times
        self.sum += times * amount

    def add_all(self, amounts: Floats) -> None:
        places = np.searchsorted(self.buckets, amounts, side="left")
        found = np.bincount(places, minlength=len(self.counts)).tolist()
        self.counts = [a + b for a, b in zip(self.counts, found, strict=True)]
        self.sum += float(amounts.sum())

    def merge(self, more: "Counts") -> None:
        """Add another's; each bucket to the same one."""
        counts, total = more
        self.counts = [a + b for a, b in zip(self.counts, counts, strict=True)]
        self.sum += total

    @property
    def held(self) -> "Counts":
        """As it is now: counting goes on while another thread writes this down."""
        return self.counts.copy(), self.sum

    @property
    def shown(self) -> tuple[list[tuple[str, float]], float]:
        """As Prometheus wants it: of each bucket all that took at most so long; and the sum."""
        bounds = (*map(str, self.buckets), "+Inf")
        return [*zip(bounds, map(float, accumulate(self.counts)), strict=True)], self.sum


Counts = tuple[list[int], float]
"""What a histogram holds, as plain values."""


class Work:
    """What one version has answered for one endpoint: rows, seconds by phase, and seconds of whole requests."""

    __slots__ = ("phases", "rows", "whole")

    def __init__(self) -> None:
        self.rows, self.whole = 0, Histogram()
        self.phases = tuple(Histogram() for _ in PHASES)


class Tally:
    """How often a refusal was said again, and when for the last time: noted by who says it, counted when somebody
    reads."""

    __slots__ = ("at", "times")

    def __init__(self) -> None:
        self.times, self.at = 0, 0.0


class Snapshot(msgspec.Struct):
    """All that a server has counted, as plain values."""

    requests: list[tuple[str, str, int, int]]
    refusals: list[tuple[str, str, str, int]]
    counts: dict[str, dict[str, int]]
    work: list[tuple[str, str, int, Counts, list[Counts]]]
    loaded: list[tuple[str, str]]
    tiers: list[tuple[str, str]]
    open_connections: int
    statistics: Counted
    load_seconds: Counts
    models_bytes: tuple[int, int]
    instead_of: list[str] = []
    """Files whose counts are in here, should they still be there."""


_COUNTERS: Final = (
    "load_failures",
    "loads",
    "unloads",
    "demotions",
    "cache_hits",
    "cache_misses",
    "cache_shared",
    "adoptions",
)


class Metrics:
    """`loaded` tells endpoint and version of each model, `tiers` where each runs, `open_connections` their count;
    `models_bytes`: what models take, and may; `more`: families that others make."""

    def __init__(self) -> None:
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._refusals: Counter[tuple[str, str, str]] = Counter()
        # By reason, endpoint, version, and status.
        self._tallies: dict[tuple[str, str, str, int], Tally] = {}
        self.load_failures: Counter[str] = Counter()
        self.loads: Counter[str] = Counter()
        self.unloads: Counter[str] = Counter()
        self.load_seconds = Histogram(LOAD_SECONDS)
        self.models_bytes: Callable[[], tuple[int, int]] = lambda: (0, 0)
        self.demotions: Counter[str] = Counter()
        self.adoptions: Counter[str] = Counter()
        self.cache_hits: Counter[str] = Counter()
        self.cache_misses: Counter[str] = Counter()
        self.cache_shared: Counter[str] = Counter()
        self.tiers: Callable[[], Iterable[tuple[str, str]]] = lambda: ()
        self._work: dict[tuple[str, str], Work] = {}
        self._statistics, self._seen = Statistics(), Tallies()
        self.loaded: Callable[[], Iterable[tuple[str, str]]] = lambda: ()
        self.open_connections: Callable[[], int] = lambda: 0
        self.quotas: Callable[[], Iterable[tuple[Key, Usage]]] = lambda: ()
        self.shared_quotas: Callable[[], Iterable[tuple[str, Usage]]] = lambda: ()
        self.more: Callable[[], Iterable[Any]] = lambda: ()

    def answered(self, endpoint: str, version: str, status: int) -> None:
        self._requests[endpoint, version, status] += 1

    def refused(self, reason: str, endpoint: str = "", version: str = "") -> None:
        """`endpoint` and `version` where the request had come to a model."""
        self._refusals[reason, endpoint, version] += 1

    def tally(self, reason: str, endpoint: str, version: str, *, status: int) -> Tally:
        """Where refusals are counted that are the same for many. `version`: "" where they had come to none."""
        return self._tallies.setdefault((reason, endpoint, version, status), Tally())

    def predicted(
        self,
        endpoint: str,
        version: str,
        rows: int,
        phases: tuple[float, float, float],
        *,
        seconds: float,
        queue: float | None = None,
        status: int = 200,
        batch_rows: int = 0,
    ) -> None:
        """Note a request that a model has answered, its rows, and the seconds that each phase and the whole took; of
        the run, `queue` was spent waiting. `batch_rows`: of all that ran together, which is noted as `executed`."""
        if self._seen.add((endpoint, version), seconds, phases, queue, rows, status, batch_rows):
            self._add_up()

    def executed(self, endpoint: str, version: str, rows: int, seconds: float) -> None:
        """Note a run of several requests' rows."""
        self._statistics.executed(endpoint, version, rows, seconds)

    def unrun(self, endpoint: str, version: str, reply: Reply, seconds: float) -> None:
        """Note a request that has come to a model, and was answered without a run."""
        self._statistics.note(endpoint, version, reply, seconds)

    def repeated(self, endpoint: str, version: str, rows: int) -> None:
        """Note the rows of a request that was answered without a run."""
        self._work.setdefault((endpoint, version), Work()).rows += rows

    @property
    def requests(self) -> Counter[tuple[str, str, int]]:
        self._add_up()
        return self._requests

    @property
    def refusals(self) -> Counter[tuple[str, str, str]]:
        self._add_up()
        return self._refusals

    @property
    def work(self) -> dict[tuple[str, str], Work]:
        self._add_up()
        return self._work

    @property
    def statistics(self) -> Statistics:
        self._add_up()
        return self._statistics

    @property
    def batches(self) -> dict[tuple[str, str], Histogram]:
        """The rows of each run, on the loop or in a thread, of each endpoint's version. Nothing is counted for it but
        what statistics need."""
        found = dict[tuple[str, str], Histogram]()
        for of, sizes in self.statistics.runs():
            histogram = found[of] = Histogram(BATCH_ROWS)
            for rows, runs in sizes:
                histogram.add(rows, runs)
        return found

    def _add_up(self) -> None:
        for (reason, endpoint, version, status), tally in self._tallies.items():
            times, tally.times = tally.times, 0
            if times:
                self._refusals[reason, endpoint, version] += times
                self._requests[endpoint, version, status] += times
                if version:
                    self._statistics.failed(endpoint, version, times, tally.at)
        for (endpoint, version), block in self._seen.take():
            self._statistics.ran(endpoint, version, block)
            for status, count in zip(*np.unique(block.status, return_counts=True), strict=True):
                self._requests[endpoint, version, int(status)] += int(count)
            work = self._work.setdefault((endpoint, version), Work())
            work.rows += int(block.rows.sum())
            waited = block.queue >= 0
            in_decode, in_run, in_encode, in_queue = work.phases
            work.whole.add_all(block.seconds)
            in_decode.add_all(block.decode)
            in_run.add_all(block.run - np.where(waited, block.queue, 0.0))
            in_encode.add_all(block.encode)
            in_queue.add_all(block.queue[waited])

    def snapshot(self) -> Snapshot:
        return Snapshot(
            [(*labels, count) for labels, count in self.requests.items()],
            [(*labels, count) for labels, count in self.refusals.items()],
            {name: dict(getattr(self, name)) for name in _COUNTERS},
            [
                (*labels, work.rows, work.whole.held, [each.held for each in work.phases])
                for labels, work in self.work.items()
            ],
            list(self.loaded()),
            list(self.tiers()),
            self.open_connections(),
            self.statistics.counted(),
            self.load_seconds.held,
            self.models_bytes(),
        )

    def add(self, more: Snapshot, *, gauges: bool = False) -> None:
        """Count what another server has counted too; `gauges`: and have what it has now."""
        for endpoint, version, status, count in more.requests:
            self._requests[endpoint, version, status] += count
        for reason, endpoint, version, count in more.refusals:
            self._refusals[reason, endpoint, version] += count
        for name in _COUNTERS:
            getattr(self, name).update(more.counts.get(name, {}))
        for endpoint, version, rows, whole, phases in more.work:
            work = self.work.setdefault((endpoint, version), Work())
            work.rows += rows
            work.whole.merge(whole)
            for histogram, held in zip(work.phases, phases, strict=True):
                histogram.merge(held)
        self.statistics.add(more.statistics)
        self.load_seconds.merge(more.load_seconds)
        if gauges:
            loaded = sorted({*self.loaded(), *more.loaded})
            tiers = sorted({*self.tiers(), *more.tiers})
            count = self.open_connections() + more.open_connections
            (taken, most), (others, others_most) = self.models_bytes(), more.models_bytes
            self.loaded, self.tiers, self.open_connections = lambda: loaded, lambda: tiers, lambda: count
            self.models_bytes = lambda: (taken + others, most + others_most)

    def later(self) -> Callable[[], "Metrics"]:
        """What there is now, for a thread to put together while counting goes on: of 500 versions that takes long."""
        held, used, more, shared = self.snapshot(), list(self.quotas()), self.more, list(self.shared_quotas())

        def still() -> Metrics:
            found = Metrics()
            found.add(held, gauges=True)
            found.quotas, found.shared_quotas = lambda: used, lambda: shared
            found.more = more  # of trials, which is known of all workers together
            return found

        return still

    def seen_by(self, tenant: str) -> "Metrics":
        """Without what other tenants, and keys of others, have used; nobody, "", sees all."""
        if tenant:
            used, shared = self.quotas, self.shared_quotas
            self.quotas = lambda: [(key, usage) for key, usage in used() if key.tenant == tenant]
            self.shared_quotas = lambda: [(name, usage) for name, usage in shared() if name == tenant]
        return self

    def text(self) -> bytes:
        """All of it in the text format of Prometheus."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Any]:
        """The families, as prometheus_client asks its collectors for them."""
        from prometheus_client.core import CounterMetricFamily as Count
        from prometheus_client.core import GaugeMetricFamily as Gauge
        from prometheus_client.core import HistogramMetricFamily as Buckets

        of, work = ("endpoint", "version"), self.work.items()
        yield family(Count, "aias_requests", "Requests answered", (*of, "status"), self.requests.items())
        said = "Connections of workers that ended, by what became of them"
        yield family(Count, "aias_adoptions", said, ("fate",), _each(self.adoptions))
        yield family(Count, "aias_refusals", "Requests refused", ("reason", *of), self.refusals.items())
        for name, said, counts in (
            ("aias_load_failures", "Versions that could not be loaded", self.load_failures),
            ("aias_loads", "Versions loaded into memory", self.loads),
            ("aias_unloads", "Versions that had to leave memory for others", self.unloads),
            ("aias_demotions", "Models sent to threads for holding up the loop", self.demotions),
            ("aias_cache_hits", "Requests answered from memory", self.cache_hits),
            ("aias_cache_misses", "Requests that could have been, and were run", self.cache_misses),
            ("aias_cache_shared", "Requests answered by the run of an equal one", self.cache_shared),
        ):
            yield family(Count, name, said, of[:1], _each(counts))
        yield family(Count, "aias_rows", "Rows answered", of, ((at, each.rows) for at, each in work))
        whole = ((at, *each.whole.shown) for at, each in work)
        yield family(Buckets, "aias_request_seconds", "Seconds of whole requests", of, whole)
        phases = (
            ((*at, phase), *histogram.shown)
            for at, each in work
            for phase, histogram in zip(PHASES, each.phases, strict=True)
        )
        yield family(Buckets, "aias_seconds", "Seconds by phase", (*of, "phase"), phases)
        batches = ((at, *histogram.shown) for at, histogram in self.batches.items())
        yield family(Buckets, "aias_batch_rows", "Rows of a run", of, batches)
        tiers, loaded = ((at, 1) for at in self.tiers()), ((at, 1) for at in self.loaded())
        yield family(Gauge, "aias_tier", "Where a model runs", ("endpoint", "tier"), tiers)
        yield family(Gauge, "aias_loaded", "Versions in memory", of, loaded)
        loading = [((), *self.load_seconds.shown)]
        yield family(Buckets, "aias_load_seconds", "Seconds of loading and trying out a version", (), loading)
        held, most = self.models_bytes()
        yield Gauge("aias_models_bytes", "Memory of the loaded models, of all workers together", held)
        yield Gauge("aias_models_bytes_max", "What they may take; 0 for no bound", most)
        own = [((key.id, key.name, usage.quota), usage) for key, usage in self.quotas()]
        shared = [((tenant, usage.quota), usage) for tenant, usage in self.shared_quotas()]
        for whose, name, labels, usages in (
            ("key", "aias_quota", ("key", "name", "quota"), own),
            ("tenant", "aias_tenant_quota", ("tenant", "quota"), shared),
        ):
            used, left = ((at, each.used) for at, each in usages), ((at, each.left) for at, each in usages)
            yield family(Gauge, f"{name}_used", f"Of a {whose}'s quota: gone", labels, used)
            yield family(Gauge, f"{name}_left", f"Of a {whose}'s quota: still there", labels, left)
        yield Gauge("aias_open_connections", "Open connections", self.open_connections())
        yield from self.more()


def family(kind: Any, name: str, said: str, labels: Sequence[str], found: Iterable[tuple[Any, ...]]) -> Any:
    """One family of prometheus_client. Of each that is `found`: the labels, and its value, or buckets and their sum."""
    made = kind(name, said, labels=labels)
    for values, *amounts in found:
        made.add_metric([str(value) for value in values], *amounts)
    return made


def _each(counts: Counter[str]) -> Iterator[tuple[tuple[str], int]]:
    return (((name,), count) for name, count in counts.items())
