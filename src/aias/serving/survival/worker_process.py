"""What the supervisor holds of each worker's process."""

import errno
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from aias.core.events import Event
from aias.serving.survival.crash_record import AGAIN_DEATHS, LOADING_DEATHS
from aias.serving.survival.heartbeat import STOPPED, TICKS_A_SECOND, Heartbeat, state_of, threads_of
from aias.serving.survival.journal import Layout, Pages
from aias.serving.survival.keeper import can_keep
from aias.serving.survival.verdicts import SlotRecord

FROM_OUTSIDE: Final = frozenset((0, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP))
"""How a process ends that somebody else has ended; of what it ran, nothing can be said."""

_ENDED: Final = ("", "Z", "X")
"""States of a process that runs no more."""

_FOR_NOW: Final = (errno.EMFILE, errno.ENFILE, errno.EAGAIN)
"""What a system refuses that has been used up, and may have it again."""

KEEPER_SECONDS: Final = 10.0
"""A worker that has lived so long and loses its keeper is replaced; where each does at once, none would ever answer."""

START_ASLEEP_SECONDS_MAX: Final = 120.0
"""A worker that starts may wait for others, and use no processor: ten seconds for the database, and minutes for another
that unpacks the same large model."""

_STARTS: Final = -2
"""In the place of its beats, until it is ready."""


class RunSeconds(NamedTuple):
    """What a run may take, by where it is."""

    on_loop: float
    in_thread: float
    loading: float


class WorkerChannel:
    """A worker's journal and the socket pair by which sockets go to and fro."""

    def __init__(self, layout: Layout) -> None:
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self.pages = Pages.make(layout)
        except OSError:
            self.ours.close()
            self.theirs.close()
            raise
        self.ours.setblocking(False)

    @classmethod
    def make(cls, layout: Layout) -> "WorkerChannel | None":
        """None where this machine cannot keep connections. Raises `OSError` where it only cannot now."""
        try:
            return cls(layout) if can_keep() else None
        except OSError as fault:
            if fault.errno in _FOR_NOW:
                raise
            return None

    def close(self) -> None:
        self.pages.close()
        self.ours.close()
        self.theirs.close()


