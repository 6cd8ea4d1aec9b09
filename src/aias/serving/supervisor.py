"""Several gateways on one port: started, watched, started again; carries no traffic itself.

    supervisor ─┬─ worker 0 ── its own listening socket ─┐
                ├─ worker 1 ── its own ──────────────────┼── one port (SO_REUSEPORT: the kernel shares callers out)
                └─ …                                     ┘

The supervisor keeps every worker's socket open beside it, and accepts for one that is away. What a worker leaves when
it dies, its connections and what they had asked, goes to the others (`survival/`). A run that does not end is ended
with its worker; a version in whose runs workers keep ending is not run any more. SIGHUP puts a new process in the place
of each, one after the other, and no connection is closed.
"""

import contextlib
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import count
from pathlib import Path
from typing import Any, Final

import msgspec

from aias.core.cpus import cpus
from aias.core.errors import AiasError
from aias.core.events import Event, Watch
from aias.serving.bounds import Bounds, SecondPort
from aias.serving.survival.blame import Blame
from aias.serving.survival.estates import Life, Post, Ward
from aias.serving.survival.journal import SPARE_SLOTS, Layout

SETTLED_SECONDS: Final = 10.0
"""A worker that has lived so long and dies is started again at once; others after a pause, twice as long each time."""

PAUSE_SECONDS: Final = 0.5
PAUSE_SECONDS_MAX: Final = 30.0
STOP_SECONDS: Final = 5.0
"""Beside the time for draining: what a worker may take to end before it is killed."""

WORKERS_MAX: Final = 256

PROGRAM: Final = ("-m", "aias.serving.worker")

CHECK_SECONDS: Final = 0.5
"""Between two looks at what runs, and for how long."""

ATTEND_SECONDS: Final = 0.01
"""Between two looks at the door of a worker that is away."""

STUCK_SECONDS: Final = 1.0
"""Beyond the longest answer: its caller has been told by then."""


class WorkerFailed(AiasError):
    """A worker did not start"""

    code = "serving.worker-failed"


@dataclass(frozen=True, slots=True)
class Orders:
    """What a worker is told, as JSON on its command line. `places`: runs at a time; `folder`: where counts are kept."""

    home: str
    hosts: list[str]
    access_log: float
    bounds: dict[str, float]
    places: int
    index: int
    folder: str
    descriptor: int
    second: SecondPort | None = None
    unnamed: str | None = None
    slots: int = 0
    journal: int = -1
    channel: int = -1
    counts: int = 0
    suspects: tuple[list[str], list[str]] = ([], [])
    pinned: list[str] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class _Worker:
    """`life` is its process, `next` the one that is to take its place."""

    index: int
    socket: socket.socket
    life: Life | None = None
    next: Life | None = None
    deaths: int = 0
    restart_at: float | None = None
    counts: int = 0
    """Whose counts are gone on with: a successor beside the old one has its own."""

    @property
    def ready(self) -> bool:
        return self.life is not None and self.life.ready


