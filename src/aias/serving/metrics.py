"""What a server has done: plain integers while it works, Prometheus' text when asked.

All is counted on the event loop's own thread, so nothing needs a lock.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import msgspec

from aias.serving.statistics import Counted, Statistics

PHASES: Final = ("decode", "run", "encode", "queue")

BATCH_ROWS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)

BUCKETS_SECONDS: Final = (
    *(0.00001, 0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001),
    *(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)


class Histogram:
    """How often each bucket was hit, and the sum of all."""

    __slots__ = ("buckets", "counts", "sum")

    def __init__(self, buckets: tuple[float, ...] = BUCKETS_SECONDS) -> None:
        self.buckets = buckets
        self.counts = [0] * (len(buckets) + 1)
        self.sum = 0.0

    def add(self, amount: float) -> None:
        self.counts[bisect_left(self.buckets, amount)] += 1
        self.sum += amount

    def merge(self, counts: list[int], total: float) -> None:
        self.counts = [a + b for a, b in zip(self.counts, counts, strict=True)]
        self.sum += total

    def cumulative(self) -> list[tuple[str, float]]:
        """The buckets as Prometheus wants them: all that took at most so long."""
        total, found = 0, []
        for bound, count in zip((*map(str, self.buckets), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, float(total)))
        return found


class Snapshot(msgspec.Struct):
    """All that a server has counted, as plain values."""

    requests: list[tuple[str, str, int, int]]
    counts: dict[str, dict[str, int]]
    phases: dict[str, list[tuple[list[int], float]]]
    batches: dict[str, tuple[list[int], float]]
    loaded: list[tuple[str, str]]
    tiers: list[tuple[str, str]]
    open_connections: int
    statistics: Counted


_COUNTERS: Final = ("rows", "refusals", "load_failures", "demotions", "adoptions")


class Metrics:
    """`loaded` tells endpoint and version of each model, `tiers` where each runs, `open_connections` their count."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        self.rows: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.load_failures: Counter[str] = Counter()
        self.demotions: Counter[str] = Counter()
        self.adoptions: Counter[str] = Counter()
        self.batches: dict[str, Histogram] = {}
        self.tiers: Callable[[], Iterable[tuple[str, str]]] = lambda: ()
        self.phases: dict[str, tuple[Histogram, ...]] = {}
        self.statistics = Statistics()
        self.loaded: Callable[[], Iterable[tuple[str, str]]] = lambda: ()
        self.open_connections: Callable[[], int] = lambda: 0

    def answered(self, endpoint: str, version: str, status: int) -> None:
        self.requests[endpoint, version, status] += 1

    def predicted(
        self, endpoint: str, rows: int, phases: tuple[float, float, float], *, queue: float | None = None
    ) -> None:
        """Note the rows of a request, and the seconds that each phase took; of the run, `queue` was spent waiting."""
        self.rows[endpoint] += rows
        histograms = self.phases.get(endpoint)
        if histograms is None:
            histograms = self.phases[endpoint] = tuple(Histogram() for _ in PHASES)
        decode, run, encode = phases
        if queue is not None:
            histograms[3].add(queue)
            run -= queue
        histograms[0].add(decode)
        histograms[1].add(run)
        histograms[2].add(encode)

    def ran(self, version: str, rows: int) -> None:
        """Note a run in a thread."""
        histogram = self.batches.get(version)
        if histogram is None:
            histogram = self.batches[version] = Histogram(BATCH_ROWS)
        histogram.add(rows)

    def snapshot(self) -> Snapshot:
        return Snapshot(
            [(*labels, count) for labels, count in self.requests.items()],
            {name: dict(getattr(self, name)) for name in _COUNTERS},
            {name: [(each.counts, each.sum) for each in found] for name, found in self.phases.items()},
            {name: (each.counts, each.sum) for name, each in self.batches.items()},
            list(self.loaded()),
            list(self.tiers()),
            self.open_connections(),
            self.statistics.counted(),
        )

    def add(self, more: Snapshot, *, gauges: bool = False) -> None:
        """Count what another server has counted too; `gauges`: and have what it has now."""
        for endpoint, version, status, count in more.requests:
            self.requests[endpoint, version, status] += count
        for name in _COUNTERS:
            getattr(self, name).update(more.counts.get(name, {}))
        for endpoint, found in more.phases.items():
            histograms = self.phases.setdefault(endpoint, tuple(Histogram() for _ in PHASES))
            for histogram, (counts, total) in zip(histograms, found, strict=True):
                histogram.merge(counts, total)
        for version, (counts, total) in more.batches.items():
            self.batches.setdefault(version, Histogram(BATCH_ROWS)).merge(counts, total)
        self.statistics.add(more.statistics)
        if gauges:
            loaded = sorted({*self.loaded(), *more.loaded})
            tiers = sorted({*self.tiers(), *more.tiers})
            count = self.open_connections() + more.open_connections
            self.loaded, self.tiers, self.open_connections = lambda: loaded, lambda: tiers, lambda: count

    def text(self) -> bytes:
        """All of it in the text format of Prometheus."""
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry(auto_describe=False)
        registry.register(self)
        return generate_latest(registry)

    def collect(self) -> Iterator[Any]:
        """The families, as prometheus_client asks its collectors for them."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        requests = CounterMetricFamily("aias_requests", "Requests answered", labels=("endpoint", "version", "status"))
        for (endpoint, version, status), count in self.requests.items():
            requests.add_metric((endpoint, version, str(status)), count)
        yield requests
        for name, help_text, label, counts in (
            ("aias_rows", "Rows answered", "endpoint", self.rows),
            ("aias_refusals", "Requests refused", "reason", self.refusals),
            ("aias_load_failures", "Versions that could not be loaded", "endpoint", self.load_failures),
            (
                "aias_demotions",
                "Models sent to threads for holding up the loop",
                "endpoint",
                self.demotions,
            ),
            (
                "aias_adoptions",
                "Connections of workers that ended, by what became of them",
                "fate",
                self.adoptions,
            ),
        ):
            family = CounterMetricFamily(name, help_text, labels=(label,))
            for value, count in counts.items():
                family.add_metric((value,), count)
            yield family
        seconds = HistogramMetricFamily("aias_seconds", "Seconds by phase", labels=("endpoint", "phase"))
        for endpoint, histograms in self.phases.items():
            for phase, histogram in zip(PHASES, histograms, strict=True):
                seconds.add_metric((endpoint, phase), histogram.cumulative(), histogram.sum)
        yield seconds
        batches = HistogramMetricFamily("aias_batch_rows", "Rows of a run in a thread", labels=("version",))
        for version, histogram in self.batches.items():
            batches.add_metric((version,), histogram.cumulative(), histogram.sum)
        yield batches
        tiers = GaugeMetricFamily("aias_tier", "Where a model runs", labels=("endpoint", "tier"))
        for endpoint, tier in self.tiers():
            tiers.add_metric((endpoint, tier), 1)
        yield tiers
        loaded = GaugeMetricFamily("aias_loaded", "Versions in memory", labels=("endpoint", "version"))
        for endpoint, version in self.loaded():
            loaded.add_metric((endpoint, version), 1)
        yield loaded
        yield GaugeMetricFamily("aias_open_connections", "Open connections", self.open_connections())
