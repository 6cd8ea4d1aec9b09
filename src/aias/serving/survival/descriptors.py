"""Open files from one process to another, over a socket pair."""

import array
import socket
from typing import Final

FLAGS: Final = socket.MSG_DONTWAIT | getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def receive(
    channel: socket.socket, *, bytes_max: int, descriptors_max: int, wait: bool = False
) -> tuple[bytes, list[int]]:
    """The next message and the descriptors that came with it. Raises `BlockingIOError` where there is none, unless it
    is to `wait`.

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
