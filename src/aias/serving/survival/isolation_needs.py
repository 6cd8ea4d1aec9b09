"""Which models need a process of their own before anything has died: by what is measured.

when it is loaded      one row takes seconds       a run in a thread cannot be stopped; a process can
                       it holds the interpreter    everybody else's turn waits for its run
while it answers       memory grows and grows      its process can be renewed between two runs
"""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Final

from aias.serving.versions.model import Model

LONG_SECONDS: Final = 5.0
"""Of one row. Its worker would have to end with it, and all that it is at would be repeated."""

HELD_SECONDS: Final = 0.02
"""In one stretch; Python itself lets others have the interpreter after 5 ms."""

TRIES: Final = 3
"""On a busy machine a thread may be kept from the processor for long, but hardly each time."""

_TICK_SECONDS: Final = 0.001

SAMPLE_SECONDS: Final = 10.0
SAMPLES: Final = 60
GROWING_SAMPLES: Final = 30
"""Of so many: what fills its caches grows at first, and then no more."""

GROWTH_BYTES_MIN: Final = 1 << 20
GROWTH_BYTES_MAX: Final = 256 << 20
"""Beyond what loading takes. At this pace it is 1.5 GB an hour."""


def why_apart(model: Model) -> str | None:
    """What was measured that speaks for a process of its own, if anything did."""
    if model.row_seconds >= LONG_SECONDS:
        return f"a row takes {model.row_seconds:.3g} s, and a run that has begun cannot be stopped in a thread"
    if model.row_seconds < HELD_SECONDS:
        return None
    held = held_seconds(lambda: model.runtime.predict([model.example]))
    if held < HELD_SECONDS:
        return None
    return f"it holds the interpreter for {1000 * held:.0f} ms of a run, in which nobody else is answered"


def held_seconds(run: Callable[[], object]) -> float:
    """The longest stretch of a run in which no other thread had its turn; of several runs the least."""
    least = float("inf")
    for _ in range(TRIES):
        least = min(least, _held(run))
        if least < HELD_SECONDS:
            return least
    return least


def _held(run: Callable[[], object]) -> float:
    """Counted in what the run itself has had of the processor: who merely waits for that holds nobody up."""
    clock: list[int] = []
    total: list[float] = []

    def timed() -> None:
        clock.append(time.pthread_getcpuclockid(threading.get_ident()))
        # It has answered the same question before.
        with contextlib.suppress(Exception):
            run()
        total.append(time.thread_time())

    thread = threading.Thread(target=timed, name="aias-needs")
    thread.start()
    longest = last = 0.0
    while not total:
        time.sleep(_TICK_SECONDS)
        # The clock ends with its thread.
        with contextlib.suppress(OSError, IndexError):
            now = time.clock_gettime(clock[0])
            longest, last = max(longest, now - last), now
    thread.join()
    return max(longest, total[0] - last)


class Growth:
    """A worker's memory, looked at every `SAMPLE_SECONDS`: which version it is that has it grow without end."""

    def __init__(self) -> None:
        self._held: int | None = None
        self._rows: Mapping[str, int] = {}
        self._samples: dict[str, deque[float]] = {}

    def look(self, held: int, rows: Mapping[str, int]) -> list[str]:
        """`held`: bytes beside what loading took; `rows` that each version has answered. Versions that answered in the
        same stretch share what it grew; in processes of their own they show which it was."""
        ran = [version for version, count in rows.items() if count > self._rows.get(version, 0)]
        grown = 0 if self._held is None else held - self._held
        self._held, self._rows = held, dict(rows)
        found = []
        for version in ran:
            samples = self._samples.setdefault(version, deque(maxlen=SAMPLES))
            samples.append(grown / len(ran))
            steadily = sum(each >= GROWTH_BYTES_MIN for each in samples) >= GROWING_SAMPLES
            if steadily and sum(samples) >= GROWTH_BYTES_MAX:
                found.append(version)
                del self._samples[version]
        return found
