"""Answers that their callers do not read: how much of them there is at most, over all connections of a loop.

A connection that is sent more than 64 KiB beyond what the system takes is paused: it begins nothing new until its
caller has read on (`connection.py`), so it holds one answer at most. Here is added up what all of them hold.
"""

from collections.abc import Callable
from typing import Final, Protocol

CUT: Final = "serving.unread"


class Paused(Protocol):
    """The part of a connection that matters here."""

    @property
    def unread_bytes(self) -> int: ...

    def cut(self) -> None: ...


class Unread:
    """Beyond `bytes_max` those are cut that have read nothing for the longest time; `note` is told."""

    def __init__(self, bytes_max: int, note: Callable[[str], None]) -> None:
        self._bytes_max, self._note = bytes_max, note
        # Who has been paused for the longest time comes first.
        self._paused: dict[Paused, None] = {}
        # At least what there is: it only becomes less while nobody is added.
        self._at_most = 0

    def add(self, connection: Paused) -> None:
        """It has been paused."""
        self._paused[connection] = None
        self._at_most += connection.unread_bytes
        if self._at_most > self._bytes_max:
            self._make_room()

    def remove(self, connection: Paused) -> None:
        """Its caller has read on, or has gone."""
        self._paused.pop(connection, None)
        if not self._paused:
            self._at_most = 0

    def _make_room(self) -> None:
        self._at_most = sum(each.unread_bytes for each in self._paused)
        while self._paused and self._at_most > self._bytes_max:
            first = next(iter(self._paused))
            self._at_most -= first.unread_bytes
            del self._paused[first]
            self._note(CUT)
            first.cut()
