"""Metrics of several workers as if there were one: each leaves its counts in a file, and whoever is asked adds them up.

    worker ─▶ 71-ab12-0.json ─┐
    worker ─▶ 71-ab12-2.json ─┼─ `total`, of whoever is asked
    gone   ─▶ 71-ab12-gone.json ◀─ `settle`: the files of all that have ended, as one

A worker writes once a second when something has changed, and before it answers: what has been shown once is never taken
back. Dying, it may take the counts of its last second with it. What those leave that have ended goes into one file, and
into that of another server which takes over; so no counter ever falls. Counting itself costs what it costs one process:
additions in memory. The loop only copies what it has counted; reading, adding up and writing are for threads.
"""

import contextlib
import os
import secrets
import threading
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from aias.serving.observability.metrics import BUCKETS_SECONDS, LOAD_SECONDS, PHASES, Metrics, Snapshot

WRITE_SECONDS: Final = 1.0

GONE: Final = "gone"
"""How the name of the file ends that belongs to nobody any more."""


class SummedMetrics:
    """`name`: what no other process in the folder has."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._own = folder, folder / f"{name}.json"
        self._wrote, self._wrote_serial = b"", -1
        self._serials, self._writing = count(), threading.Lock()

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
            for name, more in _read_all(self._folder).items():
                if name != self._own.name:
                    _add(found, more, gauges=True)
            return found

        return total

    def _write(self, held: bytes) -> None:
        if held != self._wrote:
            with contextlib.suppress(OSError):
                _replace(self._own, held)
                self._wrote = held


class Counts:
    """What the workers of one server leave, for who starts them; nothing, where the `folder` is "".

    `process`: the server's id. Another in the folder may have the same, in another container, or after it has come
    again: so there is more in a name.
    """

    def __init__(self, folder: str, process: int | None = None) -> None:
        self._folder, self._serials = Path(folder) if folder else None, count()
        self._server = f"{process or os.getpid()}-{secrets.token_hex(4)}"
        self._inherited: set[str] = set()

    def name(self) -> str:
        """For the next worker."""
        return f"{self._server}-{next(self._serials)}"

    def settle(self, ended: Iterable[str]) -> None:
        """Put what has `ended` together with all that has before; whoever reads meanwhile counts it once."""
        if self._folder is None:
            return
        own = self._folder / f"{self._server}-{GONE}.json"
        paths, held = [self._folder / f"{name}.json" for name in ended], Metrics()
        for each in filter(None, map(_read, [own, *paths])):
            _add(held, each)
        together = held.snapshot()
        together.instead_of = sorted({*(path.name for path in paths), *self._inherited})
        with contextlib.suppress(OSError):
            # Who was to take over may have taken it along.
            self._folder.mkdir(mode=0o700, exist_ok=True)
            _replace(own, msgspec.json.encode(together))
            for path in paths:
                path.unlink(missing_ok=True)

    def inherit(self, server: int) -> None:
        """Settle what another server has left, which is not there any more. Its workers may be, and write once more
        what they have counted: that is not looked at."""
        if self._folder is None:
            return
        ours = f"{self._server}-"
        found = [path for path in sorted(self._folder.glob(f"{server}-*.json")) if not path.name.startswith(ours)]
        for path in found:
            left = _read(path)
            self._inherited.update((path.name, *(() if left is None else left.instead_of)))
        self.settle([path.stem for path in found])


def _replace(path: Path, held: bytes) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_bytes(held)
    fresh.replace(path)


def _add(metrics: Metrics, more: Snapshot, *, gauges: bool = False) -> None:
    """A worker that another release has started may have other buckets: its counts fit nowhere, and are left out."""
    if _fits(more):
        metrics.add(more, gauges=gauges)


def _fits(more: Snapshot) -> bool:
    seconds, loads = (len(each) + 1 for each in (BUCKETS_SECONDS, LOAD_SECONDS))
    work = [(whole, *phases) for _endpoint, _version, _rows, whole, phases in more.work]
    return (
        all(len(each) == 1 + len(PHASES) for each in work)
        and all(len(counts) == seconds for each in work for counts, _total in each)
        and len(more.load_seconds[0]) == loads
    )


def _read_all(folder: Path) -> dict[str, Snapshot]:
    """Every file but those that another stands for. One that goes while this reads has become part of another."""
    found, has_gone = dict[str, Snapshot](), True
    while has_gone:
        found, has_gone = {}, False
        for path in sorted(folder.glob("*.json")):
            if (read := _read(path)) is not None:
                found[path.name] = read
            else:
                has_gone = has_gone or not path.exists()
    settled = {name for each in found.values() for name in each.instead_of}
    return {name: each for name, each in found.items() if name not in settled}


def _read(path: Path) -> Snapshot | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Snapshot)
    except (OSError, msgspec.MsgspecError):
        return None
