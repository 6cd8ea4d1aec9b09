"""The supervisor's side: what it holds of each worker's life, and how what a worker leaves gets to the others.

life ends ─▶ keeper's sockets + journal ─▶ letters ─▶ workers that are ready, in turn
                                            └ nobody is: they wait for the next that is
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Final

import msgspec

from aias.core.events import Event
from aias.serving.survival.adoption import DESCRIPTORS_MAX, MESSAGE_BYTES_MAX, Estate, send
from aias.serving.survival.blame import AGAIN_DEATHS, LOADING_DEATHS, Blame
from aias.serving.survival.journal import Layout, Pages
from aias.serving.survival.keeper import can_keep, received
from aias.serving.survival.passing import receive
from aias.serving.survival.pulse import TICKS_A_SECOND, Pulse, state_of, threads_of
from aias.serving.survival.verdicts import Left

CONNECTIONS_AT_ONCE: Final = 200

FROM_OUTSIDE: Final = frozenset((0, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP))
"""How a process ends that somebody else has ended; of what it ran, nothing can be said."""

_ENDED: Final = ("", "Z", "X")
"""States of a process that runs no more."""

KEEPER_SECONDS: Final = 10.0
"""A worker that has lived so long and loses its keeper is replaced; where each does at once, none would ever answer."""


class Ward:
    """A worker's journal and the socket pair by which sockets go to and fro."""

    def __init__(self, layout: Layout) -> None:
        self.pages = Pages.make(layout)
        self.ours, self.theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.ours.setblocking(False)

    @classmethod
    def make(cls, layout: Layout) -> "Ward | None":
        """None where this machine cannot keep connections."""
        with suppress(OSError):
            if can_keep():
                return cls(layout)
        return None

    def close(self) -> None:
        self.pages.close()
        self.ours.close()
        self.theirs.close()


@dataclass(eq=False, slots=True)
class Life:
    """One process of a worker, from its start to its end. `stuck`: places whose run had to be ended with it; `counts`:
    the name by which it leaves what it has counted; `unkept`: its keeper has ended, and nobody could go on with its
    connections; `failed`: why what is deployed does not answer, by endpoint and version."""

    process: "subprocess.Popen[bytes]"
    ward: Ward | None
    started_at: float
    counts: str = ""
    ready: bool = False
    leaving: bool = False
    said: str = ""
    keeper: int | None = None
    unkept: bool = False
    stuck: dict[int, str] = field(default_factory=dict)
    failed: dict[tuple[str, str], str] = field(default_factory=dict)
    threads: Callable[[int], tuple[set[str], int]] = threads_of
    _seen: dict[tuple[int, int], float] = field(default_factory=dict)
    _ticks: int | None = None
    _pulse: Pulse | None = None

    def hear(self, event: Event) -> None:
        """What it says of what it could load, and what it could not."""
        loaded = str(event.facts.get("endpoint")), str(event.facts.get("version"))
        if event.name == "serve.load-failed":
            self.failed[loaded] = event.message
        elif event.name == "serve.loaded":
            self.failed.pop(loaded, None)

    def must_end(self, now: int, *, on_loop: float, in_thread: float, every: float) -> Event | None:
        """Why it has to be ended: a run that goes on for too long, or it stands still though none does."""
        if self.find_stuck(now, on_loop=on_loop, in_thread=in_thread, every=every):
            said = f"a run of {', '.join(self.stuck.values())} does not end; its process is ended"
            return Event("serve.run-stuck", said, "warning", {"versions": sorted(self.stuck.values())})
        if self.ward is None or not self.ready:
            return None
        pid = self.process.pid
        self._pulse = self._pulse or Pulse(pid)
        why = self._pulse.look(self.ward.pages.beat, every=every, asleep_seconds=on_loop)
        said = f"the worker with the process {pid} {why}; it is ended"
        return Event("serve.worker-hung", said, "warning", {"pid": pid, "why": why}) if why else None

    def find_stuck(self, now: int, *, on_loop: float, in_thread: float, every: float) -> bool:
        """Whether a run has gone on for too long; `now` in nanoseconds, the others in seconds.

        It must also have been seen as often as one that looks so often would have, and been able to go on meanwhile:
        on a machine that stands still, who looks does too, and who waits for a processor is not to blame.
        """
        if self.ward is None or self.stuck:
            return False
        seen = {}
        running = self.ward.pages.running()
        again = any((place, since) in self._seen for place, (_, since) in running.items())
        could = self._could_go_on(every) if again else 1.0
        # Loading takes what it takes.
        for place in self.ward.pages.layout.loading:
            running.pop(place, None)
        for place, (version, since) in running.items():
            seconds = in_thread if place else on_loop
            seen[place, since] = self._seen.get((place, since), 0.0) + could
            if now - since > seconds * 1e9 and seen[place, since] >= seconds / every:
                self.stuck[place] = version
        self._seen = seen
        return bool(self.stuck)

    def _could_go_on(self, every: float) -> float:
        """The part of the time between two looks that it has had: all, unless somebody in it waits for a processor;
        then as much as all of them have used."""
        states, ticks = self.threads(self.process.pid)
        before, self._ticks = self._ticks, ticks
        if "R" not in states:
            return 1.0
        return 0.0 if before is None else min(1.0, (ticks - before) / (TICKS_A_SECOND * every))

    def suspects(self) -> dict[str, float]:
        """The versions in whose runs it has died, and how much each is to blame; nobody where it was killed from
        outside, unless a request was in it that had seen a worker die before."""
        if self.ward is None:
            return {}
        if self.stuck:
            return dict.fromkeys(self.stuck.values(), 1.0)
        pages = self.ward.pages
        running = pages.running()
        again = {kept.place for index, _ in pages.descriptors() if (kept := Left.of(pages, index)).tries}
        repeated = {found[0] for place, found in running.items() if place in again}
        if self.process.returncode in FROM_OUTSIDE:
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
        if state_of(self.process.pid) in _ENDED:
            # It has ended with its worker, as it should. (`poll` knows nothing while another thread waits.)
            return None
        self.unkept = True
        pid = self.process.pid
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
            self.process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def end(self) -> None:
        """The server stops, and nobody goes on with its connections."""
        if self.ward is not None:
            self.ward.pages.end()
        self.signal(signal.SIGTERM)

    def signal(self, which: int) -> None:
        with suppress(ProcessLookupError):
            self.process.send_signal(which)

    def close_pipe(self) -> None:
        assert self.process.stdin is not None
        with suppress(OSError):
            self.process.stdin.close()

    def reap_keeper(self) -> None:
        """Where orphans are given to us, as to the first process of a container."""
        if self.keeper is not None:
            with suppress(ChildProcessError):
                os.waitpid(self.keeper, os.WNOHANG)


