"""New connections, as many as have come: the loop's own listener takes one a turn.

Under load a turn answers every connection that has something to say, so who came new would wait for as many turns as
there are callers before it: with 1,500 of them, ten seconds.
"""

import asyncio
import errno
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol

TURN_CONNECTIONS_MAX: Final = 256
"""In one turn of the loop; at some 100 us each, 25 ms in which nobody else is heard."""

TURN_REFUSALS_MAX: Final = 48
"""In one turn; at some 20 us each, a millisecond."""

PAUSE_SECONDS: Final = 0.1
"""When the machine has no descriptor left: for some connection to end."""

FULL_SECONDS: Final = 0.02
"""Until more are refused: a twentieth of the time at most goes to them."""

_FULL: Final = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))


class Limit(Protocol):
    def has_room(self, coming: int = 0, address: Any = ()) -> bool: ...

    def refuse(self, accepted: socket.socket) -> bool: ...


class Accepting:
    """`make` the protocol of each connection for which `limit` has room (None: always), there and then: turns may pass
    until the loop has a transport for it. Closed as the loop's servers are."""

    def __init__(
        self,
        listener: socket.socket,
        make: Callable[[socket.socket], asyncio.BaseProtocol],
        limit: Limit | None = None,
        newcomer: Callable[[], None] = lambda: None,
    ) -> None:
        listener.setblocking(False)
        self._listener, self._make, self._loop, self._limit = listener, make, asyncio.get_running_loop(), limit
        self._newcomer = newcomer
        self._tasks: set[asyncio.Task[object]] = set()
        self._open = True
        self._listen()

    def close(self) -> None:
        if self._open:
            self._open = False
            self._loop.remove_reader(self._listener.fileno())

    @property
    def opening(self) -> int:
        """Connections that are accepted and not made yet."""
        return len(self._tasks)

    async def wait_closed(self) -> None:
        """Nothing is left to wait for."""

    def _listen(self) -> None:
        if self._open:
            self._loop.add_reader(self._listener.fileno(), self._accept)

    def _accept(self) -> None:
        refused = 0
        for _ in range(TURN_CONNECTIONS_MAX):
            try:
                connection, address = self._listener.accept()
            except OSError as fault:
                if fault.errno in _FULL:
                    self._pause(PAUSE_SECONDS)
                # Else there are no more, or this one has gone again.
                return
            if self._limit is None or self._limit.has_room(len(self._tasks), address):
                self._take(connection)
            elif self._tasks:
                # Of those that have just come one may idle, as soon as it is there.
                self._pause(0.0)
                self._loop.call_later(0.0, self._take_or_refuse, connection, address)
                return
            elif self._limit.refuse(connection):
                refused += 1
                if refused == TURN_REFUSALS_MAX:
                    self._pause(FULL_SECONDS)
                    return

    def _take(self, connection: socket.socket) -> None:
        connection.setblocking(False)
        self._newcomer()
        made = self._make(connection)
        task: asyncio.Task[object] = self._loop.create_task(
            self._loop.connect_accepted_socket(partial(_given, made), connection)
        )
        self._tasks.add(task)
        task.add_done_callback(partial(opened, self._tasks))

    def _take_or_refuse(self, connection: socket.socket, address: Any) -> None:
        assert self._limit is not None
        if self._open and self._limit.has_room(len(self._tasks), address):
            self._take(connection)
        elif self._open and self._tasks:
            # One that comes counts twice from when it is there until its task has ended.
            self._loop.call_later(0.0, self._take_or_refuse, connection, address)
        else:
            self._limit.refuse(connection)

    def _pause(self, seconds: float) -> None:
        self._loop.remove_reader(self._listener.fileno())
        self._loop.call_later(seconds, self._listen)


def opened(tasks: "set[asyncio.Task[object]]", task: "asyncio.Task[object]") -> None:
    """A task that opens a connection is done; a client that has gone meanwhile is no fault."""
    tasks.discard(task)
    if not task.cancelled() and (fault := task.exception()) is not None and not isinstance(fault, OSError):
        raise fault


def _given(made: asyncio.BaseProtocol) -> asyncio.BaseProtocol:
    return made
