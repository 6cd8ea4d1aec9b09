"""Metrics of several workers as if there were one: each leaves its counts in a file, and whoever is asked adds them up.

A worker that is started again goes on from the file of the one before it, so no counter ever falls. It writes once a
second when something has changed, and before it answers: what has been shown once is never taken back. Dying, it may
take the counts of its last second with it. Counting itself costs what it costs one process: additions in memory. The
loop only copies what it has counted; reading, adding up and writing are for threads.
"""

import contextlib
import threading
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from aias.serving.metrics import Metrics, Snapshot

WRITE_SECONDS: Final = 1.0


class Sums:
    def __init__(self, folder: Path, index: int) -> None:
        self._folder, self._own = folder, folder / f"{index}.json"
        self._wrote, self._wrote_serial = b"", -1
        self._serials, self._writing = count(), threading.Lock()

    def carry_on(self, metrics: Metrics) -> None:
        """Begin where the worker before this one has ended."""
        if (before := _read(self._own)) is not None:
            _add(metrics, before)

    def write(self, metrics: Metrics) -> None:
        """Leave what has been counted where the others find it. A full disk costs counts, not answers."""
        self.written(metrics)()

    def written(self, metrics: Metrics) -> Callable[[], None]:
        """The same in two steps: the first on the loop, the second in any thread."""
        serial, held = next(self._serials), metrics.snapshot()

        def write() -> None:
            with self._writing:
                # What was counted before never comes after what was counted later.
                if serial > self._wrote_serial:
                    self._wrote_serial = serial
                    self._write(msgspec.json.encode(held))

        return write

    def end(self, metrics: Metrics) -> None:
        """Leave what has been counted for good: what this process has now, it has no more."""
        metrics.loaded, metrics.tiers, metrics.open_connections = lambda: (), lambda: (), lambda: 0
        metrics.models_bytes = lambda: (0, 0)
        self.write(metrics)

    def total(self, metrics: Metrics) -> Metrics:
        """The counts of all workers."""
        return self.totalled(metrics)()

    def totalled(self, metrics: Metrics) -> Callable[[], Metrics]:
        """The same in two steps: the first on the loop, the second in any thread."""
        write, still = self.written(metrics), metrics.later()

        def total() -> Metrics:
            write()
            found = still()
            for path in sorted(self._folder.glob("*.json")):
                if path != self._own and (more := _read(path)) is not None:
                    _add(found, more, gauges=True)
            return found

        return total

    def _write(self, held: bytes) -> None:
        if held == self._wrote:
            return
        fresh = self._own.with_suffix(".new")
        with contextlib.suppress(OSError):
            fresh.write_bytes(held)
            fresh.replace(self._own)
            self._wrote = held


def _add(metrics: Metrics, more: Snapshot, *, gauges: bool = False) -> None:
    """A worker that another release has started may have other buckets: its counts fit nowhere, and are left out."""
    trial = Metrics()
    with contextlib.suppress(ValueError):
        trial.add(more)
        metrics.add(more, gauges=gauges)


def _read(path: Path) -> Snapshot | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except (OSError, msgspec.MsgspecError):
        return None
