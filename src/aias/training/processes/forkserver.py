"""The fork server, where workers come from: processes that have loaded what they need, and fork them.

    trainer ──> first zygote: aias     ── fork ──> worker, worker, …
                  └ fork ─> next zygote: + lightgbm  ── fork ──> worker, …
                              └ fork ─> next: + torch …

    fork one with these pipes; open a zygote with this channel and these modules; reap that one ──>
                       <── I am this process; I have loaded all of it; what the reaped one died of

What libraries hold in memory is there once for all workers, and whoever takes a dead worker's place starts at once. A
zygote loads once, at its beginning; while it does, those before it fork whoever needs nothing of that. Nothing is ever
run in one: there is one thread, and nothing half done, when it forks. A worker stays a zombie, and its pid its own,
until it is reaped. A zygote whose loading takes too long is given up: it is killed, and whoever waited behind it comes
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

REAP_SECONDS: Final = 2.0
"""For the word of what a worker died of; a zygote that is gone says none."""

_PR_SET_PDEATHSIG: Final = 1
"""Of `prctl(2)`: the signal that comes when the parent is gone."""


class Fork(msgspec.Struct, frozen=True, tag="fork"):
    """Comes with two descriptors: where the worker reads orders, and where it says words."""


class Preload(msgspec.Struct, frozen=True, tag="preload"):
    """Comes with the channel of the zygote that is to open, and to load these."""

    modules: tuple[str, ...]


class Reap(msgspec.Struct, frozen=True, tag="reap"):
    """`asked`: what it died of; a word that nobody reads would fill the channel, and hold up the zygote, in the end."""

    pid: int
    asked: bool


class Started(msgspec.Struct, frozen=True, tag="started"):
    """What a zygote says first."""

    pid: int


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """What it says next, when that is done."""


class Reaped(msgspec.Struct, frozen=True, tag="reaped"):
    """`status` as `os.waitstatus_to_exitcode` gives it."""

    pid: int
    status: int


@dataclass(eq=False)
class Zygote:
    """The trainer's end of one. `modules`: what its workers are started with; `loading`: whether it is not so far."""

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

    def _next(self) -> Reaped | Started | Loaded | None:
        try:
            body = _received(self.channel)
        except ConnectionError:
            return None
        if body is None:
            return None
        said = msgspec.msgpack.decode(body, type=Reaped | Started | Loaded)
        if isinstance(said, Started):
            self.known_pid = said.pid
        self.loading = self.loading and not isinstance(said, Loaded)
        return said

    def forget(self, pid: int) -> None:
        """Reap a worker, whatever it ended with."""
        self._reap(pid, asked=False)

    def reap(self, pid: int) -> int | None:
        """What a worker that is gone ended with; None when the zygote is gone, too. Raises `TimeoutError` when it
        has not said so in time."""
        self._reap(pid, asked=True)
        try:
            self.channel.settimeout(REAP_SECONDS)
            while (said := self._next()) is not None:
                if isinstance(said, Reaped) and said.pid == pid:
                    return said.status
        except TimeoutError:
            raise
        except OSError:  # the zygote is gone
            return None
        finally:
            with contextlib.suppress(OSError):
                self.channel.settimeout(None)
        return None

    def _reap(self, pid: int, *, asked: bool) -> None:
        with contextlib.suppress(OSError):
            _send(self.channel, Reap(pid, asked))


