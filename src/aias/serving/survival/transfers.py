"""How what a worker leaves gets to the others.

process ends ─▶ keeper's sockets + journal ─▶ transfers ─▶ workers that are ready, in turn
                                                └ nobody is: they wait for the next that is
"""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import count

import msgspec

from aias.serving.survival.adoption import DESCRIPTORS_MAX, MESSAGE_BYTES_MAX, Transfer, send
from aias.serving.survival.crash_record import CrashRecord
from aias.serving.survival.descriptors import receive
from aias.serving.survival.keeper import NO_SLOT, received
from aias.serving.survival.verdicts import SlotRecord
from aias.serving.survival.worker_process import WorkerChannel, WorkerProcess


class TransferQueue:
    """Gets transfers to workers that can take them; those for whom there is nobody wait here."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Transfer, list[int]]] = []
        self._untold: set[WorkerProcess] = set()
        self._turn = count()

    @property
    def waits(self) -> bool:
        """Whether there is a transfer for which nobody is there."""
        return bool(self._waiting)

    def settle(self, process: WorkerProcess, receivers: Sequence[socket.socket]) -> tuple[int, int]:
        """Hand on what a worker has left, as it comes; how many connections those were, and how many are lost since
        this process may open no more."""
        channel, left, lost = process.channel, 0, 0
        self._untold.discard(process)
        if channel is None:
            return 0, 0
        for slots, held in received(channel.ours):
            if slots == [NO_SLOT]:
                for each in held:
                    self.pass_on(Transfer(), [each], receivers)
                left, lost = left + len(held), lost + 1 - len(held)
                continue
            passed, size = 0, max(1, -(-len(held) // max(1, len(receivers))))
            for start in range(0, len(held), size):
                passed += self._leave(process, slots[start:], held[start : start + size], receivers)
            left, lost = left + passed, lost + len(slots) - passed
        for transfer, descriptors in _unread(channel):
            lost += transfer.descriptors - len(descriptors)
            if descriptors:
                self.pass_on(transfer, descriptors, receivers)
        channel.close()
        return left, lost

    def _leave(
        self, process: WorkerProcess, slots: list[int], held: list[int], receivers: Sequence[socket.socket]
    ) -> int:
        """Hand on the connections of the first slots, and with them the journal: where no more may be open, in the
        place of the last. How many those are."""
        assert process.channel is not None
        while held:
            try:
                pages = os.dup(process.channel.pages.descriptor)
            except OSError:
                os.close(held.pop())
                continue
            self.pass_on(_transfer(process, process.channel, slots[: len(held)]), [pages, *held], receivers)
            break
        return len(held)

    def welcome(self, connection: socket.socket, receivers: Sequence[socket.socket]) -> None:
        """A new connection, whose worker is away."""
        self.pass_on(Transfer(), [connection.detach()], receivers)

    def deliver(self, receivers: Sequence[socket.socket]) -> None:
        """Try again what waits."""
        waiting, self._waiting = self._waiting, []
        for transfer, descriptors in waiting:
            self.pass_on(transfer, descriptors, receivers)

    def pass_on(self, transfer: Transfer, descriptors: list[int], receivers: Sequence[socket.socket]) -> None:
        """A transfer to one of them, in turn."""
        first = next(self._turn)
        for at in range(len(receivers)):
            if send(receivers[(first + at) % len(receivers)], transfer, descriptors):
                _close(descriptors)
                return
        self._waiting.append((transfer, descriptors))

    def tell(self, crashes: CrashRecord, workers: Sequence[WorkerProcess]) -> None:
        """Which versions must not run, or apart. Whose channel is full is told with `tell_again`, what is true then."""
        for each in workers:
            if each.channel is None or send(each.channel.ours, Transfer(isolated=crashes.lists()), []):
                self._untold.discard(each)
            else:
                self._untold.add(each)

    def tell_again(self, crashes: CrashRecord) -> bool:
        """Whether there is somebody still who has not been told."""
        self.tell(crashes, [*self._untold])
        return bool(self._untold)

    def close(self) -> None:
        for _, descriptors in self._waiting:
            _close(descriptors)
        self._waiting = []


def _transfer(process: WorkerProcess, channel: WorkerChannel, slots: list[int]) -> Transfer:
    found = [(index, SlotRecord.of(channel.pages, index).place) for index in slots]
    layout = (channel.pages.layout.threads, channel.pages.layout.slots)
    stuck = [index for index, place in found if place in process.stuck]
    # Whose neighbour was stuck has done nothing.
    died = [] if process.stuck else [index for index, place in found if place is not None]
    return Transfer(slots, died, stuck, layout)


def _unread(channel: WorkerChannel) -> Iterator[tuple[Transfer, list[int]]]:
    """Transfers that a worker was sent and did not live to read."""
    with suppress(BlockingIOError):
        while True:
            said, descriptors = receive(channel.theirs, bytes_max=MESSAGE_BYTES_MAX, descriptors_max=DESCRIPTORS_MAX)
            if not said:
                break
            yield msgspec.json.decode(said, type=Transfer), descriptors


def _close(descriptors: list[int]) -> None:
    for each in descriptors:
        os.close(each)
