"""The fork server, where workers come from: processes that have loaded what they need, and fork them.

    trainer ──> first ward: aias       ── fork ──> worker, worker, …
                  └ fork ─> next ward: + lightgbm  ── fork ──> worker, …
                              └ fork ─> next: + torch …

    fork one with these pipes; open a ward with this channel and these modules; bury that one   ──>
                       <── I am this process; I have loaded all of it; what the buried one died of

What libraries hold in memory is there once for all workers, and whoever takes a dead worker's place starts at once. A
ward loads once, at its beginning; while it does, those before it fork whoever needs nothing of that. Nothing is ever
run in one: there is one thread, and nothing half done, when it forks. A worker stays a zombie, and its pid its own,
until it is buried. A ward whose loading takes too long is given up: it is killed, and whoever waited behind it is born
from those that are left.
"""

import contextlib
import ctypes
import gc
import importlib
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from aias.core.catalog import member, members
from aias.core.frames import HEAD, framed, size_of
from aias.training.processes.worker import hide, work

_THREADS: Final = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS")
"""Pools that libraries open at import; workers together have one thread a core."""

BURY_SECONDS: Final = 2.0
"""For the word of what a worker died of; a ward that is gone says none."""

_PR_SET_PDEATHSIG: Final = 1
"""Of `prctl(2)`: the signal that comes when the parent is gone."""


class Birth(msgspec.Struct, frozen=True, tag="birth"):
    """Comes with two descriptors: where the worker reads orders, and where it says words."""


class Opening(msgspec.Struct, frozen=True, tag="opening"):
    """Comes with the channel of the ward that is to open, and to load these."""

    modules: tuple[str, ...]


class Burial(msgspec.Struct, frozen=True, tag="burial"):
    """`asked`: what it died of; a word that nobody reads would fill the channel, and hold up the ward, in the end."""

    pid: int
    asked: bool


class Opened(msgspec.Struct, frozen=True, tag="opened"):
    """What a ward says first."""

    pid: int


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """What it says next, when that is done."""


class Buried(msgspec.Struct, frozen=True, tag="buried"):
    """`status` as `os.waitstatus_to_exitcode` gives it."""

    pid: int
    status: int


@dataclass(eq=False)
class Ward:
    """The trainer's end of one. `modules`: all that its workers are born with; `loading`: whether it is not so far."""

    channel: socket.socket
    modules: frozenset[str]
    loading: bool = True
    known_pid: int | None = None

    def hear(self) -> None:
        """Whether it has loaded by now."""
        poll = select.poll()
        poll.register(self.channel, select.POLLIN)
        while self.loading and poll.poll(0) and self._next() is not None:
            pass

    def _next(self) -> Buried | Opened | Loaded | None:
        try:
            body = _received(self.channel)
        except ConnectionError:
            return None
        if body is None:
            return None
        said = msgspec.msgpack.decode(body, type=Buried | Opened | Loaded)
        if isinstance(said, Opened):
            self.known_pid = said.pid
        self.loading = self.loading and not isinstance(said, Loaded)
        return said

    def forget(self, pid: int) -> None:
        """Bury a worker, whatever it ended with."""
        self._bury(pid, asked=False)

    def bury(self, pid: int) -> int | None:
        """What a worker that is gone ended with; None when nobody knows it in time."""
        self._bury(pid, asked=True)
        try:
            self.channel.settimeout(BURY_SECONDS)
            while (said := self._next()) is not None:
                if isinstance(said, Buried) and said.pid == pid:
                    return said.status
        except OSError:  # no word in time, or the ward is gone
            return None
        finally:
            with contextlib.suppress(OSError):
                self.channel.settimeout(None)
        return None

    def _bury(self, pid: int, *, asked: bool) -> None:
        with contextlib.suppress(OSError):
            _send(self.channel, Burial(pid, asked))


