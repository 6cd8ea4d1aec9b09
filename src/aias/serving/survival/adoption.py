"""What a worker hears of its supervisor: connections of a worker that has died, and new ones that nobody accepts."""

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from aias.serving.connections.accepting import opened
from aias.serving.refusals import Refusal, RunEnded, TooLate
from aias.serving.survival.connections import Answering, KeptConnection
from aias.serving.survival.descriptors import receive
from aias.serving.survival.journal import Death, Journal, Layout, Pages
from aias.serving.survival.kernel import counts
from aias.serving.survival.verdicts import SlotRecord, verdict_on

MESSAGE_BYTES_MAX: Final = 64 << 10
DESCRIPTORS_MAX: Final = 250

TRIES_MAX: Final = 2
"""A request during whose run a worker died is repeated once, unseen; then its caller is told."""


class Transfer(msgspec.Struct):
    """`slots` of the journal whose descriptor comes first; the connections come after it, in this order. `died`: in
    whose run the worker died, `stuck`: whose run did not end. Without a layout: new connections only."""

    slots: list[int] = []
    died: list[int] = []
    stuck: list[int] = []
    layout: tuple[int, int] | None = None
    isolated: tuple[list[str], list[str]] | None = None
    """The versions that must not run, and those that must run apart, where that has changed."""

    @property
    def descriptors(self) -> int:
        """How many come with it."""
        return 0 if self.isolated is not None else 1 + len(self.slots)


class TransferReceiver:
    """`make` a connection as for one that was accepted; `note` is told what became of each, `isolate` of the
    versions that must not run, and those that must run apart."""

    def __init__(
        self, channel: socket.socket, journal: Journal, *, make: Callable[[], Answering], note: Callable[[str], None],
        isolate: Callable[[frozenset[str], frozenset[str]], None],
    ) -> None:  # fmt: skip
        channel.setblocking(False)
        self._channel, self._journal, self._make, self._note = channel, journal, make, note
        self._isolate = isolate
        self._tasks: set[asyncio.Task[object]] = set()

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self._channel.fileno(), self._hear)

    def _hear(self) -> None:
        with suppress(BlockingIOError):
            while True:
                said, descriptors = receive(self._channel, bytes_max=MESSAGE_BYTES_MAX, descriptors_max=DESCRIPTORS_MAX)
                if not said:
                    return
                self._take(msgspec.json.decode(said, type=Transfer), descriptors)

    def _take(self, transfer: Transfer, descriptors: list[int]) -> None:
        if transfer.isolated is not None:
            self._isolate(*map(frozenset, transfer.isolated))
        if transfer.layout is None:
            for each in descriptors:
                self._open(socket.socket(fileno=each), None)
            return
        threads, slots = transfer.layout
        pages = Pages(descriptors[0], Layout(threads=threads, slots=slots))
        try:
            for index, descriptor in zip(transfer.slots, descriptors[1:], strict=False):
                self._inherit(pages, index, transfer, socket.socket(fileno=descriptor))
        finally:
            pages.close()

    def _inherit(self, pages: Pages, index: int, transfer: Transfer, connection: socket.socket) -> None:
        kept = SlotRecord.of(pages, index)
        counted = counts(connection)
        verdict = verdict_on(kept, counted)
        slot = self._journal.take() if verdict.fate == "kept" else None
        if slot is None:
            # Closed without a word: half an answer must not look like a whole one.
            self._note("lost" if counted.is_open else "left")
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
            return
        at, length = pages.layout.text(index), verdict.length
        slot.text[:length] = pages.view[at : at + length]
        tries = kept.tries + (index in transfer.died)
        slot.open(
            connection.fileno(), start=kept.start, written=counted.written, answered=verdict.skip, tries=tries,
            paid=kept.paid_by(verdict.skip),
        )  # fmt: skip
        slot.death = _death(kept, pages, tries, transfer, index)
        self._note("kept" if slot.death is None else "told" if slot.death.fault else "repeated")
        self._open(connection, KeptConnection(self._connection(verdict.skip), self._journal, (slot, length)))

    def _connection(self, skip: int) -> Answering:
        made = self._make()
        made.skip = skip
        return made

    def _open(self, connection: socket.socket, protocol: KeptConnection | None) -> None:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        kept = protocol or KeptConnection.of(connection, self._make, self._journal)
        task: asyncio.Task[object] = loop.create_task(loop.connect_accepted_socket(lambda: kept, connection))
        self._tasks.add(task)
        task.add_done_callback(partial(opened, self._tasks))


def _death(kept: SlotRecord, pages: Pages, tries: int, transfer: Transfer, index: int) -> Death | None:
    fault = _fault(tries, stuck=index in transfer.stuck)
    if fault is None and index not in transfer.died:
        return None
    version, _ = pages.running().get(-1 if kept.place is None else kept.place, ("", 0))
    return Death(version, fault)


def _fault(tries: int, *, stuck: bool) -> Refusal | None:
    if stuck:
        return TooLate("the run of this request did not end, so its process was ended", hint="send fewer rows")
    if tries >= TRIES_MAX:
        return RunEnded(
            "the process that answered this request died, and so did the next", hint="the server's log has more"
        )
    return None


def send(channel: socket.socket, transfer: Transfer, descriptors: list[int]) -> bool:
    """Tell a worker; whether there was room for it."""
    try:
        socket.send_fds(channel, [msgspec.json.encode(transfer)], descriptors)
    except (BlockingIOError, OSError):
        return False
    return True
