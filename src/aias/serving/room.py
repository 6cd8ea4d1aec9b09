"""Room for one more connection, where there are as many as there may be.

    accept ─ below the bound ───────────────▶ in
             └ the longest idle gives way, or who reads nothing ──▶ in
               └ nobody does ──▶ 503 and the end, before anything is made for it; a few a turn

Whom a turn has no time to refuse the kernel keeps waiting, or sends away. All that costs those who are in next to
nothing: at five times the capacity of a tiny model there are more newcomers than could be told anything.
"""

import contextlib
import socket
import time
from collections.abc import Callable, Collection
from typing import Final

from aias.serving.bounded import Bounded
from aias.serving.bounds import Bounds
from aias.serving.transport import last_words

FULL: Final = "serving.too-many-connections"

LOOK_SECONDS: Final = 0.02
"""From a look at all connections (2,000 take a millisecond) that found none that idles, to the next."""

_ASKED_BYTES_MAX: Final = 64 << 10
"""Read of what is refused: what stays unread would end the connection before its answer is heard."""


class Room:
    """Of a server's `connections`; `note` is told whom there was none for."""

    def __init__(
        self, connections: Collection[object], bounds: Bounds, note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._connections, self._bounds, self._note, self._clock = connections, bounds, note, clock
        self._idle: list[Bounded] = []
        self._found_none_at = float("-inf")

    def is_there(self, coming: int = 0) -> bool:
        """Whether one more may come in beside those that are `coming` already; the longest idle may have to go."""
        return len(self._connections) + coming < self._bounds.connections or self._is_made(last=not coming)

    def refuse(self, accepted: socket.socket) -> bool:
        """Tell a newcomer that there is none; false where it has given up meanwhile."""
        with contextlib.suppress(OSError), accepted:
            asked = b" "
            with contextlib.suppress(BlockingIOError):
                asked = accepted.recv(_ASKED_BYTES_MAX)
            if asked:
                self._note(FULL)
                accepted.send(last_words(503, FULL, "too many connections", url=asked.partition(b" ")[2]))
                accepted.shutdown(socket.SHUT_WR)
                return True
        return False

    def _is_made(self, *, last: bool) -> bool:
        """Whether one that idles has gone. If none does, and no more are coming, they are not looked at for a while."""
        for _ in range(2):
            while self._idle:
                each = self._idle.pop()
                if each.waits_since is not None:
                    each.give_way()
                    return True
            now = self._clock()
            if now - self._found_none_at < LOOK_SECONDS:
                return False
            until = now - self._bounds.give_way_seconds
            found = [
                # Who has something to read only where nobody idles.
                (each.flow.write_paused, since, each.serial, each) for each in self._connections
                if isinstance(each, Bounded) and (since := each.waits_since) is not None and since <= until
            ]  # fmt: skip
            self._idle = [entry[3] for entry in sorted(found, reverse=True)]
            if last and not self._idle:
                self._found_none_at = now
        return False
