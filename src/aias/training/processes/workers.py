"""The worker processes of a run: started, given units, listened to, and killed when they do not end."""

import contextlib
import os
import select
import selectors
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import msgspec

from aias.core.catalog import member
from aias.core.frames import HEAD, framed, size_of
from aias.core.memory import resident_bytes
from aias.training.processes.forkserver import ForkServer, Zygote
from aias.training.processes.worker import Order, Word, obey
from aias.training.unit import UnitFitter

_READ_BYTES: Final = 1 << 20

_GONE: Final = "it is gone"
"""Nobody knows what it died of: with it went who would."""

_UNKNOWN: Final = "it ended, of what was not said in time"
"""The forkserver did not go with it, and is only slow: as when memory is short, for which the system kills a worker."""


@dataclass(eq=False)
class Process:
    """A worker's process: where it reads orders, where it says words. Its pid is known when it has said it."""

    orders: BinaryIO
    words: BinaryIO
    zygote: Zygote
    """Where it comes from."""
    known_pid: int | None = None
    _unread: bytearray = field(default_factory=bytearray)

    @property
    def modules(self) -> frozenset[str]:
        """Libraries that it was started with."""
        return self.zygote.modules

    @property
    def pid(self) -> int:
        """Waits until it is started. Raises `ProcessLookupError` when it never will be."""
        while self.known_pid is None:
            if not self._read_on():
                raise ProcessLookupError("the worker was never started")
            list(self._frames(starts_only=True))
        return self.known_pid

    def hear_of_start(self) -> None:
        """Where it has said its pid, and nobody has listened since."""
        poll = select.poll()
        poll.register(self.words, select.POLLIN)
        if self.known_pid is None and poll.poll(0) and self._read_on():
            list(self._frames(starts_only=True))

    def said(self) -> list[Word] | None:
        """What it has said since; None when it is gone, and has said all."""
        more = self._read_on()
        found = list(self._frames())
        return found if found or more else None

    def _read_on(self) -> bool:
        read = os.read(self.words.fileno(), _READ_BYTES)
        self._unread += read
        return bool(read)

    def _frames(self, *, starts_only: bool = False) -> Iterator[Word]:
        while len(self._unread) >= HEAD and not (starts_only and self.known_pid is not None):
            end = HEAD + size_of(self._unread[:HEAD])
            if len(self._unread) < end:
                return
            word = msgspec.msgpack.decode(bytes(self._unread[HEAD:end]), type=Word)
            del self._unread[:end]
            if word.kind == "started":
                self.known_pid = int(word.facts["pid"])
            else:
                yield word


@dataclass(eq=False)
class Worker:
    """One child. `order`: what it is fitting, if anything."""

    process: Process
    order: Order | None = None
    loaded: set[str] = field(default_factory=set)
    """Learners whose libraries are there for it."""
    again: bool = False
    """Whether its order has been begun once more already."""

    @property
    def started(self) -> bool:
        return self.process.known_pid is not None

    @property
    def memory_bytes(self) -> int:
        """What it holds in memory now; 0 when it is not started yet, or gone."""
        try:
            return resident_bytes(self.process.known_pid or 0)
        except (OSError, IndexError):
            return 0