@dataclass(eq=False, slots=True)
class WorkerProcess:
    """One process of a worker, from its start to its end. `stuck`: places whose run had to be ended with it; `counts`:
    the name by which it leaves what it has counted; `unkept`: its keeper has ended, and nobody could go on with its
    connections; `hangs_loading`: it slept instead of becoming ready; `failed`: why what is deployed does not answer, by
    endpoint and version."""

    popen: "subprocess.Popen[bytes]"
    channel: WorkerChannel | None
    started_at: float
    counts: str = ""
    ready: bool = False
    leaving: bool = False
    said: str = ""
    keeper: int | None = None
    unkept: bool = False
    hangs_loading: bool = False
    stuck: dict[int, str] = field(default_factory=dict)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    threads: Callable[[int], tuple[set[str], int]] = threads_of
    _seen: dict[tuple[int, int], float] = field(default_factory=dict)
    _ticks: int | None = None
    _heartbeat: Heartbeat | None = None

    def hear(self, event: Event) -> None:
        """What it says of what it could load, and what it could not."""
        loaded = str(event.facts.get("endpoint")), str(event.facts.get("version"))
        if event.name == "serve.load-failed":
            self.failed[loaded] = event.message
        elif event.name == "serve.loaded":
            self.failed.pop(loaded, None)

    def must_end(self, now: int, most: RunSeconds, *, every: float) -> Event | None:
        """Why it has to be ended: a run that goes on for too long, or it stands still though none does, also before it
        is ready."""
        if self.find_stuck(now, most, every=every):
            loading = self.channel is not None and self.stuck.keys() & {*self.channel.pages.layout.loading}
            what = f"{'loading' if loading else 'a run of'} {', '.join(self.stuck.values())}"
            said = f"{what} does not end; its process is ended"
            return Event("serve.run-stuck", said, "warning", {"versions": sorted(self.stuck.values())})
        if self.channel is None:
            return None
        pid = self.popen.pid
        self._heartbeat = self._heartbeat or Heartbeat(pid)
        # What starts has no loop yet that could beat: what its threads are at says enough.
        beat = self.channel.pages.beat if self.ready else _STARTS
        asleep_seconds = most.on_loop if self.ready else max(most.on_loop, START_ASLEEP_SECONDS_MAX)
        why = self._heartbeat.look(beat, every=every, asleep_seconds=asleep_seconds)
        if not why:
            return None
        self.hangs_loading = not self.ready and why != STOPPED
        self.said = said = f"the worker with the process {pid} {why}; it is ended"
        return Event("serve.worker-hung", said, "warning", {"pid": pid, "why": why})

    def find_stuck(self, now: int, most: RunSeconds, *, every: float) -> bool:
        """Whether a run has gone on for too long; `now` in nanoseconds, `every` in seconds.

        It must also have been seen as often as one that looks so often would have, and been able to go on meanwhile:
        on a machine that stands still, who looks does too, and who waits for a processor is not to blame.
        """
        if self.channel is None or self.stuck:
            return False
        seen = {}
        running = self.channel.pages.running()
        again = any((place, since) in self._seen for place, (_, since) in running.items())
        could = self._could_go_on(every) if again else 1.0
        loading = self.channel.pages.layout.loading
        for place, (version, since) in running.items():
            in_thread = min(most.in_thread, self.channel.pages.most_seconds(place)) if place else most.on_loop
            seconds = most.loading if place in loading else in_thread
            seen[place, since] = self._seen.get((place, since), 0.0) + could
            if now - since > seconds * 1e9 and seen[place, since] >= seconds / every:
                self.stuck[place] = version
        self._seen = seen
        return bool(self.stuck)

    def _could_go_on(self, every: float) -> float:
        """The part of the time between two looks that it has had: all, unless somebody in it waits for a processor;
        then as much as all of them have used."""
        states, ticks = self.threads(self.popen.pid)
        before, self._ticks = self._ticks, ticks
        if "R" not in states:
            return 1.0
        return 0.0 if before is None else min(1.0, (ticks - before) / (TICKS_A_SECOND * every))

    def suspects(self) -> dict[str, float]:
        """The versions in whose runs it has died, and how much each is to blame; nobody where it was killed from
        outside, unless a request was in it that had seen a worker die before."""
        if self.channel is None:
            return {}
        pages = self.channel.pages
        if self.stuck:
            # What never ends while it is loaded would hold up each next worker as long.
            return {name: LOADING_DEATHS if at in pages.layout.loading else 1.0 for at, name in self.stuck.items()}
        running = pages.running()
        again = {kept.place for index, _ in pages.descriptors() if (kept := SlotRecord.of(pages, index)).tries}
        repeated = {found[0] for place, found in running.items() if place in again}
        if self.popen.returncode in FROM_OUTSIDE and not self.hangs_loading:
            return dict.fromkeys(repeated, 1.0)
        if loading := {running[place][0] for place in pages.layout.loading if place in running}:
            return {version: LOADING_DEATHS / len(loading) for version in loading}
        if repeated:
            return dict.fromkeys(repeated, AGAIN_DEATHS)
        versions = {version for version, _ in running.values()}
        return {version: 1 / len(versions) for version in versions}

    def lost_keeper(self) -> Event | None:
        """Said once: its keeper has ended before it. One that is only stopped is woken: the end of its worker would
        never be heard of, for as long as it stands still."""
        if self.keeper is None or self.unkept:
            return None
        state = state_of(self.keeper)
        if state == "T":
            with suppress(ProcessLookupError):
                os.kill(self.keeper, signal.SIGCONT)
        if state not in _ENDED or time.monotonic() - self.started_at < KEEPER_SECONDS:
            return None
        if state_of(self.popen.pid) in _ENDED:
            # It has ended with its worker, as it should. (`poll` knows nothing while another thread waits.)
            return None
        self.unkept = True
        pid = self.popen.pid
        said = f"who keeps the connections of the worker with the process {pid} has ended; the worker is replaced"
        return Event("serve.keeper-ended", said, "warning", {"pid": pid})

    def leave(self, how: int = signal.SIGHUP) -> None:
        """Finish what it has begun; somebody else is there. What is unkept closes its connections itself."""
        self.leaving = True
        if self.unkept:
            self.end()
        else:
            self.signal(how)

    def wait(self, until: float) -> None:
        """For its end, which it is given then."""
        try:
            self.popen.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()

    def end(self) -> None:
        """The server stops, and nobody goes on with its connections."""
        if self.channel is not None:
            self.channel.pages.end()
        self.signal(signal.SIGTERM)

    def signal(self, which: int) -> None:
        with suppress(ProcessLookupError):
            self.popen.send_signal(which)

    def kill(self) -> None:
        """And have its keeper, if that is stopped with it, hear of it."""
        self.signal(signal.SIGKILL)
        with suppress(ProcessLookupError):
            os.killpg(self.popen.pid, signal.SIGCONT)

    def close_pipe(self) -> None:
        assert self.popen.stdin is not None
        with suppress(OSError):
            self.popen.stdin.close()

    def reap_keeper(self) -> None:
        """Where orphans are given to us, as to the first process of a container."""
        if self.keeper is not None:
            with suppress(ChildProcessError):
                os.waitpid(self.keeper, os.WNOHANG)
