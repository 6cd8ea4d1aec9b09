"""Calls that wait for nothing but their callers, to send or to read: for these gRPC itself waits for ever.

    call ─ read its message ─ run ─▶ answer, or why there is none ─ taken ─▶ over
                                       └ not taken in time, or all calls are taken ─▶ its connection is cut

    message ─ nothing comes on its connection for half a minute, or, where all calls are taken, a second ─▶ over

No payer, a key or a tenant or without a key an address, has more than its share of all calls; who has it all is treated
as if all calls were taken.

A caller that gives no window for its answer, or stops reading, would keep a call of those that there may be at one
time, and the memory of its answer; some need no key for that. gRPC has no way to end such a call, so its connection is.
Of a message that is on its way gRPC tells nothing before it is whole, but the kernel counts what comes.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from aias.serving.bounds import Bounds, share_of
from aias.serving.connections.write_buffers import CUT
from aias.serving.refusals import TooManyAtOnce
from aias.serving.survival.kernel import received_bytes

_FOLDER: Final = Path("/proc/self/fd")

LOOK_SECONDS: Final = 1.0
"""Between two looks at what has come on connections: with 3,000 open files one takes some 10 ms."""

ROOM_SHARE: Final = 8
"""Of all calls so many are ended at once, the eighth part, where none is left."""


@dataclass(slots=True)
class _Awaited:
    """A message that is to come; `moved_at`: when something has last come on its connection, for all we know."""

    peer: str
    payer: str
    moved_at: float
    in_stream: bool
    bytes: int = -1


class Stalls:
    """`note` is told of whom is cut; `cut` ends the connection of a caller by the name that gRPC gives it, `received`
    tells how many bytes have come from some."""

    def __init__(
        self, bounds: Bounds, note: Callable[[str], None], cut: Callable[[str], None],
        received: Callable[[Collection[str]], dict[str, int]], clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._bounds, self._note, self._cut, self._received, self._clock = bounds, note, cut, received, clock
        self.messages_wait: Callable[[], bool] = lambda: False
        """Whether some could be read in the place of one of which nothing comes."""
        self._awaited: dict[asyncio.Future[None], _Awaited] = {}
        self._looked_at = -LOOK_SECONDS
        # Whose calls are answered; how many of each payer.
        self._open: dict[asyncio.Task[Any], str] = {}
        self._calls: Counter[str] = Counter()
        # Whose callers are to read, since when, and who they are; the first has waited for longest.
        self._unread: dict[asyncio.Task[Any], tuple[float, str]] = {}

    @property
    def is_full(self) -> bool:
        """Whether there are as many calls as there may be."""
        return len(self._open) >= self._bounds.grpc_calls

    def enter(self, context: Any, payer: str) -> None:
        """The running task answers a call; whenever it is not `busy`, its caller has to read. Raises `TooManyAtOnce`
        of a payer who has his share."""
        task = _this()
        self._open[task] = payer
        self._calls[payer] += 1
        self._unread[task] = (self._clock(), context.peer())
        task.add_done_callback(self._leave)
        if self._calls[payer] > share_of(self._bounds.grpc_calls):
            raise TooManyAtOnce("calls")

    @property
    def payer(self) -> str:
        """Of the call that the running task answers."""
        return self._open[_this()]

    def is_pressed(self, payer: str) -> bool:
        """Whether another call of that payer would be refused."""
        return self.is_full or self._calls[payer] >= share_of(self._bounds.grpc_calls)

    @contextlib.contextmanager
    def busy(self, context: Any) -> Iterator[None]:
        """While something else is waited for than that the caller reads."""
        task = _this()
        self._unread.pop(task, None)
        try:
            yield
        finally:
            self._unread[task] = (self._clock(), context.peer())

    @contextlib.contextmanager
    def awaiting(self, context: Any, payer: str, *, in_stream: bool) -> Iterator[asyncio.Future[None]]:
        """While its caller is to send a message; the future is done when that is to be waited for no longer."""
        over = asyncio.get_running_loop().create_future()
        self._awaited[over] = _Awaited(context.peer(), payer, self._clock(), in_stream)
        try:
            yield over
        finally:
            del self._awaited[over]

    def tidy(self) -> None:
        """Cut who has not read for too long, end what waits for a message of which nothing comes; both sooner where all
        calls are taken. To be called now and then."""
        self._end_idle()
        now, bounds = self._clock(), self._bounds
        late = dict[asyncio.Task[Any], str]()
        for task, (since, peer) in self._unread.items():
            pressed = self.is_pressed(self._open[task])
            if now - since > (bounds.give_way_seconds if pressed else bounds.unread_seconds):
                late[task] = peer
        for task in late:
            # Told once, should its connection not be found.
            del self._unread[task]
        for peer in dict.fromkeys(late.values()):
            self._note(CUT)
            self._cut(peer)

    def _end_idle(self) -> None:
        """A stream may wait for as long as it likes, where there is room."""
        now, bounds, late = self._clock(), self._bounds, []
        for over, each in self._awaited.items():
            pressed = self.is_pressed(each.payer) or (not each.in_stream and self.messages_wait())
            seconds = bounds.give_way_seconds if pressed else bounds.body_idle_seconds
            if now - each.moved_at > seconds and (pressed or not each.in_stream) and not over.done():
                late.append((over, each))
        if not late or now - self._looked_at < min(LOOK_SECONDS, bounds.give_way_seconds, bounds.body_idle_seconds):
            return
        self._looked_at = now
        came = self._received({each.peer for _, each in late})
        idle = []
        for over, each in late:
            if each.bytes == came.get(each.peer):
                idle.append(over)
            else:
                each.bytes, each.moved_at = came.get(each.peer, -1), now
        for over in idle[: max(1, bounds.grpc_calls // ROOM_SHARE)] if self.is_full else idle:
            over.set_result(None)

    def _leave(self, task: asyncio.Task[Any]) -> None:
        payer = self._open.pop(task)
        self._calls[payer] -= 1
        if not self._calls[payer]:
            del self._calls[payer]
        self._unread.pop(task, None)


def cut(peer: str, port: int) -> None:
    """End the connection of this process's `port` with a peer, as gRPC names it: `ipv4:127.0.0.1:52110`."""
    for _, connection in _connections((peer,), port):
        connection.shutdown(socket.SHUT_RDWR)


