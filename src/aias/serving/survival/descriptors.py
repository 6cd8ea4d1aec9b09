"""Open files from one process to another, over a socket pair."""

import array
import resource
import socket
from contextlib import suppress
from typing import Final

FLAGS: Final = socket.MSG_DONTWAIT | getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def raise_limit() -> None:
    """Let this process have as many open files as it may allow itself. A shell gives 1,024 by default."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    # Where the bound is none at all, some systems refuse to have it told so.
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def receive(
    channel: socket.socket, *, bytes_max: int, descriptors_max: int, wait: bool = False
) -> tuple[bytes, list[int]]:
    """The next message and the descriptors that came with it. Raises `BlockingIOError` where there is none, unless it
    is to `wait`. Of descriptors that this process may not open there are fewer than were sent.

    `socket.recv_fds` passes no flags on in Python 3.11, and waits.
    """
    held = array.array("i")
    said, ancillary, _flags, _from = channel.recvmsg(
        bytes_max, socket.CMSG_SPACE(descriptors_max * held.itemsize), FLAGS & ~socket.MSG_DONTWAIT if wait else FLAGS
    )
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            held.frombytes(data[: len(data) - len(data) % held.itemsize])
    return said, list(held)
