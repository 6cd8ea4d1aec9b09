"""One server takes the place of another on the same port, and nobody who calls notices.

    new ──succeed──▶ old        the old one's control socket (`processes/control_socket.py`)
        ◀──sockets──            its listening sockets themselves: what waits in their queues waits for both
    new: workers start on them, until every one is ready; both answer
        ──take──▶               the old one's workers finish what they have begun, and read nothing more
        ◀──transfers──          their connections, and what was asked on them, as after a worker's death
        ◀──the end──            the old one has nothing left, and ends; its counts lie where the new one's do

A new one that fails before `take` has changed nothing; after it, the old one starts workers again.
"""

import os
import select
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

import msgspec

from aias.core.errors import Conflict
from aias.core.unix_sockets import pid_of
from aias.serving.processes.control_socket import (
    ANSWER_SECONDS_MAX,
    FOLDER,
    Question,
    Reply,
    call,
    deaf,
    exchange,
    name_of,
)
from aias.serving.survival.adoption import DESCRIPTORS_MAX, MESSAGE_BYTES_MAX, Transfer
from aias.serving.survival.descriptors import receive
from aias.serving.survival.journal import FORMAT

SOCKETS_AT_ONCE: Final = 200
"""Of one message; the kernel takes 253."""

_TAKE: Final = b"take"


class Succeeding(Conflict):
    """Another new server is about to take the place of the old one"""

    code = "serving.succeeding"


class Successor:
    """Seen by the old one: who is to take its place. `tell` hears `take`, then or before it `gone`."""

    def __init__(self, channel: socket.socket, asked: Question) -> None:
        self.channel, self.understands = channel, asked.format == FORMAT
        self.pid = pid_of(channel)

    def give(self, sockets: Sequence[socket.socket], *, second: int, folder: str, tell: Callable[[str], None]) -> None:
        self.channel.settimeout(ANSWER_SECONDS_MAX)
        reply = Reply(pid=os.getpid(), sockets=len(sockets), second=second, folder=folder)
        self.channel.send(msgspec.json.encode(reply))
        for start in range(0, len(sockets), SOCKETS_AT_ONCE):
            some = [each.fileno() for each in sockets[start : start + SOCKETS_AT_ONCE]]
            socket.send_fds(self.channel, [b"sockets"], some)
        # From now on whoever writes transfers does not wait.
        self.channel.setblocking(False)
        threading.Thread(target=self._wait, args=(tell,), daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self.channel.shutdown(socket.SHUT_RDWR)
        self.channel.close()

    def _wait(self, tell: Callable[[str], None]) -> None:
        ready = select.poll()
        ready.register(self.channel, select.POLLIN)
        with suppress(OSError):
            while ready.poll() and (said := self.channel.recv(len(_TAKE))):
                if said == _TAKE:
                    tell("take")
        tell("gone")


class Predecessor:
    """Seen by the new one: whose place it is to take. `second`: the port on which it answers gRPC, or 0; `folder`:
    where its counts are, "" of a release that does not say."""

    def __init__(self, channel: socket.socket, told: Reply, sockets: list[socket.socket]) -> None:
        self.pid, self.second, self.folder, self.sockets = told.pid, told.second, told.folder, sockets
        self._channel = channel

    @classmethod
    def find(cls, home: Path, host: str, port: int) -> Self | None:
        """None where no server of this home is on that port. Raises `Deaf`, `Succeeding`."""
        path = home / FOLDER / name_of(host, port)
        channel = call(path)
        if channel is None:
            return None
        told = exchange(channel, Question("succeed", format=FORMAT), path)
        if told.refused:
            channel.close()
            raise Succeeding(f"{host}:{port}: {told.refused}", hint="wait until it is done, then look")
        sockets: list[socket.socket] = []
        try:
            while len(sockets) < told.sockets:
                said, descriptors = socket.recv_fds(channel, 16, SOCKETS_AT_ONCE)[:2]
                if not said:
                    break
                sockets += [socket.socket(fileno=each) for each in descriptors]
        except OSError as fault:
            cls(channel, told, sockets).close()
            raise deaf(path, str(fault)) from fault
        return cls(channel, told, sockets)

    def take(self) -> None:
        """Every worker is ready."""
        self._channel.settimeout(None)
        with suppress(OSError):
            self._channel.send(_TAKE)

    def transfers(self) -> Iterator[tuple[Transfer, list[int]]]:
        """What it leaves, until it has ended; for a thread."""
        with suppress(OSError):
            while True:
                said, descriptors = receive(
                    self._channel, bytes_max=MESSAGE_BYTES_MAX, descriptors_max=DESCRIPTORS_MAX, wait=True
                )
                if not said:
                    break
                yield msgspec.json.decode(said, type=Transfer), descriptors
        self._channel.close()

    def close(self) -> None:
        """It has been decided otherwise, or it is over."""
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._channel.close()
        for each in self.sockets:
            each.close()
