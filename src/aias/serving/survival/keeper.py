"""A process that shares a worker's table of open files, does nothing, and outlives it by a moment.

    worker ──clone(CLONE_FILES)──▶ keeper        one table: what the worker opens and closes, the keeper has and has not
      ✝ killed                       │ wakes: the worker is gone, its sockets are still open
                                     └ hands them to the supervisor, and ends

So a connection costs nothing to be kept. A copy of each, sent to somebody else, would cost a system call to send and
one to take, and could not be closed by the worker alone. One that the worker had accepted, and not come to note, is
found among its open files.
"""

import contextlib
import ctypes
import os
import select
import signal
import socket
import stat
import sys
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from aias.serving.survival.descriptors import raise_limit, receive
from aias.serving.survival.journal import Pages
from aias.serving.survival.kernel import counts

_CLONE_FILES: Final = 0x400
_SYSTEM_CALL: Final = {"x86_64": 56, "aarch64": 220, "riscv64": 220}
"""The number of `clone`."""

SOCKETS_AT_ONCE: Final = 200
"""Of one message; the kernel takes 253."""

NO_SLOT: Final = -1
"""Of a connection that was accepted, and of which nothing was read."""


def can_keep() -> bool:
    """Whether this machine has what it takes."""
    return sys.platform == "linux" and os.uname().machine in _SYSTEM_CALL and hasattr(os, "pidfd_open")


def start_keeper(pages: Pages, receiver: socket.socket, ports: Collection[int]) -> int:
    """Its process id. `receiver`: who gets the sockets; `ports`: on which they come. Call it while there is one thread
    only. Raises `OSError`."""
    worker = os.getpid()
    # Not through `os.fork`, which cannot share files. `PyDLL`: the interpreter's lock is held throughout.
    libc = ctypes.PyDLL(None, use_errno=True)
    flags = _CLONE_FILES | signal.SIGCHLD
    pid = libc.syscall(ctypes.c_long(_SYSTEM_CALL[os.uname().machine]), ctypes.c_ulong(flags), 0, 0, 0, 0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "no process to keep connections")
    if pid == 0:
        try:
            _keep(pages, receiver, worker, ports)
        finally:
            os._exit(0)
    return int(pid)


def _keep(pages: Pages, receiver: socket.socket, worker: int, ports: Collection[int]) -> None:
    # Ctrl-C is for the whole group; this one ends when the worker does.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    raise_limit()
    alive = os.pidfd_open(worker)
    if os.getppid() == worker:
        select.select([alive], [], [])
    held = pages.descriptors()
    for start in range(0, len(held), SOCKETS_AT_ONCE):
        _hand_over(receiver, held[start : start + SOCKETS_AT_ONCE])
    for number in _just_accepted(ports, {number for _, number in held}):
        _hand_over(receiver, [(NO_SLOT, number)])


def _just_accepted(ports: Collection[int], noted: Collection[int]) -> Iterator[int]:
    """The connections of which nobody has read anything, and that are not noted."""
    for number in [int(each.name) for each in Path("/proc/self/fd").iterdir()]:
        with contextlib.suppress(OSError):
            if number in noted or not stat.S_ISSOCK(os.fstat(number).st_mode):
                continue
            with socket.socket(fileno=os.dup(number)) as found:
                if found.family in (socket.AF_INET, socket.AF_INET6) and found.getsockname()[1] in ports:
                    counted = counts(found)
                    if counted.is_open and not counted.consumed and not counted.written:
                        yield number


def _hand_over(receiver: socket.socket, held: list[tuple[int, int]]) -> None:
    """Slots as text, their sockets beside it. One that cannot be sent takes no other with it."""
    try:
        socket.send_fds(receiver, [",".join(str(index) for index, _ in held).encode()], [number for _, number in held])
    except OSError:
        if len(held) > 1:
            for each in held:
                _hand_over(receiver, [each])


def received(receiver: socket.socket) -> Iterator[tuple[list[int], list[int]]]:
    """What keepers have sent, as it is asked for: slots, and the descriptors of their sockets. Of those that this
    process may not open, the last slots have none."""
    with contextlib.suppress(BlockingIOError):
        while True:
            said, descriptors = receive(receiver, bytes_max=16 << 10, descriptors_max=SOCKETS_AT_ONCE)
            if not said:
                break
            yield [int(each) for each in said.split(b",")], descriptors