class ForkServer:
    """The trainer's end. A ward that is gone, and those after it, are opened anew at the next birth."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        self._folder, self._threads = folder, threads
        self._process, first = self._start()
        self._wards = [first]
        self._loading: tuple[Ward, float] | None = None  # the first that has not loaded, and since when it is the first

    def given_up(self, seconds: float) -> tuple[frozenset[str], list[Ward]]:
        """What has been loading for longer than this, and the wards that are gone for it: whoever was to be born from
        one never will be."""
        for each in self._wards:
            each.hear()
        first = next((each for each in self._wards[1:] if each.loading), None)
        if first is None:
            self._loading = None
            return frozenset(), []
        if self._loading is None or self._loading[0] is not first:
            self._loading = (first, time.monotonic())
        if time.monotonic() - self._loading[1] <= seconds:
            return frozenset(), []
        place = self._wards.index(first)
        gone = self._wards[place:]
        self._drop(first)
        if first.known_pid is not None:  # its number is its own until the ward before ends, which never waits for it
            with contextlib.suppress(ProcessLookupError):
                os.kill(first.known_pid, signal.SIGKILL)
        return first.modules - self._wards[place - 1].modules, gone

    def bear(self, modules: frozenset[str], orders: int, words: int) -> Ward:
        """A worker on these descriptors, which it has from now on; it comes when the modules are loaded."""
        while True:
            ward = next((each for each in self._wards if modules <= each.modules), None)
            try:
                ward = ward or self._open(modules)
                _send(ward.channel, Birth(), (orders, words))
            except OSError:
                self._drop(ward or self._wards[-1])
            else:
                return ward

    def serves(self, folder: Path, *, threads: int) -> bool:
        """Whether workers born here read this folder and have so many threads each."""
        return (self._folder, self._threads) == (folder, threads)

    def close(self) -> None:
        """Also again."""
        if self._wards:
            self._drop(self._wards[0], again=False)

    def _open(self, modules: frozenset[str]) -> Ward:
        last = self._wards[-1]
        ours, theirs = socket.socketpair()
        with theirs:
            _send(last.channel, Opening(tuple(sorted(modules - last.modules))), (theirs.fileno(),))
        self._wards.append(Ward(ours, last.modules | modules))
        return self._wards[-1]

    def _drop(self, gone: Ward, *, again: bool = True) -> None:
        """It and those after it, which end with it; the first is started anew."""
        place = self._wards.index(gone)
        for each in self._wards[place:]:
            each.channel.close()
        del self._wards[place:]
        if place == 0:
            self._process.kill()
            self._process.wait()
            if again:
                self._process, first = self._start()
                self._wards.append(first)

    def _start(self) -> tuple["subprocess.Popen[bytes]", Ward]:
        ours, theirs = socket.socketpair()
        environment = dict(os.environ) | {name: str(self._threads) for name in _THREADS}
        with theirs:
            process = subprocess.Popen(  # noqa: S603  our own module, by our own interpreter
                [sys.executable, "-m", "aias.training.processes.forkserver", str(self._folder), str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()], env=environment,
            )  # fmt: skip
        return process, Ward(ours, frozenset(), loading=False)


def main() -> None:
    hide()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the trainer decides what an interrupt means
    folder, channel = Path(sys.argv[1]), socket.socket(fileno=int(sys.argv[2]))
    for room in ("encoders", "features", "learners"):
        for name in members(room):
            member(room, name)
    importlib.import_module("scipy.sparse")
    _serve(folder, channel)


def _serve(folder: Path, channel: socket.socket) -> None:
    """Fork, open and bury until the trainer closes its end."""
    living: set[int] = set()
    gc.collect()
    gc.freeze()  # what is here now is never looked at again, hence never copied by a worker's collections
    while (asked := _asked(channel)) is not None:
        order, descriptors = asked
        if isinstance(order, Birth):
            living.add(_born(descriptors, folder, channel))
        elif isinstance(order, Opening):
            _opened(order.modules, descriptors, folder, channel)
        else:
            _bury(order, channel)
            living.discard(order.pid)
    for pid in living:  # nobody waits for what they do
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _asked(channel: socket.socket) -> tuple[Birth | Opening | Burial, list[int]] | None:
    head, descriptors, _, _ = socket.recv_fds(channel, HEAD, 2)
    if len(head) < HEAD:
        return None
    body = channel.recv(size_of(head), socket.MSG_WAITALL)
    return msgspec.msgpack.decode(body, type=Birth | Opening | Burial), list(descriptors)


def _born(descriptors: Sequence[int], folder: Path, channel: socket.socket) -> int:
    """It ends with the ward as well, whatever it is fitting just then: the ward before may take that one along before
    it has read that the trainer is gone."""
    ward, pid = os.getpid(), os.fork()
    if pid:
        for each in descriptors:
            os.close(each)
        return pid
    status = 1
    try:
        if _ends_with(ward):
            channel.close()
            work(folder, *descriptors)
            status = 0
    finally:
        os._exit(status)


def _opened(modules: Sequence[str], descriptors: Sequence[int], folder: Path, channel: socket.socket) -> None:
    """It ends with the ward that it comes from, whatever it is loading just then."""
    (theirs,) = descriptors
    parent = os.getpid()
    if os.fork():
        os.close(theirs)
        return
    try:
        if _ends_with(parent):
            channel.close()
            own = socket.socket(fileno=theirs)
            _send(own, Opened(os.getpid()))
            for module in modules:
                with contextlib.suppress(Exception):  # whoever fits with it says what is wrong with it
                    importlib.import_module(module)
            _send(own, Loaded())
            _serve(folder, own)
    finally:
        os._exit(0)


def _ends_with(parent: int) -> bool:
    """From here on this process is killed when its parent is gone; False when it is gone already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent


def _bury(order: Burial, channel: socket.socket) -> None:
    try:
        _, status = os.waitpid(order.pid, 0)
    except ChildProcessError:
        return
    if order.asked:
        with contextlib.suppress(OSError):
            _send(channel, Buried(order.pid, os.waitstatus_to_exitcode(status)))


def _send(channel: socket.socket, message: msgspec.Struct, descriptors: Sequence[int] = ()) -> None:
    socket.send_fds(channel, [framed(msgspec.msgpack.encode(message))], list(descriptors))


def _received(channel: socket.socket) -> bytes | None:
    head = channel.recv(HEAD, socket.MSG_WAITALL)
    return channel.recv(size_of(head), socket.MSG_WAITALL) if len(head) == HEAD else None


if __name__ == "__main__":
    main()
