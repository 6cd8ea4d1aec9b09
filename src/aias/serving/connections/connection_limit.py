"""Room for one more connection, where there are as many as there may be.

    accept ─ below the bound ───────────────▶ in
             └ the longest idle gives way, or who reads nothing ──▶ in
               └ of an address that has more than its share one that has nothing to answer, for other addresses ──▶ in
                 └ nobody does ──▶ 503 and the end, before anything is made for it; a few a turn

An address may have all connections while nobody else comes: behind a proxy all callers have one. Whom a turn has no
time to refuse the kernel keeps waiting, or sends away. All that costs those who are in next to nothing: at five times
the capacity of a tiny model there are more newcomers than could be told anything.
"""

import contextlib
import socket
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, Final

from aias.serving.bounds import Bounds, share_of, whose
from aias.serving.connections.last_words import LastWords
from aias.serving.connections.timeouts import Bounded
from aias.serving.refusals import TooManyConnections

LOOK_SECONDS: Final = 0.02
"""From a look at all connections (2,000 take a millisecond) that found none that idles, to the next."""

_ASKED_BYTES_MAX: Final = 64 << 10
"""Read of what is refused: what stays unread would end the connection before its answer is heard."""


_PROBES: Final = (b"GET /health/live ", b"GET /v2/health/live ")
_ALIVE: Final = (
    b'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 13\r\nconnection: close\r\n\r\n{"live":true}'
)
"""Who asks whether to start the process anew must not do so because it has much to do."""

_WITH_THE_END: Final = getattr(socket, "MSG_MORE", 0)
"""An answer goes out in one packet with the end of its connection: a third less for the system to do, on both sides."""


class ConnectionLimit:
    """Of a server's `connections`; `last_words`: for whom there is none."""

    def __init__(
        self, connections: Collection[object], bounds: Bounds, last_words: LastWords,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._connections, self._bounds, self._clock = connections, bounds, clock
        self._idle: list[Bounded] = []
        # The address that has its share, and of what it has beyond that who could go for others.
        self._crowd, self._spare = "", list[Bounded]()
        self._found_none_at = self._counted_at = float("-inf")
        self._told = last_words.repeatedly(
            TooManyConnections(
                "too many connections", hint="try again in 1 s, and keep connections open between requests"
            )
        )

    def has_room(self, coming: int = 0, address: Any = ()) -> bool:
        """Whether one more may come in from an `address`, as sockets name it, beside those that are `coming` already;
        another may have to go."""
        if len(self._connections) + coming < self._bounds.connections:
            return True
        return self._is_made(whose(address[0]) if address else "", last=not coming)

    def refuse(self, accepted: socket.socket) -> bool:
        """Tell a newcomer that there is none; false where it has given up meanwhile."""
        with contextlib.suppress(OSError), accepted:
            try:
                asked = accepted.recv(_ASKED_BYTES_MAX, socket.MSG_DONTWAIT)
            except BlockingIOError:
                asked = b" "
            if asked:
                told = _ALIVE if asked.startswith(_PROBES) else self._told(asked)
                accepted.send(told, _WITH_THE_END)
                accepted.shutdown(socket.SHUT_WR)
                return True
        return False

    def _is_made(self, address: str, *, last: bool) -> bool:
        """Whether one that idles has gone. If none does, and no more are coming, they are not looked at for a while."""
        now = self._clock()
        # Who is coming counts for no address yet: before all are there, nobody is known to have a share.
        full = len(self._connections) >= self._bounds.connections
        if full and now - self._counted_at >= self._bounds.give_way_seconds:
            self._count(now)
        for _ in range(2):
            if self._one_goes(address):
                return True
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

    def _one_goes(self, address: str) -> bool:
        """Whether one has gone; for an address that has its share already one of its own."""
        crowded = address == self._crowd
        for those in (self._idle,) if crowded else (self._idle, self._spare):
            while those:
                each = those.pop()
                if each.waits_since is not None and (not crowded or _address_of(each) == address):
                    each.give_way()
                    return True
        return False

    def _count(self, now: float) -> None:
        """Find the address that has its share."""
        self._counted_at, self._crowd, self._spare = now, "", []
        known = [each for each in self._connections if isinstance(each, Bounded)]
        for address, held in Counter(map(_address_of, known)).most_common(1):
            if address and (beyond := held - share_of(self._bounds.connections)) >= 0:
                waiting = sorted(
                    (since, each.serial, each) for each in known
                    if _address_of(each) == address and (since := each.waits_since) is not None
                )  # fmt: skip
                self._crowd, self._spare = address, [each for _, _, each in reversed(waiting[:beyond])]


def _address_of(connection: Bounded) -> str:
    return whose(connection.client[0]) if connection.client else ""
