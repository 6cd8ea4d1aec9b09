"""Several gateways on one port: started, watched, started again; carries no traffic itself.

    supervisor ─┬─ worker 0 ── its own listening socket ─┐
                ├─ worker 1 ── its own ──────────────────┼── one port (SO_REUSEPORT: the kernel shares callers out)
                └─ …                                     ┘

The supervisor keeps every worker's socket open beside it, and accepts for one that is away. What a worker leaves when
it dies, its connections and what they had asked, goes to the others (`survival/`). A run that does not end is ended
with its worker; a version in whose runs workers keep ending is not run any more. SIGHUP puts a new process in the place
of each, one after the other, and no connection is closed. Another server can take the place of this one, likewise
(`processes/succession.py`).
"""

import contextlib
import queue
import signal
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

import msgspec

from aias.core.errors import AiasError
from aias.core.events import Event, Watch
from aias.serving.observability.summed_metrics import Counts
from aias.serving.processes.control_socket import FAILED_MAX, ControlSocket, Question, Reply
from aias.serving.processes.handover import Handover
from aias.serving.processes.hangup import signals
from aias.serving.processes.orders import Orders
from aias.serving.processes.starting import Starter
from aias.serving.processes.succession import Predecessor, Successor
from aias.serving.processes.worker_slot import Worker
from aias.serving.survival.adoption import Transfer
from aias.serving.survival.crash_record import APART, RELEASE
from aias.serving.survival.descriptors import raise_limit
from aias.serving.survival.isolation_policy import IsolationPolicy
from aias.serving.survival.transfers import TransferQueue
from aias.serving.survival.worker_process import RunSeconds, WorkerProcess

STOP_SECONDS: Final = 5.0
"""Beside the time for draining: what a worker may take to end before it is killed."""

WORKERS_MAX: Final = 256

PROGRAM: Final = ("-m", "aias.serving.processes.worker")

CHECK_SECONDS: Final = 0.5
"""Between two looks at what runs, and for how long."""

ATTEND_SECONDS: Final = 0.01
"""Between two looks at the door of a worker that is away."""

STUCK_SECONDS: Final = 1.0
"""Beyond the longest answer: its caller has been told by then."""


class WorkerFailed(AiasError):
    """A worker did not start"""

    code = "serving.worker-failed"


