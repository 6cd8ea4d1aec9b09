"""Whether a worker stands still: stopped by a signal, or asleep for what never comes. Its loop beats in the journal.

    beat moves ───────────────────────────▶ alive
    it does not ─ every thread is stopped ─▶ ended after two seconds: nobody may ever let it go on
                ├ every thread sleeps, and none has used the processor ─▶ ended after as long as a run may take there
                └ one is at work, or wants to be, or waits for a disk ──▶ alive: a starved machine is nobody's fault

Looks are counted, and not seconds: who is stopped together with its supervisor has not stood still for long.
Who starts has no loop yet, and is judged by its threads alone.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

STOPPED_SECONDS_MAX: Final = 2.0
"""SIGSTOP by mistake, or by a hand that does not come back; meanwhile its callers wait."""

STOPPED: Final = "is stopped"

TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
"""Of what a thread has used of the processor, as `/proc` counts it."""


class Heartbeat:
    """Of the process with a number. `look` is called `every` so many seconds."""

    __slots__ = ("_asleep", "_beat", "_pid", "_stopped", "_ticks")

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._beat = self._ticks = -1
        self._stopped = self._asleep = 0

    def look(self, beat: int, *, every: float, asleep_seconds: float) -> str:
        """What it is instead of alive, when it has been that for too long."""
        if beat != self._beat:
            self._beat, self._ticks = beat, -1
            self._stopped = self._asleep = 0
            return ""
        states, ticks = threads_of(self._pid)
        same, self._ticks = ticks == self._ticks, ticks
        self._stopped = self._stopped + 1 if states == {"T"} else 0
        self._asleep = self._asleep + 1 if states == {"S"} and same else 0
        if self._stopped >= STOPPED_SECONDS_MAX / every:
            return STOPPED
        return "does nothing, and hears nobody" if self._asleep >= asleep_seconds / every else ""


def state_of(pid: int) -> str:
    """The kernel's letter for what a process is at; none where there is no such process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return ""


def threads_of(pid: int) -> tuple[set[str], int]:
    """The states of a process's threads, and what they have used of the processor, in ticks of the kernel."""
    states, ticks = set[str](), 0
    with suppress(OSError):
        for each in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                # The name, in brackets, may hold anything.
                fields = (each / "stat").read_text().rpartition(")")[2].split()
                states.add(fields[0])
                ticks += int(fields[11]) + int(fields[12])
    return states, ticks
