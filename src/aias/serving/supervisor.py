"""Several gateways on one port: started, watched, started again; carries no traffic itself.

    supervisor ─┬─ worker 0 ── its own listening socket ─┐
                ├─ worker 1 ── its own ──────────────────┼── one port (SO_REUSEPORT: the kernel shares callers out)
                └─ …                                     ┘

The supervisor keeps every worker's socket open beside it. When a worker dies, callers that come meanwhile wait in the
queue of that socket for the next worker; only one that keeps dying loses it, so that callers go to the others.
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
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from aias.core.cpus import cpus
from aias.core.errors import AiasError
from aias.core.events import Event, Watch
from aias.serving.bounds import Bounds, SecondPort

SETTLED_SECONDS: Final = 10.0
"""A worker that has lived so long and dies is started again at once; others after a pause, twice as long each time."""

PAUSE_SECONDS: Final = 0.5
PAUSE_SECONDS_MAX: Final = 30.0
STOP_SECONDS: Final = 5.0
"""Beside the time for draining: what a worker may take to end before it is killed."""

WORKERS_MAX: Final = 256


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


@dataclass(eq=False, slots=True)
class _Worker:
    index: int
    socket: socket.socket | None
    process: "subprocess.Popen[bytes] | None" = None
    started_at: float = 0.0
    deaths: int = 0
    restart_at: float | None = None
    ready: bool = False
    said: str = ""


class Supervisor:
    """`run` returns when the workers have ended after `stop`, SIGTERM or SIGINT. `listen` makes one more socket."""

    def __init__(self, orders: Orders, *, workers: int, listen: Callable[[], socket.socket], announce: Watch) -> None:
        self._orders, self._listen, self._announce = orders, listen, announce
        self._workers = [_Worker(index, listen()) for index in range(workers)]
        # Reentrant: a signal's handler puts into it too.
        self._news: queue.SimpleQueue[tuple[str, _Worker | None, Any]] = queue.SimpleQueue()

    def run(self, when_ready: Callable[[], None]) -> None:
        """Raises `WorkerFailed` when one of the first workers does not become ready."""
        told = False
        with self._signals():
            try:
                for worker in self._workers:
                    self._start(worker)
                while True:
                    what, about, fact = self._next()
                    if what == "stop":
                        return
                    if what == "event" and about is not None:
                        self._hear(about, fact)
                    elif what == "dead" and about is not None and fact is about.process:
                        self._bury(about, first=not told)
                    if not told and all(worker.ready for worker in self._workers):
                        told = True
                        when_ready()
            finally:
                self._stop_all()

    def stop(self) -> None:
        """Begin to stop; safe to call from any thread."""
        self._news.put(("stop", None, None))

    @property
    def pids(self) -> list[int]:
        """Of the workers that run."""
        return [worker.process.pid for worker in self._workers if worker.process is not None]

    def _next(self) -> tuple[str, _Worker | None, Any]:
        """The next news; workers whose pause is over are started meanwhile."""
        while True:
            now = time.monotonic()
            for worker in self._workers:
                if worker.restart_at is not None and worker.restart_at <= now:
                    self._start(worker)
            due = [worker.restart_at - now for worker in self._workers if worker.restart_at is not None]
            with contextlib.suppress(queue.Empty):
                return self._news.get(timeout=min(due, default=None))

    def _start(self, worker: _Worker) -> None:
        worker.socket = worker.socket or self._listen()
        descriptor = worker.socket.fileno()
        orders = replace(self._orders, index=worker.index, descriptor=descriptor)
        process = subprocess.Popen(  # noqa: S603  this very program
            [sys.executable, "-m", "aias.serving.worker", msgspec.json.encode(orders).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[descriptor],
        )
        worker.process, worker.started_at, worker.restart_at, worker.ready = process, time.monotonic(), None, False
        threading.Thread(target=self._listen_to, args=(worker, process), daemon=True).start()

    def _listen_to(self, worker: _Worker, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                with contextlib.suppress(msgspec.MsgspecError):
                    self._news.put(("event", worker, msgspec.json.decode(line, type=Event)))
        process.wait()
        self._news.put(("dead", worker, process))

    def _hear(self, worker: _Worker, event: Event) -> None:
        """Pass on what the first worker says, and warnings of all; the rest would come from each of them alike."""
        worker.said = event.message
        if event.name == "serve.worker-ready":
            worker.ready = True
        elif worker.index == 0 or event.level == "warning":
            self._announce(replace(event, facts=event.facts | {"worker": worker.index}))

    def _bury(self, worker: _Worker, *, first: bool) -> None:
        process = worker.process
        assert process is not None
        _close_pipe(process)
        worker.process = None
        if first and not worker.ready:
            why = worker.said or f"it ended with status {process.returncode}"
            raise WorkerFailed(
                f"worker {worker.index} did not start: {why}", hint="`aias serve --workers 1` shows more"
            )
        settled = time.monotonic() - worker.started_at >= SETTLED_SECONDS
        worker.deaths = 1 if settled else worker.deaths + 1
        pause = 0.0 if worker.deaths == 1 else min(PAUSE_SECONDS_MAX, PAUSE_SECONDS * 2.0 ** (worker.deaths - 2))
        worker.restart_at = time.monotonic() + pause
        if worker.deaths > 1 and worker.socket is not None:
            # It will be a while: its callers are better off with the other workers.
            worker.socket.close()
            worker.socket = None
        facts: dict[str, object] = {"worker": worker.index, "status": process.returncode, "pause_seconds": pause}
        said = f"worker {worker.index} ended with status {process.returncode}; it starts again in {pause:g} s"
        self._announce(Event("serve.worker-died", said, "warning", facts))

    def _stop_all(self) -> None:
        """Let go of the sockets first, or callers would queue up where nobody answers any more."""
        for worker in self._workers:
            if worker.socket is not None:
                worker.socket.close()
        running = [worker.process for worker in self._workers if worker.process is not None]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
        end = time.monotonic() + self._orders.bounds["drain_seconds"] + STOP_SECONDS
        for process in running:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            _close_pipe(process)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, lambda *_: self.stop()) for each in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


def supervise(
    home: Path, *, workers: int, hosts: list[str], access_log: float, bounds: Bounds, announce: Watch,
    listen: Callable[[], socket.socket], when_ready: Callable[[], None], second: SecondPort | None = None,
    unnamed: str | None = None,
) -> None:  # fmt: skip
    """Serve a home with several workers until told to stop. What a machine has is shared out among them."""
    shared = replace(
        bounds,
        bodies_bytes=max(bounds.body_bytes, bounds.bodies_bytes // workers),
        cache_bytes=bounds.cache_bytes // workers,
    )
    folder = tempfile.mkdtemp(prefix="aias-")
    orders = Orders(
        os.fspath(home), hosts, access_log, asdict(shared), max(1, cpus() // workers), index=0, folder=folder,
        descriptor=-1, second=second, unnamed=unnamed,
    )  # fmt: skip
    try:
        Supervisor(orders, workers=workers, listen=listen, announce=announce).run(when_ready)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _close_pipe(process: "subprocess.Popen[bytes]") -> None:
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