class Supervisor:
    """`run` returns when the workers have ended after `stop`, SIGTERM or SIGINT, or when another server has taken its
    place, which `control_socket` hears of. `listen` makes one more socket; those of a `predecessor` come first.
    `program`: what is started as a worker, as arguments of the interpreter."""

    def __init__(
        self, orders: Orders, *, workers: int, listen: Callable[[], socket.socket], announce: Watch,
        program: Sequence[str] = PROGRAM, control_socket: ControlSocket | None = None,
        predecessor: Predecessor | None = None,
    ) -> None:  # fmt: skip
        self._orders, self._announce = orders, announce
        found = [] if predecessor is None else predecessor.sockets
        shared = [found[index::workers] for index in range(workers)]
        self._workers = [Worker(index, shared[index] or [listen()]) for index in range(workers)]
        heard: dict[str, Callable[..., None]] = {
            "asked": self._answer, "take": self._give_way, "gone": self._forget, "transfer": self._pass_on,
            "inherited": self._inherit,
        }  # fmt: skip
        self.handover = Handover(
            control_socket, predecessor, announce=announce, tell=lambda what, *facts: self._later(heard[what], *facts)
        )
        self._transfers = TransferQueue()
        self._policy = IsolationPolicy(announce, tell=lambda: self._transfers.tell(self._policy.crashes, self._ready()))
        self._leaving: set[WorkerProcess] = set()
        self._to_renew: list[Worker] = []
        self._told = self._is_to_stop = False
        self._looked_at = 0
        self._counts = Counts(orders.folder)
        crashes = self._policy.crashes
        self._starter = Starter(
            orders, program, name=self._counts.name, isolated=crashes.lists, suspects=crashes.suspects
        )  # fmt: skip
        # What is to be done, in this thread, by whoever has news. Reentrant: a signal's handler puts into it too.
        self._news: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def run(self, when_ready: Callable[[], None]) -> None:
        """Raises `WorkerFailed` when one of the first workers does not become ready."""
        raise_limit()
        with signals(stop=self.stop, renew=self.renew):
            try:
                for worker in self._workers:
                    # Also ours: who looks at the door of a worker that is away does not wait there.
                    for each in worker.sockets:
                        each.setblocking(False)
                    self._start(worker)
                while not self._is_left():
                    self._do(self._next())
                    if self._is_to_stop and not self.handover.leaving:
                        return
                    self._renew()
                    if not self._told and all(worker.ready for worker in self._workers):
                        self._told = True
                        self.handover.begin()
                        when_ready()
            finally:
                self._stop_all()

    def _do(self, what: Callable[[], None]) -> None:
        """What the machine refuses is told, and ends nobody who answers."""
        try:
            what()
        except OSError as fault:
            self._announce(Event("serve.supervisor-fault", f"the supervisor goes on after: {fault}", "warning"))

    def stop(self) -> None:
        """Begin to stop; safe to call from any thread."""
        self._later(self._begin_stop)

    def renew(self) -> None:
        """Put a new process in the place of each, one after the other; safe to call from any thread."""
        self._later(self._begin_renewal)

    def _later(self, what: Callable[..., None], *facts: Any) -> None:
        self._news.put(partial(what, *facts))

    @property
    def pids(self) -> list[int]:
        """Of the workers that run."""
        return [process.popen.pid for process in self._processes()]

    def _processes(self) -> list[WorkerProcess]:
        found = [each for worker in self._workers for each in (worker.process, worker.next) if each is not None]
        return [*found, *self._leaving]

    def _ready(self) -> list[WorkerProcess]:
        return [worker.process for worker in self._workers if worker.process is not None and worker.process.ready]

    def _channels(self) -> list[socket.socket]:
        """Where transfers go: to the workers that are ready, or all to who takes our place."""
        if self.handover.leaving:
            return self.handover.channels()
        return [process.channel.ours for process in self._ready() if process.channel is not None]

    def _next(self) -> Callable[[], None]:
        """What the next news wants done; meanwhile runs are watched, workers started, absent ones stood in for."""
        while True:
            now = time.monotonic()
            for worker in self._workers:
                if worker.restart_at is not None and worker.restart_at <= now:
                    self._start(worker)
            self._end_stuck()
            away = self._told and self._attend()
            untold = self._transfers.tell_again(self._policy.crashes)
            if self.handover.leaving:
                away = True
                self._transfers.deliver(self._channels())
                if self.handover.is_late():
                    # What they are at goes to the successor all the same.
                    for process in self._processes():
                        process.signal(signal.SIGKILL)
                if self._is_left():
                    return lambda: None
            due = [worker.restart_at - now for worker in self._workers if worker.restart_at is not None]
            with contextlib.suppress(queue.Empty):
                return self._news.get(
                    timeout=max(0.0, min(*due, ATTEND_SECONDS if away or untold else CHECK_SECONDS, CHECK_SECONDS))
                )

    def _start(self, worker: Worker) -> None:
        hear, bury = partial(self._later, self._hear, worker), partial(self._later, self._bury, worker)
        try:
            patient = bool(self._ready()) or self.handover.inherits
            process = self._starter.start(worker.index, worker.sockets, hear=hear, bury=bury, patient=patient)
        except OSError as fault:
            self._put_off(worker, fault)
            return
        worker.restart_at = None
        if worker.process is None:
            worker.process = process
        else:
            worker.next = process

    def _put_off(self, worker: Worker, fault: OSError) -> None:
        """The system has nothing left to start it with."""
        if not self._told:
            raise WorkerFailed(
                f"worker {worker.index} did not start: {fault.strerror}", hint="`aias serve --workers 0` shows more"
            ) from fault
        pause = worker.pause_unstarted(alone=not self._ready())
        worker.restart_at = time.monotonic() + pause
        said = f"worker {worker.index} cannot be started: {fault.strerror}; it is tried again in {pause:g} s"
        facts: dict[str, object] = {"worker": worker.index, "why": fault.strerror, "pause_seconds": pause}
        self._announce(Event("serve.worker-not-started", said, "warning", facts))

    def _hear(self, worker: Worker, process: WorkerProcess, event: Event) -> None:
        """Pass on what the first worker says, and warnings of all; the rest would come from each of them alike."""
        process.said = event.message
        process.hear(event)
        if event.name == RELEASE:
            self._policy.release(str(event.facts["version"]))
        elif event.name == APART:
            self._policy.move(str(event.facts["version"]), str(event.facts["why"]))
        elif event.name == "serve.worker-ready":
            keeper = event.facts.get("keeper")
            process.ready, process.keeper = True, keeper if isinstance(keeper, int) else None
            if process is worker.next:
                self._replace(worker, process)
            self._transfers.tell(self._policy.crashes, [process])
            self._transfers.deliver(self._channels())
        elif worker.index == 0 or event.level == "warning":
            self._announce(replace(event, facts=event.facts | {"worker": worker.index}))
            if event.name == "serve.apart-ended":
                self._policy.died({str(event.facts["version"]): 1.0})

    def _replace(self, worker: Worker, process: WorkerProcess) -> None:
        """Its successor is there: the old one finishes what it has begun, and leaves its connections."""
        old, worker.process, worker.next = worker.process, process, None
        if old is not None:
            self._leaving.add(old)
            old.leave()

    def _begin_stop(self) -> None:
        self._is_to_stop = True

    def _begin_renewal(self, only: WorkerProcess | None = None) -> None:
        """Of all workers, which are forgiven then; or of the one whose process that is."""
        if self.handover.leaving:
            return
        if only is None:
            self._policy.crashes.forgive()
            self._to_renew = []
            for each in self._workers:
                # Whose successor has died need not wait any longer.
                if each.process is not None:
                    each.restart_at = None
        self._to_renew += [each for each in self._workers if each.is_settled and only in (None, each.process)]

    def _renew(self) -> None:
        """Start the next successor, when the one before it has taken its place."""
        if self._to_renew and not self._leaving and all(each.ready and each.is_settled for each in self._workers):
            self._start(self._to_renew.pop(0))

    def _bury(self, worker: Worker, process: WorkerProcess) -> None:
        popen = process.popen
        process.close_pipe()
        process.reap_keeper()
        if process is worker.process:
            worker.process = None
        if process is worker.next:
            worker.next = None
        suspects = process.suspects()
        left, lost = self._transfers.settle(process, self._after(worker, process))
        self._counts.settle([process.counts])
        if lost:
            said = f"{lost} connections of worker {worker.index} are closed: this process may open no more files"
            self._announce(Event("serve.connections-lost", said, "warning", {"worker": worker.index, "lost": lost}))
        if process.leaving:
            self._leaving.discard(process)
            return
        if not self._told and not process.ready and not suspects:
            why = process.said or f"it ended with status {popen.returncode}"
            raise WorkerFailed(
                f"worker {worker.index} did not start: {why}", hint="`aias serve --workers 0` shows more"
            )
        pause = worker.pause_after(process, alone=not self._ready())
        if worker.next is None:
            # Also where it was to come after one that still answers.
            worker.restart_at = time.monotonic() + pause
        facts: dict[str, object] = {
            "worker": worker.index, "status": popen.returncode, "pause_seconds": pause, "connections": left,
            "ran": sorted(suspects),
        }  # fmt: skip
        who = f"worker {worker.index}" if worker.process is None else f"the successor of worker {worker.index}"
        said = f"{who} ended with status {popen.returncode}; it starts again in {pause:g} s"
        if suspects:
            said += f"; it ran {', '.join(sorted(suspects))}"
        self._announce(Event("serve.worker-died", said, "warning", facts))
        self._policy.died(suspects)

    def _after(self, worker: Worker, process: WorkerProcess) -> list[socket.socket]:
        """Who goes on with what a process leaves: its own successor, if it was to make room for it."""
        next_one = worker.process
        if process.leaving and next_one is not None and next_one.ready and next_one.channel is not None:
            return [next_one.channel.ours]
        return self._channels()

    def _end_stuck(self) -> None:
        """Kill the workers that have a run which does not end, and those that stand still; replace who is unkept."""
        bounds, now = self._orders.bounds, time.monotonic_ns()
        if now - self._looked_at < CHECK_SECONDS * 1e9:
            return
        self._looked_at = now
        most = RunSeconds(bounds["loop_seconds"], bounds["answer_seconds"] + STUCK_SECONDS, bounds["loading_seconds"])
        for process in self._processes():
            if why := process.must_end(now, most, every=CHECK_SECONDS):
                self._announce(why)
                process.kill()
            elif lost := process.lost_keeper():
                self._announce(lost)
                self._later(self._begin_renewal, process)

    def _attend(self) -> bool:
        """Accept for workers that are away while others are there; whether there are any."""
        away = [worker for worker in self._workers if not worker.ready]
        if self.handover.leaving or not away or not (receivers := self._channels()):
            return False
        self._transfers.deliver(receivers)
        for listener in (each for worker in away for each in worker.sockets):
            with contextlib.suppress(OSError):
                while True:
                    self._transfers.welcome(listener.accept()[0], receivers)
        return True

    def _give_way(self, successor: Successor) -> None:
        """Another server answers: ours finish what they have begun, and what they are asked next is asked there."""
        if not self.handover.leave(successor, self._orders.bounds["drain_seconds"] + STOP_SECONDS):
            return
        self._to_renew = []
        for process in self._processes():
            self._leaving.add(process)
            process.leave(signal.SIGHUP if self.handover.understood else signal.SIGTERM)
        for worker in self._workers:
            worker.process = worker.next = worker.restart_at = None

    def _is_left(self) -> bool:
        """Whether another server has all that was here, and all that was to come here from the one before."""
        waits = self.handover.inherits or self._leaving or (self._channels() and self._transfers.waits)
        return self.handover.leaving and not waits

    def _pass_on(self, transfer: Transfer, descriptors: list[int]) -> None:
        """What the server before this one leaves."""
        self._transfers.pass_on(transfer, descriptors, self._channels())

    def _inherit(self, predecessor: Predecessor) -> None:
        """It has left nothing more."""
        self._counts.inherit(predecessor.pid)
        self.handover.inherits = False

    def _forget(self, successor: Successor) -> None:
        """Who was to take our place has died, or is not going to."""
        self._counts.inherit(successor.pid)
        returns = self.handover.forget(successor) and not self._is_to_stop
        for worker in self._workers if returns else ():
            self._start(worker)

    def _answer(self, caller: socket.socket, asked: Question) -> None:
        """Somebody asks at the control socket."""
        if asked.verb == "succeed":
            sockets = [each for worker in self._workers for each in worker.sockets]
            second = self._orders.second
            port, folder = second.port if second else 0, self._orders.folder
            self.handover.answer(caller, asked, sockets, second=port, folder=folder)
            return
        released = asked.verb == "release" and self._policy.release(asked.version)
        quarantined, apart = self._policy.crashes.lists()
        failed = [(*what, why[:400]) for each in self._processes() for what, why in each.failed.items()][:FAILED_MAX]
        told = Reply(quarantined=quarantined, apart=apart, released=released, failed=failed)
        with caller, contextlib.suppress(OSError):
            caller.send(msgspec.json.encode(told))

    def _stop_all(self) -> None:
        """Let go of the sockets first, or callers would queue up where nobody answers any more."""
        for worker in self._workers:
            for each in worker.sockets:
                each.close()
        running = self._processes()
        for process in running:
            process.end()
        end = time.monotonic() + self._orders.bounds["drain_seconds"] + STOP_SECONDS
        for process in running:
            process.wait(end)
            process.close_pipe()
            if process.channel is not None:
                process.channel.close()
        self._transfers.close()
        self.handover.close()
