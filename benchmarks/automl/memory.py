"""How much memory a process and all its children take, and how long they had processors, seen from outside."""

import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

SECONDS_BETWEEN: Final = 0.2

LOOKED_SHARE: Final = 0.01
"""Of the time of one core, at most, that goes into looking: the system walks all pages of each process for it, 10 ms
where it holds 400 MB, and a system of many processes would be slowed down by a sixth."""

GROWN: Final = 1.02
"""Times what all held together when it was last looked closely; then it is done again at once."""

_TICK: Final = os.sysconf("SC_CLK_TCK")


class PeakMemory(threading.Thread):
    """Watches until `stop`. Pages that processes share count once (PSS), since forks share most of theirs.

    What each holds by itself (RSS) is told at once, so it says when the sum may have become larger.
    """

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_mb = pid, 0.0
        self._ran: dict[int, float] = {}
        self._stopped = threading.Event()

    @property
    def processor_seconds(self) -> float:
        """Of all processes together, those that are gone too."""
        return sum(self._ran.values())

    def run(self) -> None:
        most, again_at = 0.0, 0.0
        while not self._stopped.wait(SECONDS_BETWEEN):
            pids = _family(self.pid)
            held = sum(_rss_mb(pid) for pid in pids)
            self._ran |= {pid: ran for pid in pids if (ran := _ran_seconds(pid)) is not None}
            if held > GROWN * most or time.monotonic() >= again_at:
                began = time.thread_time()
                self.peak_mb = max(self.peak_mb, sum(_pss_mb(pid) for pid in pids))
                most = max(most, held)
                again_at = time.monotonic() + (time.thread_time() - began) / LOOKED_SHARE

    def stop(self) -> float:
        self._stopped.set()
        self.join()
        return self.peak_mb


def _family(pid: int) -> list[int]:
    """The process and those that it started, and those that they started."""
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        with suppress(OSError):  # of a process that has just ended
            for listed in Path(f"/proc/{one}/task").glob("*/children"):
                with suppress(OSError):  # or of a thread
                    todo += [int(child) for child in listed.read_text().split()]
    return found


def _pss_mb(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:  # it has just ended
        return 0.0
    return 0.0


def _rss_mb(pid: int) -> float:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except (OSError, IndexError):
        return 0.0


def _ran_seconds(pid: int) -> float | None:
    try:
        said = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(said[11]) + int(said[12])) / _TICK
    except (OSError, IndexError):
        return None
