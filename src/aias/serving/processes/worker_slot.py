"""A worker's place: the sockets, the process that is there, and when the next one is started after it has died."""

import socket
import time
from dataclasses import dataclass
from typing import Final

from aias.serving.survival.worker_process import FROM_OUTSIDE, WorkerProcess

SETTLED_SECONDS: Final = 10.0
"""A worker that has lived so long and dies has done its work; deaths before that are counted as in a row."""

QUICK_DEATHS: Final = 2
"""In a row, after which a worker starts at once: what ended it, ended it from outside, or by chance."""

PAUSE_SECONDS: Final = 0.25
PAUSE_SECONDS_MAX: Final = 5.0
"""To start takes a second of a processor: one worker that cannot live costs a sixth of one."""

PAUSE_SECONDS_ALONE: Final = 1.0
"""Where nobody else answers meanwhile."""

PAUSE_SECONDS_SUCCEEDED: Final = 60.0
"""Where the one before it answers: a release that cannot start, say, which may take a while to be mended."""


@dataclass(eq=False, slots=True)
class Worker:
    """`next` is to take the place of `process`."""

    index: int
    sockets: list[socket.socket]
    process: WorkerProcess | None = None
    next: WorkerProcess | None = None
    deaths: int = 0
    restart_at: float | None = None

    @property
    def ready(self) -> bool:
        return self.process is not None and self.process.ready

    @property
    def is_settled(self) -> bool:
        """Whether no other process starts here, or is about to."""
        return self.next is None and self.restart_at is None

    def pause_after(self, process: WorkerProcess, *, alone: bool) -> float:
        """Seconds until it is started again, as this one has ended. `alone`: nobody else answers."""
        if process.ready and process.popen.returncode in FROM_OUTSIDE:
            # It could live; that somebody kills it says nothing of how the next one will do.
            self.deaths = 0
            return 0.0
        settled = time.monotonic() - process.started_at >= SETTLED_SECONDS
        self.deaths = 1 if settled else self.deaths + 1
        return 0.0 if self.deaths <= QUICK_DEATHS else self._pause(alone=alone)

    def pause_unstarted(self, *, alone: bool) -> float:
        """The same, as the system had nothing left to start it with; that is not over at once."""
        self.deaths = max(QUICK_DEATHS, self.deaths) + 1
        return self._pause(alone=alone)

    def _pause(self, *, alone: bool) -> float:
        most = PAUSE_SECONDS_ALONE if alone else PAUSE_SECONDS_MAX
        if self.process is not None:
            most = PAUSE_SECONDS_SUCCEEDED
        return min(most, PAUSE_SECONDS * 2.0 ** min(self.deaths - QUICK_DEATHS - 1, 10))