class Post:
    """Gets letters to workers that can take them; those for whom there is nobody wait here."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Estate, list[int]]] = []
        self._turn = count()

    @property
    def waits(self) -> bool:
        """Whether there is a letter for which nobody is there."""
        return bool(self._waiting)

    def settle(self, life: Life, heirs: Sequence[socket.socket]) -> int:
        """Hand on what a worker has left; how many connections that are."""
        ward = life.ward
        if ward is None:
            return 0
        held = received(ward.ours)
        size = max(1, min(CONNECTIONS_AT_ONCE, -(-len(held) // max(1, len(heirs)))))
        for start in range(0, len(held), size):
            some = held[start : start + size]
            self.post(_estate(life, ward, [index for index, _ in some]), _owned(ward, some), heirs)
        for estate, descriptors in _unread(ward):
            self.post(estate, descriptors, heirs)
        ward.close()
        return len(held)

    def welcome(self, connection: socket.socket, heirs: Sequence[socket.socket]) -> None:
        """A new connection, whose worker is away."""
        self.post(Estate(), [connection.detach()], heirs)

    def deliver(self, heirs: Sequence[socket.socket]) -> None:
        """Try again what waits."""
        waiting, self._waiting = self._waiting, []
        for estate, descriptors in waiting:
            self.post(estate, descriptors, heirs)

    def post(self, estate: Estate, descriptors: list[int], heirs: Sequence[socket.socket]) -> None:
        """A letter to one of them, in turn."""
        first = next(self._turn)
        for at in range(len(heirs)):
            if send(heirs[(first + at) % len(heirs)], estate, descriptors):
                _close(descriptors)
                return
        self._waiting.append((estate, descriptors))

    def tell(self, blame: Blame, workers: Sequence[Life]) -> None:
        """Which versions must not run, or apart."""
        for each in workers:
            if each.ward is not None:
                send(each.ward.ours, Estate(suspects=(sorted(blame.quarantined), sorted(blame.apart))), [])

    def close(self) -> None:
        for _, descriptors in self._waiting:
            _close(descriptors)
        self._waiting = []


def _estate(life: Life, ward: Ward, slots: list[int]) -> Estate:
    found = [(index, Left.of(ward.pages, index).place) for index in slots]
    layout = (ward.pages.layout.threads, ward.pages.layout.slots)
    stuck = [index for index, place in found if place in life.stuck]
    # Whose neighbour was stuck has done nothing.
    died = [] if life.stuck else [index for index, place in found if place is not None]
    return Estate(slots, died, stuck, layout)


def _owned(ward: Ward, held: list[tuple[int, socket.socket]]) -> list[int]:
    return [os.dup(ward.pages.descriptor), *(each.detach() for _, each in held)]


def _unread(ward: Ward) -> list[tuple[Estate, list[int]]]:
    """Letters that a worker was sent and did not live to read."""
    found = []
    with suppress(BlockingIOError):
        while True:
            said, descriptors = receive(ward.theirs, bytes_max=MESSAGE_BYTES_MAX, descriptors_max=DESCRIPTORS_MAX)
            if not said:
                break
            if descriptors:
                found.append((msgspec.json.decode(said, type=Estate), descriptors))
    return found


def _close(descriptors: list[int]) -> None:
    for each in descriptors:
        os.close(each)
