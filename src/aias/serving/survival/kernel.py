"""What the kernel knows of a connection: how many bytes were read from it and written to it, to the byte.

No process can lose these counts by dying, so they say what a dead one had come to.
"""

import fcntl
import os
import socket
import struct
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

_INFO_BYTES: Final = 136
"""Of `struct tcp_info`, up to what is read here; Linux 4.1 has as much."""

_ACKED_AT: Final = 120
_SO_COOKIE: Final = 57
"""Linux 4.12."""

_SIOCINQ, _SIOCOUTQ = 0x541B, 0x5411
_ESTABLISHED, _CLOSE_WAIT = 1, 8


@dataclass(frozen=True, slots=True)
class Counts:
    """Bytes since the connection began: `consumed` by those who answer it, `written` by them. `is_open`: either side
    may still say something."""

    consumed: int
    written: int
    is_open: bool


def counts(connection: socket.socket) -> Counts:
    """Exact where no process reads or writes meanwhile. Raises `OSError` where the kernel does not tell."""
    info = _info(connection)
    while True:
        descriptor = connection.fileno()
        waiting, unacknowledged = _queued(descriptor, _SIOCINQ), _queued(descriptor, _SIOCOUTQ)
        again = _info(connection)
        if again == info:
            break
        # Something came or was acknowledged in between.
        info = again
    state, acknowledged, received = info
    # The end of what a client says counts as a byte.
    ended = 1 if state == _CLOSE_WAIT else 0
    is_open = state in (_ESTABLISHED, _CLOSE_WAIT)
    return Counts(received - ended - waiting, acknowledged + unacknowledged, is_open)


def received_bytes(connection: socket.socket) -> int:
    """What has come on it so far, whoever has read it. Raises `OSError` where the kernel does not tell."""
    return _info(connection)[2]


def untaken(descriptor: int) -> int:
    """Bytes that were written to a connection, and that the other side's system has not taken; 0 where none tells."""
    try:
        return _queued(descriptor, _SIOCOUTQ)
    except (OSError, ValueError):
        # It has just been closed.
        return 0


def has_ended(descriptor: int) -> bool:
    """Whether neither side can say anything more; False where the kernel does not tell."""
    try:
        with socket.socket(fileno=os.dup(descriptor)) as connection:
            return _info(connection)[0] not in (_ESTABLISHED, _CLOSE_WAIT)
    except (OSError, AttributeError, struct.error):
        return False


def name_of(descriptor: int) -> bytes:
    """Of a connection, as long as it lives, whichever process answers it; no other has had it."""
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        cookie = connection.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, 8)
    # The kernel counts sockets, before 5.7 those of each network.
    return b"%b %d %b" % (_boot(), Path("/proc/self/ns/net").stat().st_ino, cookie.hex().encode())


@cache
def _boot() -> bytes:
    return Path("/proc/sys/kernel/random/boot_id").read_bytes().strip()


def _info(connection: socket.socket) -> tuple[int, int, int]:
    """State, bytes acknowledged, bytes received."""
    found = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    acknowledged, received = struct.unpack_from("QQ", found, _ACKED_AT)
    return found[0], acknowledged, received


def _queued(descriptor: int, which: int) -> int:
    found = fcntl.ioctl(descriptor, which, b"\0\0\0\0")
    return int(struct.unpack("i", found)[0])
