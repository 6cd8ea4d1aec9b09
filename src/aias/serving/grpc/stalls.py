"""Calls that wait for nothing but their callers to read: for these gRPC itself waits for ever.

    call ─ read its message ─ run ─▶ answer, or why there is none ─ taken ─▶ over
                                       └ not taken in time, or all calls are taken ─▶ its connection is cut

A caller that gives no window for its answer, or stops reading, would keep a call of those that there may be at one
time, and the memory of its answer; some need no key for that. gRPC has no way to end such a call, so its connection is.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

from aias.serving.bounds import Bounds
from aias.serving.unread import CUT

_FOLDER: Final = Path("/proc/self/fd")


class Stalls:
    """`note` is told of whom is cut; `cut` ends the connection of a caller by the name that gRPC gives it."""

    def __init__(
        self, bounds: Bounds, note: Callable[[str], None], cut: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._bounds, self._note, self._cut, self._clock = bounds, note, cut, clock
        self._open: set[asyncio.Task[Any]] = set()
        # Whose callers are to read, since when, and who they are; the first has waited for longest.
        self._unread: dict[asyncio.Task[Any], tuple[float, str]] = {}

    @property
    def is_full(self) -> bool:
        """Whether there are as many calls as there may be."""
        return len(self._open) >= self._bounds.grpc_calls

    def enter(self, context: Any) -> None:
        """The running task answers a call; whenever it is not `busy`, its caller has to read."""
        task = _this()
        self._open.add(task)
        self._unread[task] = (self._clock(), context.peer())
        task.add_done_callback(self._leave)

    @contextlib.contextmanager
    def busy(self, context: Any) -> Iterator[None]:
        """While something else is waited for than that the caller reads."""
        task = _this()
        self._unread.pop(task, None)
        try:
            yield
        finally:
            self._unread[task] = (self._clock(), context.peer())

    def tidy(self) -> None:
        """Cut who has not read for too long; where all calls are taken, for a second. To be called now and then."""
        seconds = self._bounds.give_way_seconds if self.is_full else self._bounds.unread_seconds
        until = self._clock() - seconds
        late = {task: peer for task, (since, peer) in self._unread.items() if since < until}
        for task in late:
            # Told once, should its connection not be found.
            del self._unread[task]
        for peer in dict.fromkeys(late.values()):
            self._note(CUT)
            self._cut(peer)

    def _leave(self, task: asyncio.Task[Any]) -> None:
        self._open.discard(task)
        self._unread.pop(task, None)


def cut(peer: str, port: int) -> None:
    """End the connection of this process's `port` with a peer, as gRPC names it: `ipv4:127.0.0.1:52110`."""
    with contextlib.suppress(OSError):
        for each in _FOLDER.iterdir():
            with contextlib.suppress(OSError):
                if each.is_socket():
                    _cut_if(int(each.name), unquote(peer), port)


def _cut_if(descriptor: int, peer: str, port: int) -> None:
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.getsockname()[1] != port:
            return
        host, number = connection.getpeername()[:2]
        if peer in (
            f"ipv4:{host}:{number}",
            f"ipv4:{host.removeprefix('::ffff:')}:{number}",
            f"ipv6:[{host}]:{number}",
        ):
            connection.shutdown(socket.SHUT_RDWR)


def _this() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None, "calls are answered in tasks"
    return task
