"""Sockets with a name in a folder, for processes of one machine."""

import contextlib
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Final

CALLERS_MAX: Final = 16
"""Who may wait to be heard."""


def listen_as(path: Path) -> socket.socket:
    """Whoever connects there from now on is heard here, whoever was before. Raises `OSError`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        with _short(path.parent) as folder:
            # It has its name only once it listens: whom nobody hears is taken for dead.
            fresh = folder / f".{path.name}.{os.getpid()}"
            fresh.unlink(missing_ok=True)
            listener.bind(f"{fresh}")
            fresh.chmod(0o600)
            listener.listen(CALLERS_MAX)
            fresh.rename(folder / path.name)
    except BaseException:
        listener.close()
        raise
    return listener


def connect(caller: socket.socket, path: Path) -> None:
    """Raises `OSError`."""
    with _short(path.parent) as folder:
        caller.connect(f"{folder}/{path.name}")


def pid_of(other: socket.socket) -> int:
    """Who is at the other end; 0 where that cannot be seen from here."""
    return _credentials(other)[0]


def user_of(other: socket.socket) -> int:
    """As whom runs who is at the other end."""
    return _credentials(other)[1]


def _credentials(other: socket.socket) -> tuple[int, int, int]:
    process, user, group = struct.unpack("3i", other.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return process, user, group


@contextlib.contextmanager
def _short(folder: Path) -> Iterator[Path]:
    """A path of a folder that is short: the kernel takes 108 bytes for a socket's."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
