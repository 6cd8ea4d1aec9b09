"""Answers that their callers do not read: how much of them there is at most, over all connections of a loop, and how
long one may wait for its caller to read on.

A connection that is sent more than 64 KiB beyond what the system takes is paused: it begins nothing new until its
caller has read on (`connections/connection.py`), so it holds one answer at most. Here is added up
what all of them hold.
"""

import time
from collections.abc import Callable
from typing import Final, Protocol

CUT: Final = "serving.unread"


class Paused(Protocol):
    """The part of a connection that matters here. `untaken_bytes`: beside what is held here, what its system has not
    been able to give to its caller's."""

    @property
    def unread_bytes(self) -> int: ...

    @property
    def untaken_bytes(self) -> int: ...

    def cut(self) -> None: ...


class _Least:
    """The fewest bytes that were seen waiting, and since when there are not fewer."""

    __slots__ = ("bytes", "since")

    def __init__(self, size: int, since: float) -> None:
        self.bytes, self.since = size, since


class WriteBuffers:
    """Beyond `bytes_max` those are cut that have read nothing for the longest time, and everyone who has read nothing
    for `seconds_max`; `note` is told."""

    def __init__(
        self, bytes_max: int, seconds_max: float, note: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._bytes_max, self._seconds_max, self._note, self._clock = bytes_max, seconds_max, note, clock
        # Who has been paused for the longest time comes first.
        self._paused: dict[Paused, _Least] = {}
        # At least what there is: it only becomes less while nobody is added.
        self._at_most = 0

    def add(self, connection: Paused) -> None:
        """It has been paused."""
        self._paused[connection] = _Least(connection.untaken_bytes, self._clock())
        self._at_most += connection.unread_bytes
        if self._at_most > self._bytes_max:
            self._make_room()

    def remove(self, connection: Paused) -> None:
        """Its caller has read on, or has gone."""
        self._paused.pop(connection, None)
        if not self._paused:
            self._at_most = 0

    def since(self, connection: Paused) -> float | None:
        """Since when a paused one has read nothing, as far as was looked."""
        least = self._paused.get(connection)
        return None if least is None else least.since

    def tidy(self) -> None:
        """Cut who has read nothing for too long; to be called now and then."""
        now = self._clock()
        for connection, least in [*self._paused.items()]:
            if (left := connection.untaken_bytes) < least.bytes:
                least.bytes, least.since = left, now
            elif now - least.since > self._seconds_max:
                self._cut(connection)

    def _make_room(self) -> None:
        self._at_most = sum(each.unread_bytes for each in self._paused)
        while self._paused and self._at_most > self._bytes_max:
            first = next(iter(self._paused))
            self._at_most -= first.unread_bytes
            self._cut(first)

    def _cut(self, connection: Paused) -> None:
        del self._paused[connection]
        self._note(CUT)
        connection.cut()