def received(peers: Collection[str], port: int) -> dict[str, int]:
    """How many bytes have come on the connections of this process's `port` with some peers."""
    return {peer: received_bytes(connection) for peer, connection in _connections(peers, port)}


def _connections(peers: Collection[str], port: int) -> Iterator[tuple[str, socket.socket]]:
    """Those with some peers, each open until the next is asked for; it may end at any time."""
    names = {unquote(peer): peer for peer in peers}
    for connection in _sockets():
        with contextlib.suppress(OSError):
            if found := _peer(connection, port) & names.keys():
                yield names[found.pop()], connection


def _sockets() -> Iterator[socket.socket]:
    """All of this process, each open until the next is asked for."""
    with contextlib.suppress(OSError):
        for each in _FOLDER.iterdir():
            with contextlib.suppress(OSError):
                if each.is_socket():
                    with socket.socket(fileno=os.dup(int(each.name))) as connection:
                        yield connection


def _peer(connection: socket.socket, port: int) -> set[str]:
    """As gRPC may name who is at the other end of a connection of that port."""
    if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.getsockname()[1] != port:
        return set()
    host, number = connection.getpeername()[:2]
    return {f"ipv4:{host}:{number}", f"ipv4:{host.removeprefix('::ffff:')}:{number}", f"ipv6:[{host}]:{number}"}


def _this() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None, "calls are answered in tasks"
    return task