class Supervisor:
    """`run` returns when the workers have ended after `stop`, SIGTERM or SIGINT. `listen` makes one more socket.
    `program`: what is started as a worker, as arguments of the interpreter."""

    def __init__(
        self, orders: Orders, *, workers: int, listen: Callable[[], socket.socket], announce: Watch,
        program: Sequence[str] = PROGRAM,
    ) -> None:  # fmt: skip
        self._orders, self._announce, self._program = orders, announce, program
        self._workers = [_Worker(index, listen(), counts=index) for index in range(workers)]
        self._layout = Layout(threads=orders.places, slots=int(orders.bounds["connections"]) + SPARE_SLOTS)
        self._post, self._blame = Post(), Blame()
        self._leaving: set[Life] = set()
        self._to_renew: list[_Worker] = []
        self._told = False
        self._looked_at = 0
        self._counts = count(workers)
        # Reentrant: a signal's handler puts into it too.
        self._news: queue.SimpleQueue[tuple[str, _Worker | None, Any, Any]] = queue.SimpleQueue()

    def run(self, when_ready: Callable[[], None]) -> None:
        """Raises `WorkerFailed` when one of the first workers does not become ready."""
        with self._signals():
            try:
                for worker in self._workers:
                    # Also ours: who looks at the door of a worker that is away does not wait there.
                    worker.socket.setblocking(False)
                    self._start(worker)
                while True:
                    what, about, life, fact = self._next()
                    if what == "stop":
                        return
                    if what == "renew":
                        self._blame.forgive()
                        self._to_renew = [each for each in self._workers if each.next is None]
                    elif what == "event" and about is not None:
                        self._hear(about, life, fact)
                    elif what == "dead" and about is not None:
                        self._bury(about, life)
                    self._renew()
                    if not self._told and all(worker.ready for worker in self._workers):
                        self._told = True
                        when_ready()
            finally:
                self._stop_all()

    def stop(self) -> None:
        """Begin to stop; safe to call from any thread."""
        self._news.put(("stop", None, None, None))

    def renew(self) -> None:
        """Put a new process in the place of each, one after the other; safe to call from any thread."""
        self._news.put(("renew", None, None, None))

    @property
    def pids(self) -> list[int]:
        """Of the workers that run."""
        return [life.process.pid for life in self._lives()]

    def _lives(self) -> list[Life]:
        found = [life for worker in self._workers for life in (worker.life, worker.next) if life is not None]
        return [*found, *self._leaving]

    def _heirs(self) -> list[Life]:
        return [worker.life for worker in self._workers if worker.life is not None and worker.life.ready]

    def _next(self) -> tuple[str, _Worker | None, Any, Any]:
        """The next news; meanwhile runs are watched, workers started whose pause is over, absent ones stood in for."""
        while True:
            now = time.monotonic()
            for worker in self._workers:
                if worker.restart_at is not None and worker.restart_at <= now:
                    self._start(worker)
            self._end_stuck()
            away = self._told and self._attend()
            due = [worker.restart_at - now for worker in self._workers if worker.restart_at is not None]
            with contextlib.suppress(queue.Empty):
                return self._news.get(
                    timeout=max(0.0, min(*due, ATTEND_SECONDS if away else CHECK_SECONDS, CHECK_SECONDS))
                )

    def _start(self, worker: _Worker) -> None:
        ward = Ward.make(self._layout)
        descriptor, passed = worker.socket.fileno(), [worker.socket.fileno()]
        if worker.life is not None:
            worker.counts = next(self._counts)
        orders = replace(
            self._orders, index=worker.index, counts=worker.counts, descriptor=descriptor, slots=self._layout.slots
        )
        if ward is not None:
            orders = replace(orders, journal=ward.pages.descriptor, channel=ward.theirs.fileno())
            orders = replace(orders, suspects=(sorted(self._blame.quarantined), sorted(self._blame.apart)))
            passed += [orders.journal, orders.channel]
        process = subprocess.Popen(  # noqa: S603  this very program
            [sys.executable, *self._program, msgspec.json.encode(orders).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=passed,
        )
        life = Life(process, ward, time.monotonic())
        worker.restart_at = None
        if worker.life is None:
            worker.life = life
        else:
            worker.next = life
        threading.Thread(target=self._listen_to, args=(worker, life), daemon=True).start()

    def _listen_to(self, worker: _Worker, life: Life) -> None:
        assert life.process.stdout is not None
        # It ends with the keeper, which by then has sent what it held.
        with life.process.stdout as lines:
            for line in lines:
                with contextlib.suppress(msgspec.MsgspecError):
                    self._news.put(("event", worker, life, msgspec.json.decode(line, type=Event)))
        life.process.wait()
        self._news.put(("dead", worker, life, None))

    def _hear(self, worker: _Worker, life: Life, event: Event) -> None:
        """Pass on what the first worker says, and warnings of all; the rest would come from each of them alike."""
        life.said = event.message
        if event.name == "serve.worker-ready":
            keeper = event.facts.get("keeper")
            life.ready, life.keeper = True, keeper if isinstance(keeper, int) else None
            if life is worker.next:
                self._replace(worker, life)
            self._post.tell(self._blame, [life])
            self._post.deliver([life])
        elif worker.index == 0 or event.level == "warning":
            self._announce(replace(event, facts=event.facts | {"worker": worker.index}))
            if event.name == "serve.apart-ended":
                self._judge({str(event.facts["version"]): 1.0})

    def _replace(self, worker: _Worker, life: Life) -> None:
        """Its successor is there: the old one finishes what it has begun, and leaves its connections."""
        old, worker.life, worker.next = worker.life, life, None
        if old is not None:
            old.leaving = True
            self._leaving.add(old)
            _signal(old, signal.SIGHUP)

    def _renew(self) -> None:
        """Start the next successor, when the one before it has taken its place."""
        if self._to_renew and not self._leaving and all(worker.ready and not worker.next for worker in self._workers):
            self._start(self._to_renew.pop(0))

    def _bury(self, worker: _Worker, life: Life) -> None:
        process = life.process
        _close_pipe(process)
        life.reap_keeper()
        if life is worker.life:
            worker.life = None
        if life is worker.next:
            worker.next = None
        suspects = life.suspects()
        heirs = self._heirs()
        own = [worker.life] if life.leaving and worker.ready and worker.life else heirs
        left = self._post.settle(life, own)
        if life.leaving:
            self._leaving.discard(life)
            return
        if not self._told and not life.ready and not suspects:
            why = life.said or f"it ended with status {process.returncode}"
            raise WorkerFailed(
                f"worker {worker.index} did not start: {why}", hint="`aias serve --workers 0` shows more"
            )
        settled = time.monotonic() - life.started_at >= SETTLED_SECONDS
        worker.deaths = 1 if settled else worker.deaths + 1
        pause = 0.0 if worker.deaths == 1 else min(PAUSE_SECONDS_MAX, PAUSE_SECONDS * 2.0 ** (worker.deaths - 2))
        if worker.life is None:
            worker.restart_at = time.monotonic() + pause
        facts: dict[str, object] = {
            "worker": worker.index, "status": process.returncode, "pause_seconds": pause, "connections": left,
            "ran": sorted(suspects),
        }  # fmt: skip
        said = f"worker {worker.index} ended with status {process.returncode}; it starts again in {pause:g} s"
        if suspects:
            said += f"; it ran {', '.join(sorted(suspects))}"
        self._announce(Event("serve.worker-died", said, "warning", facts))
        self._judge(suspects)

    def _judge(self, suspects: dict[str, float]) -> None:
        apart, quarantined = self._blame.apart, self._blame.quarantined
        if not self._blame.add(suspects, time.monotonic()):
            return
        self._post.tell(self._blame, self._heirs())
        for version in sorted(self._blame.quarantined - quarantined):
            said = f"{version} has ended its process several times, and is not run any more until the next restart"
            self._announce(Event("serve.quarantined", said, "warning", {"version": version}))
        for version in sorted(self._blame.apart - apart - self._blame.quarantined):
            said = f"{version} has ended its process, and runs in one of its own until the next restart"
            self._announce(Event("serve.apart", said, "warning", {"version": version}))

    def _end_stuck(self) -> None:
        """Kill the workers that have a run which does not end."""
        bounds, now = self._orders.bounds, time.monotonic_ns()
        if now - self._looked_at < CHECK_SECONDS * 1e9:
            return
        self._looked_at = now
        in_thread = bounds["answer_seconds"] + STUCK_SECONDS
        for life in self._lives():
            if life.find_stuck(now, on_loop=bounds["loop_seconds"], in_thread=in_thread, every=CHECK_SECONDS):
                said = f"a run of {', '.join(life.stuck.values())} does not end; its process is ended"
                self._announce(Event("serve.run-stuck", said, "warning", {"versions": sorted(life.stuck.values())}))
                _signal(life, signal.SIGKILL)

    def _attend(self) -> bool:
        """Accept for workers that are away while others are there; whether there are any."""
        heirs, away = self._heirs(), [worker for worker in self._workers if not worker.ready]
        if not heirs or not away:
            return False
        self._post.deliver(heirs)
        for worker in away:
            with contextlib.suppress(OSError):
                while True:
                    self._post.welcome(worker.socket.accept()[0], heirs)
        return True

    def _stop_all(self) -> None:
        """Let go of the sockets first, or callers would queue up where nobody answers any more."""
        for worker in self._workers:
            worker.socket.close()
        running = self._lives()
        for life in running:
            _signal(life, signal.SIGTERM)
        end = time.monotonic() + self._orders.bounds["drain_seconds"] + STOP_SECONDS
        for life in running:
            try:
                life.process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                life.process.kill()
                life.process.wait()
            _close_pipe(life.process)
            if life.ward is not None:
                life.ward.close()
        self._post.close()

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, lambda *_: self.stop()) for each in (signal.SIGTERM, signal.SIGINT)}
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: self.renew())
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def supervise(
    home: Path, *, workers: int, hosts: list[str], access_log: float, bounds: Bounds, announce: Watch,
    listen: Callable[[], socket.socket], when_ready: Callable[[], None], second: SecondPort | None = None,
    unnamed: str | None = None, pinned: Sequence[str] = (),
) -> None:  # fmt: skip
    """Serve a home with several workers until told to stop. What a machine has is shared out among them."""
    shared = replace(
        bounds,
        bodies_bytes=max(bounds.body_bytes, bounds.bodies_bytes // workers),
        cache_bytes=bounds.cache_bytes // workers,
        memory_bytes=bounds.memory_bytes // workers,
    )
    folder = tempfile.mkdtemp(prefix="aias-")
    orders = Orders(
        os.fspath(home), hosts, access_log, asdict(shared), max(1, cpus() // workers), index=0, folder=folder,
        descriptor=-1, second=second, unnamed=unnamed, pinned=[*pinned],
    )  # fmt: skip
    try:
        Supervisor(orders, workers=workers, listen=listen, announce=announce).run(when_ready)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _signal(life: Life, which: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        life.process.send_signal(which)


def _close_pipe(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
