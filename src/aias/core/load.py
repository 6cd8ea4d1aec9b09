"""How much longer everything takes than on a machine with nothing else to do.

Linux tells of each thread how long it ran, and how long it waited for a processor that others had.
"""

import contextlib
import os
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from aias.core.cpus import cpus

LOOK_SECONDS: Final = 1.0
"""Between two looks; each reads a file for every thread."""

WINDOW_SECONDS: Final = 10.0
"""That are looked back on: others' work comes and goes."""

RAN_SECONDS_MIN: Final = 0.1
"""Who ran less says nothing of how long waiting takes."""

Seconds = tuple[float, float]
"""How long a thread ran, and how long it waited."""


@dataclass(eq=False)
class Load:
    """Of the processes that `pids` gives, such as `family`; without any, or where the system does not tell, nobody ever
    waits."""

    pids: Callable[[], Iterable[int]] = tuple
    clock: Callable[[], float] = time.monotonic
    read: Callable[[int], dict[int, Seconds]] = field(default_factory=lambda: threads)
    cores: int = field(default_factory=cpus)
    _known: dict[int, Seconds] = field(default_factory=dict)
    _looks: deque[tuple[float, float, float]] = field(default_factory=deque)
    """When, and how much all had run and waited by then."""
    _stretch: float = 1.0
    _runnable: float = 0.0
    """How many threads ran or waited, in the mean."""

    def __post_init__(self) -> None:
        self._look()

    @property
    def stretch(self) -> float:
        """1 where nobody waits; 3 where for each second of work two are waited."""
        if self.clock() - self._looks[-1][0] >= LOOK_SECONDS:
            self._look()
        return self._stretch

    def stretch_of(self, threads: int) -> float:
        """The same when only so many threads of ours are left: the others waited for each other, too. So it is where
        all threads have equal shares; where each group of them has, these have more."""
        return max(1.0, self.stretch - max(0.0, self._runnable - threads) / self.cores)

    def _look(self) -> None:
        now, (_, ran, waited) = self.clock(), self._looks[-1] if self._looks else (0.0, 0.0, 0.0)
        found: dict[int, Seconds] = {}
        for pid in self.pids():
            found |= self.read(pid)
        if self._looks:  # what was before anybody looked is of no interest now
            before = {thread: self._known.get(thread, (0.0, 0.0)) for thread in found}
            ran += sum(run - before[thread][0] for thread, (run, _) in found.items())
            waited += sum(wait - before[thread][1] for thread, (_, wait) in found.items())
        self._known = found
        self._looks.append((now, ran, waited))
        while len(self._looks) > 2 and now - self._looks[1][0] >= WINDOW_SECONDS:
            self._looks.popleft()
        then, ran_then, waited_then = self._looks[0]
        if ran - ran_then >= RAN_SECONDS_MIN:
            self._stretch = 1.0 + (waited - waited_then) / (ran - ran_then)
            self._runnable = (ran - ran_then + waited - waited_then) / (now - then)


def family() -> list[int]:
    """This process and all that it started, and that these did."""
    found = [os.getpid()]
    for pid in found:  # which grows meanwhile
        with contextlib.suppress(OSError):  # of a process that has just ended
            for listed in Path(f"/proc/{pid}/task").glob("*/children"):
                with contextlib.suppress(OSError):  # or of a thread
                    found += [int(child) for child in listed.read_text(encoding="ascii").split()]
    return found


def threads(pid: int) -> dict[int, Seconds]:
    """Of the threads of a process; none where it is gone, or the system does not tell."""
    found: dict[int, Seconds] = {}
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with contextlib.suppress(OSError, ValueError):
                ran, waited, _ = (task / "schedstat").read_text(encoding="ascii").split()
                found[int(task.name)] = (int(ran) / 1e9, int(waited) / 1e9)
    return found