class ForkServer:
    """The trainer's end. A zygote that is gone, and those after it, are started anew at the next fork."""

    def __init__(self, folder: Path, *, threads: int) -> None:
        self._folder, self._threads = folder, threads
        self._process, first = self._start()
        self._zygotes = [first]
        # The first that has not loaded, and since when it is the first.
        self._loading: tuple[Zygote, float] | None = None

    def given_up(self, seconds: float) -> tuple[frozenset[str], list[Zygote]]:
        """What has been loading for longer than this, and the zygotes that are gone for it: whoever was to come
        from one never will."""
        for each in self._zygotes:
            each.hear()
        first = next((each for each in self._zygotes[1:] if each.loading), None)
        if first is None:
            self._loading = None
            return frozenset(), []
        if self._loading is None or self._loading[0] is not first:
            self._loading = (first, time.monotonic())
        if time.monotonic() - self._loading[1] <= seconds:
            return frozenset(), []
        place = self._zygotes.index(first)
        gone = self._zygotes[place:]
        self._drop(first)
        if first.known_pid is not None:  # its number is its own until the zygote before ends, which never waits for it
            with contextlib.suppress(ProcessLookupError):
                os.kill(first.known_pid, signal.SIGKILL)
        return first.modules - self._zygotes[place - 1].modules, gone

    def fork(self, modules: frozenset[str], orders: int, words: int) -> Zygote:
        """A worker on these descriptors, which it has from now on; it comes when the modules are loaded."""
        while True:
            zygote = next((each for each in self._zygotes if modules <= each.modules), None)
            try:
                zygote = zygote or self._open(modules)
                _send(zygote.channel, Fork(), (orders, words))
            except OSError:
                self._drop(zygote or self._zygotes[-1])
            else:
                return zygote

    def serves(self, folder: Path, *, threads: int) -> bool:
        """Whether workers started here read this folder and have so many threads each."""
        return (self._folder, self._threads) == (folder, threads)

    def close(self) -> None:
        """Also again."""
        if self._zygotes:
            self._drop(self._zygotes[0], again=False)

    def _open(self, modules: frozenset[str]) -> Zygote:
        last = self._zygotes[-1]
        ours, theirs = socket.socketpair()
        with theirs:
            _send(last.channel, Preload(tuple(sorted(modules - last.modules))), (theirs.fileno(),))
        self._zygotes.append(Zygote(ours, last.modules | modules))
        return self._zygotes[-1]

    def _drop(self, gone: Zygote, *, again: bool = True) -> None:
        """It and those after it, which end with it; the first is started anew."""
        place = self._zygotes.index(gone)
        for each in self._zygotes[place:]:
            each.channel.close()
        del self._zygotes[place:]
        if place == 0:
            self._process.kill()
            self._process.wait()
            if again:
                self._process, first = self._start()
                self._zygotes.append(first)

    def _start(self) -> tuple["subprocess.Popen[bytes]", Zygote]:
        ours, theirs = socket.socketpair()
        environment = dict(os.environ) | {name: str(self._threads) for name in _THREADS}
        with theirs:
            process = subprocess.Popen(  # noqa: S603  our own module, by our own interpreter
                [sys.executable, "-m", "aias.training.processes.forkserver", str(self._folder), str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()], env=environment,
            )  # fmt: skip
        return process, Zygote(ours, frozenset(), loading=False)


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
    """Fork, open and reap until the trainer closes its end."""
    living: set[int] = set()
    gc.collect()
    gc.freeze()  # what is here now is never looked at again, hence never copied by a worker's collections
    while (asked := _asked(channel)) is not None:
        order, descriptors = asked
        if isinstance(order, Fork):
            living.add(_forked(descriptors, folder, channel))
        elif isinstance(order, Preload):
            _preloaded(order.modules, descriptors, folder, channel)
        else:
            _reap(order, channel)
            living.discard(order.pid)
    for pid in living:  # nobody waits for what they do
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _asked(channel: socket.socket) -> tuple[Fork | Preload | Reap, list[int]] | None:
    head, descriptors, _, _ = socket.recv_fds(channel, HEAD, 2)
    if len(head) < HEAD:
        return None
    body = channel.recv(size_of(head), socket.MSG_WAITALL)
    return msgspec.msgpack.decode(body, type=Fork | Preload | Reap), list(descriptors)


def _forked(descriptors: Sequence[int], folder: Path, channel: socket.socket) -> int:
    """It ends with the zygote as well, whatever it is fitting just then: the zygote before may take that one along
    before it has read that the trainer is gone."""
    zygote, pid = os.getpid(), os.fork()
    if pid:
        for each in descriptors:
            os.close(each)
        return pid
    status = 1
    try:
        if _ends_with(zygote):
            channel.close()
            work(folder, *descriptors)
            status = 0
    finally:
        os._exit(status)


def _preloaded(modules: Sequence[str], descriptors: Sequence[int], folder: Path, channel: socket.socket) -> None:
    """It ends with the zygote that it comes from, whatever it is loading just then."""
    (theirs,) = descriptors
    parent = os.getpid()
    if os.fork():
        os.close(theirs)
        return
    try:
        if _ends_with(parent):
            channel.close()
            own = socket.socket(fileno=theirs)
            _send(own, Started(os.getpid()))
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


def _reap(order: Reap, channel: socket.socket) -> None:
    try:
        _, status = os.waitpid(order.pid, 0)
    except ChildProcessError:
        return
    if order.asked:
        with contextlib.suppress(OSError):
            _send(channel, Reaped(order.pid, os.waitstatus_to_exitcode(status)))


def _send(channel: socket.socket, message: msgspec.Struct, descriptors: Sequence[int] = ()) -> None:
    socket.send_fds(channel, [framed(msgspec.msgpack.encode(message))], list(descriptors))


def _received(channel: socket.socket) -> bytes | None:
    head = channel.recv(HEAD, socket.MSG_WAITALL)
    return channel.recv(size_of(head), socket.MSG_WAITALL) if len(head) == HEAD else None


if __name__ == "__main__":
    main()
