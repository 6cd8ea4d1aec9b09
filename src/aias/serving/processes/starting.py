"""How a worker's process is started: what it is given, and who listens to what it says."""

import errno
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

import msgspec

from aias.core.events import Event
from aias.serving.processes.orders import Orders
from aias.serving.survival.journal import SPARE_SLOTS, Layout
from aias.serving.survival.worker_process import WorkerChannel, WorkerProcess

Hear = Callable[[WorkerProcess, Event], None]
Bury = Callable[[WorkerProcess], None]


class Starter:
    """`program`: what is started, as arguments of the interpreter; `name` gives each process one under which it counts,
    `isolated` the versions that must not run, and those that must run apart; `suspects`: see `Orders`."""

    def __init__(
        self, orders: Orders, program: Sequence[str], *, name: Callable[[], str],
        isolated: Callable[[], tuple[list[str], list[str]]], suspects: Callable[[], list[str]],
    ) -> None:  # fmt: skip
        self._orders, self._program, self._name = orders, program, name
        self._isolated, self._suspects = isolated, suspects
        self._layout = Layout(threads=orders.places, slots=int(orders.bounds["connections"]) + SPARE_SLOTS)

    def start(
        self, index: int, sockets: Sequence[socket.socket], *, hear: Hear, bury: Bury, patient: bool = False
    ) -> WorkerProcess:
        """A process that listens on those; `patient`: it has time to load its models, as others answer meanwhile. In a
        thread `hear` is told what it says, and `bury` when it has ended. Raises `OSError` where the system has no
        process, thread or open file left; then nothing has begun."""
        channel = WorkerChannel.make(self._layout)
        try:
            process = self._process(index, sockets, channel, patient=patient)
            _listen(process, hear, bury)
        except OSError:
            if channel is not None:
                channel.close()
            raise
        return process

    def _process(
        self, index: int, sockets: Sequence[socket.socket], channel: WorkerChannel | None, *, patient: bool
    ) -> WorkerProcess:
        passed = [each.fileno() for each in sockets]
        counts = self._name()
        orders = replace(self._orders, index=index, counts=counts, descriptors=(*passed,), slots=self._layout.slots)
        if patient:
            bounds = orders.bounds
            orders = replace(orders, bounds=bounds | {"first_loads_seconds": bounds["loading_seconds"]})
        if channel is not None:
            orders = replace(orders, journal=channel.pages.descriptor, channel=channel.theirs.fileno())
            orders = replace(orders, isolated=self._isolated(), suspects=self._suspects())
            passed += [orders.journal, orders.channel]
        popen = subprocess.Popen(  # noqa: S603  this very program
            [sys.executable, *self._program, msgspec.json.encode(orders).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=passed,
            # What a terminal says to its group, Ctrl-C or that it goes, is for us to hear.
            process_group=0,
        )
        return WorkerProcess(popen, channel, time.monotonic(), counts)


def _listen(process: WorkerProcess, hear: Hear, bury: Bury) -> None:
    try:
        threading.Thread(target=_listen_to, args=(process, hear, bury), daemon=True).start()
    except RuntimeError as fault:
        with process.popen as popen:
            popen.kill()
        raise OSError(errno.EAGAIN, str(fault)) from fault


def _listen_to(process: WorkerProcess, hear: Hear, bury: Bury) -> None:
    assert process.popen.stdout is not None
    # It ends with the keeper, which by then has sent what it held.
    with process.popen.stdout as lines:
        for line in lines:
            with suppress(msgspec.MsgspecError):
                hear(process, msgspec.json.decode(line, type=Event))
    process.popen.wait()
    bury(process)