class Workers:
    """`with Workers(folder, count=2) as workers: ...`; at the end every child is gone."""

    def __init__(self, folder: Path, *, count: int, threads: int, forkserver: ForkServer | None = None) -> None:
        """`forkserver`: one that was opened before, for the same folder and threads; it is closed with the workers."""
        self.folder, self.threads = folder, threads
        self._forkserver = forkserver or ForkServer(folder, threads=threads)
        self._selector = selectors.DefaultSelector()
        self.all = [self._new() for _ in range(count)]
        self.lost: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.all:
            self._end(worker)
        self._forkserver.close()
        self._selector.close()

    @property
    def idle(self) -> list[Worker]:
        return [worker for worker in self.all if worker.order is None]

    @property
    def busy(self) -> list[Worker]:
        return [worker for worker in self.all if worker.order is not None]

    def give(self, worker: Worker, order: Order) -> None:
        """To a worker that was started with what the order needs: libraries are loaded once, in the forkserver."""
        assert worker.order is None
        worker.order, worker.again = order, False
        modules = _libraries(order.configuration.learner)
        if not modules <= worker.process.modules:
            self._end(worker)
            worker.process = self._forked(modules | worker.process.modules)
            self._listen_to(worker)
        with contextlib.suppress(BrokenPipeError):  # it died while idle; `listen` will say so
            worker.process.orders.write(framed(msgspec.msgpack.encode(order)))

    def listen(self, seconds: float) -> Iterator[tuple[Worker, Word]]:
        """What is said within this time. A child that died says `gone`; another then stands in its place. What one
        fitted that the end of the forkserver took along is not to blame for it: another fits that, once."""
        for key, _ in self._selector.select(max(seconds, 0.0)):
            worker: Worker = key.data
            words = worker.process.said()
            if words is None:
                message = self._died_of(worker)
                if message == _GONE and worker.order is not None and not worker.again:
                    self._begin_again(worker)
                    worker.again, worker.loaded = True, set()
                    yield worker, Word("event", "train.begun-again", "the process that fitted it was ended with others")
                else:
                    yield worker, Word("gone", message=message)
                    self.replace(worker)
            else:
                yield from ((worker, word) for word in words)

    def give_up_loading(self, seconds: float) -> list[Worker]:
        """Libraries that have been loading for longer than this are `lost` from now on. Gives the workers whose orders
        need them; others that waited behind them are started anew."""
        lost, gone = self._forkserver.given_up(seconds)
        self.lost |= lost
        waiting = [each for each in self.busy if each.process.zygote in gone and not each.started]
        for each in waiting:
            assert each.order is not None
            if not self.misses(each.order.configuration.learner):
                self._begin_again(each)
        return [each for each in waiting if each.order and self.misses(each.order.configuration.learner)]

    def misses(self, learner: str) -> frozenset[str]:
        """Libraries that it needs and that could not be loaded."""
        return _libraries(learner) & self.lost

    def replace(self, worker: Worker) -> None:
        """Kill it, whatever it does, and start another in its place."""
        self._end(worker)
        fresh = self._new()
        fresh.loaded = {each for other in self.all for each in other.loaded}  # the forkserver has it all
        self.all[self.all.index(worker)] = fresh

    def _begin_again(self, worker: Worker) -> None:
        order, worker.order = worker.order, None
        assert order is not None
        self._end(worker)
        worker.process = self._forked(frozenset())
        self._listen_to(worker)
        self.give(worker, order)

    def _new(self) -> Worker:
        worker = Worker(self._forked(frozenset()))
        self._listen_to(worker)
        return worker

    def _listen_to(self, worker: Worker) -> None:
        self._selector.register(worker.process.words, selectors.EVENT_READ, worker)

    def _forked(self, modules: frozenset[str]) -> Process:
        reads, orders = os.pipe()
        words, says = os.pipe()
        try:
            zygote = self._forkserver.fork(modules, reads, says)
        finally:
            os.close(reads)
            os.close(says)
        return Process(os.fdopen(orders, "wb", buffering=0), os.fdopen(words, "rb", buffering=0), zygote)

    def _end(self, worker: Worker) -> None:
        """One that is not started yet finds its pipe closed when it is. What an interrupt broke off is done again."""
        process = worker.process
        if process.words.closed:
            return
        with contextlib.suppress(KeyError):
            self._selector.unregister(process.words)
        process.hear_of_start()
        process.orders.close()
        if process.known_pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.known_pid, signal.SIGKILL)
            while os.read(process.words.fileno(), _READ_BYTES):  # it ends when the process has
                pass
            process.zygote.forget(process.known_pid)
            process.known_pid = None
        process.words.close()

    def _died_of(self, worker: Worker) -> str:
        pid, worker.process.known_pid = worker.process.known_pid, None
        try:
            code = None if pid is None else worker.process.zygote.reap(pid)
        except TimeoutError:
            return _UNKNOWN
        if code is None:
            return _GONE
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"


def _libraries(learner: str) -> frozenset[str]:
    """What a worker is started with that fits with this learner."""
    found = member("learners", learner)
    return frozenset(getattr(found, "loads", found.needs))


class InlineWorkers:
    """One worker that is this very process: for data so small that starting another takes longer than fitting.

    Nothing can be killed here; fits end by their own deadlines.
    """

    threads = 1

    def __init__(self, fitter: UnitFitter) -> None:
        self.fitter = fitter
        self.all: list[Any] = [_Inline()]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @property
    def idle(self) -> list[Any]:
        return [worker for worker in self.all if worker.order is None]

    @property
    def busy(self) -> list[Any]:
        return [worker for worker in self.all if worker.order is not None]

    def give(self, worker: Any, order: Order) -> None:
        worker.order = order

    def listen(self, seconds: float) -> Iterator[tuple[Any, Word]]:  # noqa: ARG002 nothing to wait for
        for worker in self.busy:
            words: list[Word] = []
            obey(self.fitter, worker.order, words.append)
            for word in words:
                yield worker, word

    def give_up_loading(self, seconds: float) -> list[Any]:  # noqa: ARG002 libraries are loaded by whoever fits
        return []

    def misses(self, learner: str) -> frozenset[str]:  # noqa: ARG002
        return frozenset()

    def replace(self, worker: Any) -> None:
        self.all[self.all.index(worker)] = _Inline()


@dataclass(eq=False)
class _Inline:
    order: Order | None = None
    started: bool = True
    memory_bytes: int = 0
    loaded: set[str] = field(default_factory=set)
