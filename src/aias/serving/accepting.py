"""New connections, as many as have come: the loop's own listener takes one a turn.

Under load a turn answers every connection that has something to say, so who came new would wait for as many turns as
there are callers before it: with 1,500 of them, ten seconds.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

TURN_CONNECTIONS_MAX: Final = 256
"""In one turn of the loop; at some 100 us each, 25 ms in which nobody else is heard."""

PAUSE_SECONDS: Final = 0.1
"""When the machine has no descriptor left: for some connection to end."""

_FULL: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Accepting:
    """`make` the protocol of each connection, there and then: turns may pass until the loop has a transport for it.
    Closed as the loop's servers are."""

    def __init__(self, listener: socket.socket, make: Callable[[socket.socket], asyncio.BaseProtocol]) -> None:
        listener.setblocking(False)
        self._listener, self._make, self._loop = listener, make, asyncio.get_running_loop()
        self._tasks: set[asyncio.Task[object]] = set()
        self._open = True
        self._listen()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._listener.fileno())

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""

    def _listen(self) -> None:
        if self._open:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(TURN_CONNECTIONS_MAX):
            try:
                connection, _ = self._listener.accept()
            except OSError as fault:
                if fault.errno in _FULL:
                    self._loop.remove_reader(self._listener.fileno())
                    self._loop.call_later(PAUSE_SECONDS, self._listen)
                # Else there are no more, or this one has gone again.
                return
            connection.setblocking(False)
            made = self._make(connection)
            task: asyncio.Task[object] = self._loop.create_task(
                self._loop.connect_accepted_socket(partial(_given, made), connection)
            )
            self._tasks.add(task)
            task.add_done_callback(self._accepted)

    def _accepted(self, task: "asyncio.Task[object]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None and not isinstance(fault, OSError):
            raise fault


def _given(made: asyncio.BaseProtocol) -> asyncio.BaseProtocol:
    return made
