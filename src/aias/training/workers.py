"""The worker processes of a run: started, given units, listened to, and killed when they do not end."""

import contextlib
import os
import selectors
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from aias.training.unit import Bench
from aias.training.worker import FRAME, Order, Word, obey

_PAGE: Final = os.sysconf("SC_PAGE_SIZE")


@dataclass(eq=False)
class Worker:
    """One child. `order`: what it is fitting, if anything."""

    process: subprocess.Popen[bytes]
    order: Order | None = None
    loaded: set[str] = field(default_factory=set)
    """Learners whose libraries it has loaded."""
    _unread: bytearray = field(default_factory=bytearray)

    @property
    def memory_bytes(self) -> int:
        """What it holds in memory now; 0 when it is gone."""
        try:
            return int(Path(f"/proc/{self.process.pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
        except (OSError, IndexError):
            return 0

    def words(self) -> Iterator[Word]:
        """What it has said since; ends when there is no whole frame left."""
        assert self.process.stdout is not None
        self._unread += os.read(self.process.stdout.fileno(), 1 << 20)
        while len(self._unread) >= FRAME:
            size = int.from_bytes(self._unread[:FRAME], "little")
            if len(self._unread) < FRAME + size:
                return
            body = bytes(self._unread[FRAME : FRAME + size])
            del self._unread[: FRAME + size]
            yield msgspec.msgpack.decode(body, type=Word)


class Workers:
    """`with Workers(folder, count=2) as workers: ...`; at the end every child is gone."""

    def __init__(self, folder: Path, *, count: int, threads: int) -> None:
        self.folder, self.threads = folder, threads
        self._selector = selectors.DefaultSelector()
        self.all = [self._start() for _ in range(count)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self.all:
            self._end(worker)
        self._selector.close()

    @property
    def idle(self) -> list[Worker]:
        return [worker for worker in self.all if worker.order is None]

    @property
    def busy(self) -> list[Worker]:
        return [worker for worker in self.all if worker.order is not None]

    def give(self, worker: Worker, order: Order) -> None:
        assert worker.order is None
        worker.order = order
        body = msgspec.msgpack.encode(order)
        assert worker.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it died while idle; `listen` will say so
            worker.process.stdin.write(len(body).to_bytes(FRAME, "little") + body)
            worker.process.stdin.flush()

    def listen(self, seconds: float) -> Iterator[tuple[Worker, Word]]:
        """What is said within this time. A child that died says `gone`; another then stands in its place."""
        for key, _ in self._selector.select(max(seconds, 0.0)):
            worker: Worker = key.data
            heard = False
            for word in worker.words():
                heard = True
                yield worker, word
            if not heard and worker.process.poll() is not None:
                yield worker, Word("gone", message=_died_of(worker.process.returncode))
                self.replace(worker)

    def replace(self, worker: Worker) -> None:
        """Kill it, whatever it does, and start another in its place."""
        self._end(worker)
        self.all[self.all.index(worker)] = self._start()

    def _start(self) -> Worker:
        environment = dict(os.environ) | {name: str(self.threads) for name in _THREADS}
        process = subprocess.Popen(  # noqa: S603  our own module, by our own interpreter
            [sys.executable, "-m", "aias.training.worker", str(self.folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
        )  # fmt: skip
        worker = Worker(process)
        self._selector.register(process.stdout, selectors.EVENT_READ, worker)  # type: ignore[arg-type]
        return worker

    def _end(self, worker: Worker) -> None:
        process = worker.process
        self._selector.unregister(process.stdout)  # type: ignore[arg-type]
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()


class InlineWorkers:
    """One worker that is this very process: for data so small that starting another takes longer than fitting.

    Nothing can be killed here; fits end by their own deadlines.
    """

    def __init__(self, bench: Bench, *, threads: int) -> None:
        self.bench, self.threads = bench, threads
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
            obey(self.bench, worker.order, words.append)
            for word in words:
                yield worker, word

    def replace(self, worker: Any) -> None:
        self.all[self.all.index(worker)] = _Inline()


@dataclass(eq=False)
class _Inline:
    order: Order | None = None
    memory_bytes: int = 0
    loaded: set[str] = field(default_factory=set)


_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
"""Pools that libraries open at import; workers together have one thread a core."""


def _died_of(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
