"""A connection that outlives its worker: what it reads goes straight into the journal, what it writes is counted."""

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from aias.serving.survival.journal import CHUNK_BYTES, TEXT_BYTES, Journal, Slot
from aias.serving.survival.kernel import counts

_CHUNK: Final = CHUNK_BYTES

QUIET_SECONDS: Final = 0.005
"""Between two looks whether all is answered."""


class Answering(Protocol):
    """The connection that is kept: `slot` is where it says what it has answered, `skip` how many requests it is told
    of that are answered already."""

    slot: Slot | None
    skip: int

    @property
    def at_rest(self) -> bool:
        """Whether all that it was given is answered, and nothing has begun since."""

    @property
    def is_over(self) -> bool:
        """Whether what still comes is read for nothing."""

    def connection_made(self, transport: Any) -> None: ...
    def connection_lost(self, exc: Exception | None) -> None: ...
    def data_received(self, data: Any) -> None: ...
    def eof_received(self) -> bool | None: ...
    def pause_writing(self) -> None: ...
    def resume_writing(self) -> None: ...


class Leaving(Protocol):
    """A connection that another worker is to go on with."""

    transport: Any

    @property
    def is_answering(self) -> bool:
        """Whether something is to be written that is not."""


class KeptConnection(asyncio.BufferedProtocol):
    """`kept`: its slot, and how long the text in it is already, of a connection that another worker has left."""

    def __init__(self, connection: Answering, journal: Journal, kept: tuple[Slot, int] | None = None) -> None:
        self.connection, self._journal = connection, journal
        self._slot: Slot | None = None
        self._text, self._at, self._start = journal.beyond, 0, 0
        self._kept = kept
        # Of the text, what its connection has not been given yet.
        self._unheard = 0
        self.pause_writing, self.resume_writing = connection.pause_writing, connection.resume_writing  # type: ignore[method-assign]

    @classmethod
    def of(cls, accepted: socket.socket, make: Callable[[], Answering], journal: Journal) -> "KeptConnection":
        """Of a socket that has just been accepted, and is kept first of all: a worker that died before the loop has a
        transport for it would take it along."""
        slot = journal.take()
        if slot is None:
            return cls(make(), journal)
        counted = counts(accepted)
        slot.open(accepted.fileno(), start=counted.consumed, written=counted.written)
        return cls(make(), journal, (slot, 0))

    # The transport's calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        if self._kept is not None:
            (slot, length), self._kept = self._kept, None
            self._keep(slot, transport)
            self._at = self._unheard = length
            self._start = slot.start
            if length:
                # Not now: the loop reads on behind this, even if it is asked not to, and that would come in between.
                asyncio.get_running_loop().call_soon(self._hear_kept)
            return
        # No slot is left.
        self.connection.connection_made(transport)

    def get_buffer(self, _sizehint: int) -> Any:
        at, slot = self._at, self._slot
        if slot is None:
            return self._journal.beyond
        if at:
            if not self.connection.at_rest:
                # What goes on for longer than the text is answered, but not kept.
                if self.connection.is_over:
                    at = self._at = max(at, TEXT_BYTES)
                return self._text[at : at + _CHUNK] if at < TEXT_BYTES else self._journal.beyond
            self._start += at
            slot.rest(self._start)
            if at > _CHUNK:
                self._journal.shrink(slot)
            self._at = 0
        return self._first

    def buffer_updated(self, nbytes: int) -> None:
        at = self._at
        self._at = at + nbytes
        kept = self._slot is not None and at < TEXT_BYTES
        if self._unheard:
            self._unheard = min(self._at, TEXT_BYTES)
            self._hear_kept()
            if kept:
                return
        data = self._text[at : at + nbytes] if kept else self._journal.beyond[:nbytes]
        self.connection.data_received(data.tobytes())

    def eof_received(self) -> bool | None:
        self._hear_kept()
        return self.connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        # Before the descriptor is closed, and its number given to another file.
        if (slot := self._slot) is not None:
            self._slot = self.connection.slot = None
            if self._at > _CHUNK:
                self._journal.shrink(slot)
            self._journal.give_back(slot)
        self.connection.connection_lost(exc)

    def _hear_kept(self) -> None:
        length, self._unheard = self._unheard, 0
        if length and self._slot is not None:
            self.connection.data_received(bytes(self._text[:length]))

    def _keep(self, slot: Slot, transport: asyncio.Transport) -> None:
        self._slot = self.connection.slot = slot
        self._text, self._first = slot.text, slot.text[:_CHUNK]
        self.connection.connection_made(_Counted(transport, slot, self._journal))


class _Counted:
    """A transport that says how much it is about to write. Stopped, it reads no more: that is for the next worker."""

    def __init__(self, transport: asyncio.Transport, slot: Slot, journal: Journal) -> None:
        self._transport, self._slot, self._write, self._journal = transport, slot, transport.write, journal
        # Asked before each answer: to be found without the detour of `__getattr__`.
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        self._slot.write(len(data))
        self._write(data)

    def resume_reading(self) -> None:
        if not self._journal.leaving:
            self._transport.resume_reading()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def leave(connections: Sequence[Leaving], journal: Journal, *, seconds: float) -> None:
    """Read nothing more, and wait until all that was read whole is answered, but no longer than `seconds`."""
    journal.leaving = True
    for each in connections:
        each.transport.pause_reading()
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while any(each.is_answering for each in connections) and loop.time() < end:
        await asyncio.sleep(QUIET_SECONDS)
