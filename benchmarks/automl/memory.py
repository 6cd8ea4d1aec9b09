"""How much memory a process and all its children take, seen from outside."""

import threading
from pathlib import Path
from typing import Final

SECONDS_BETWEEN: Final = 0.2


class PeakMemory(threading.Thread):
    """Watches until `stop`. Pages that processes share count once (PSS), since forks share most of theirs."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_mb = pid, 0.0
        self._stopped = threading.Event()

    def run(self) -> None:
        while not self._stopped.wait(SECONDS_BETWEEN):
            self.peak_mb = max(self.peak_mb, sum(_pss_mb(pid) for pid in _family(self.pid)))

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
        for listed in Path(f"/proc/{one}/task").glob("*/children"):
            try:
                todo += [int(child) for child in listed.read_text().split()]
            except OSError:  # a thread or process that has just ended
                continue
    return found


def _pss_mb(pid: int) -> float:
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
    except OSError:  # it has just ended
        return 0.0
    return 0.0
