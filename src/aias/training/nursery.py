"""Where workers come from: one process that has loaded what they need, and forks them.

    trainer ── fork one with these pipes, these modules loaded; bury that one ──> nursery ── fork ──> worker, worker, …
            <── what the buried one died of ──

What libraries hold in memory is there once for all workers, and whoever takes a dead worker's place starts at once.
Nothing is ever run here: there is one thread, and nothing half done, when it forks. A worker stays a zombie, and its
pid its own, until it is buried.
"""

import contextlib
import gc
import importlib
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from aias.core.catalog import member, members
from aias.training.worker import FRAME, hide, work

_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
"""Pools that libraries open at import; workers together have one thread a core."""

BURY_SECONDS: Final = 2.0
"""For the word of what a worker died of; while a library is being loaded nobody listens."""


class Birth(msgspec.Struct, frozen=True, tag="birth"):
    """Comes with two descriptors: where the worker reads orders, and where it says words."""

    modules: tuple[str, ...]


class Burial(msgspec.Struct, frozen=True, tag="burial"):
    pid: int


class Buried(msgspec.Struct, frozen=True):
    """`status` as `os.waitstatus_to_exitcode` gives it."""

    pid: int
    status: int


class Nursery:
    """The trainer's end. When the process behind it is gone, another takes its place at the next birth."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        self._folder, self._threads = folder, threads
        self._process, self._channel = self._start()

    def bear(self, modules: Sequence[str], orders: int, words: int) -> None:
        """A worker on these descriptors, which it has from now on; it comes when the modules are loaded."""
        body = msgspec.msgpack.encode(Birth(tuple(modules)))
        try:
            _send(self._channel, body, (orders, words))
        except OSError:
            self.close()
            self._process, self._channel = self._start()
            _send(self._channel, body, (orders, words))

    def forget(self, pid: int) -> None:
        """Bury a worker, whatever it ended with."""
        with contextlib.suppress(OSError):
            _send(self._channel, msgspec.msgpack.encode(Burial(pid)))

    def bury(self, pid: int) -> int | None:
        """What a worker that is gone ended with; None when nobody knows it in time."""
        self.forget(pid)
        try:
            self._channel.settimeout(BURY_SECONDS)
            while (body := _received(self._channel)) is not None:
                buried = msgspec.msgpack.decode(body, type=Buried)
                if buried.pid == pid:
                    return buried.status
        except OSError:  # no word in time, or the nursery is gone
            return None
        finally:
            with contextlib.suppress(OSError):
                self._channel.settimeout(None)
        return None

    def close(self) -> None:
        self._channel.close()
        self._process.kill()
        self._process.wait()

    def _start(self) -> tuple["subprocess.Popen[bytes]", socket.socket]:
        ours, theirs = socket.socketpair()
        environment = dict(os.environ) | {name: str(self._threads) for name in _THREADS}
        with theirs:
            process = subprocess.Popen(  # noqa: S603  our own module, by our own interpreter
                [sys.executable, "-m", "aias.training.nursery", str(self._folder), str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()], env=environment,
            )  # fmt: skip
        return process, ours


def main() -> None:
    """Load, fork and bury until the trainer closes its end."""
    hide()
    folder, channel = Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the trainer decides what an interrupt means
    living: set[int] = set()
    _load()
    while True:
        asked = _asked(channel)
        if asked is None:
            break
        order, descriptors = asked
        if isinstance(order, Birth):
            living.add(_born(order, descriptors, folder, channel))
        else:
            _bury(order.pid, channel)
            living.discard(order.pid)
    for pid in living:  # nobody waits for what they do
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _load() -> None:
    """What every worker needs."""
    for room in ("encoders", "features", "learners"):
        for name in members(room):
            member(room, name)
    importlib.import_module("scipy.sparse")


def _asked(channel: socket.socket) -> tuple[Birth | Burial, list[int]] | None:
    head, descriptors, _, _ = socket.recv_fds(channel, FRAME, 2)
    if len(head) < FRAME:
        return None
    body = channel.recv(int.from_bytes(head, "little"), socket.MSG_WAITALL)
    return msgspec.msgpack.decode(body, type=Birth | Burial), list(descriptors)


def _born(order: Birth, descriptors: Sequence[int], folder: Path, channel: socket.socket) -> int:
    for module in order.modules:
        with contextlib.suppress(Exception):  # whoever fits with it says what is wrong with it
            importlib.import_module(module)
    gc.collect()
    gc.freeze()  # what is here now is never looked at again, hence never copied by a worker's collections
    pid = os.fork()
    if pid:
        for each in descriptors:
            os.close(each)
        return pid
    status = 1
    try:
        channel.close()
        work(folder, *descriptors)
        status = 0
    finally:
        os._exit(status)


def _bury(pid: int, channel: socket.socket) -> None:
    try:
        _, status = os.waitpid(pid, 0)
    except ChildProcessError:
        return
    with contextlib.suppress(OSError):
        _send(channel, msgspec.msgpack.encode(Buried(pid, os.waitstatus_to_exitcode(status))))


def _send(channel: socket.socket, body: bytes, descriptors: Sequence[int] = ()) -> None:
    socket.send_fds(channel, [len(body).to_bytes(FRAME, "little") + body], list(descriptors))


def _received(channel: socket.socket) -> bytes | None:
    head = channel.recv(FRAME, socket.MSG_WAITALL)
    return channel.recv(int.from_bytes(head, "little"), socket.MSG_WAITALL) if len(head) == FRAME else None


if __name__ == "__main__":
    main()
