"""What a worker is at, in memory that outlives it: the supervisor holds the same pages.

    runs    since · version                          one for the event loop, one for each thread, some for loading
    slots   descriptor · start · before · total · …  one for each connection
    texts   1 MiB each                               what its connection has read since it was last at rest

Bytes are read from the socket straight into a text; how many there are, the kernel knows (`kernel.py`). Words are
stored one at a time, in an order in which a death between any two of them is understood (`verdicts.py`).
"""

import math
import mmap
import os
import socket
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from aias.core.limits import LOADS_MAX

FORMAT: Final = 3
"""Of these pages and of the transfers about them (`adoption.Transfer`): who changes what they mean counts it up, so
that a server of another release does not take them for its own."""

TEXT_BYTES: Final = 1 << 20
"""What is kept of a connection: a request with a body of almost a MiB. Only pages that are used take memory."""

CHUNK_BYTES: Final = 1 << 16
"""Of one read; also what a text keeps for the next request when a larger one is over."""

SPARE_SLOTS: Final = 64
"""Connections beyond the bound exist for a moment, until they are refused."""

VERSION_BYTES: Final = 104
"""A name has 63, a number behind it fewer."""

RUN_WORDS: Final = 16
SLOT_WORDS: Final = 9
SINCE, BEAT, NAME_BYTES_AT = 0, 1, 16
MOST: Final = RUN_WORDS - 1
"""Behind its name: after so many nanoseconds a run in a thread is taken not to end; 0 where nobody has said."""
ENDS: Final = RUN_WORDS + 1
"""Words that no run needs: how often the loop has come round, and whether the worker is to end for good."""
DESCRIPTOR, START, BEFORE, TOTAL, COMPLETED, RUN, TRIES, STREAMS, PAID = range(9)
ANSWERED_SHIFT: Final = 48
"""`before` and how many requests were answered before that are one word, so that they change at once."""


class Layout:
    """Where things stand, given the number of threads that run models, and of slots."""

    def __init__(self, *, threads: int, slots: int) -> None:
        self.threads, self.slots = threads, slots
        self.runs = runs = threads + 1 + LOADS_MAX
        self.loading = range(threads + 1, runs)
        self.slots_at = runs * RUN_WORDS
        words = self.slots_at + slots * SLOT_WORDS
        page = mmap.PAGESIZE
        self.texts_at = -(-words * 8 // page) * page
        self.bytes = self.texts_at + slots * TEXT_BYTES

    def slot(self, index: int) -> int:
        return self.slots_at + index * SLOT_WORDS

    def text(self, index: int) -> int:
        return self.texts_at + index * TEXT_BYTES


class Pages:
    """The memory itself, by its descriptor; `words` are its beginning as numbers."""

    def __init__(self, descriptor: int, layout: Layout) -> None:
        self.descriptor, self.layout = descriptor, layout
        self.memory = mmap.mmap(descriptor, layout.bytes)
        self.view = memoryview(self.memory)
        self.words = self.view[: layout.texts_at].cast("Q")

    @classmethod
    def make(cls, layout: Layout) -> "Pages":
        """Fresh ones. Raises `OSError` where a machine has no such memory."""
        descriptor = os.memfd_create("aias-journal")
        try:
            os.ftruncate(descriptor, layout.bytes)
            return cls(descriptor, layout)
        except OSError:
            os.close(descriptor)
            raise

    def close(self) -> None:
        self.words.release()
        self.view.release()
        self.memory.close()
        os.close(self.descriptor)

    def running(self) -> dict[int, tuple[str, int]]:
        """By place: the version that runs there, and since when, in nanoseconds of the monotonic clock."""
        found = {}
        for place in range(self.layout.runs):
            if since := self.words[place * RUN_WORDS + SINCE]:
                at = place * RUN_WORDS * 8 + NAME_BYTES_AT
                name = bytes(self.view[at : at + VERSION_BYTES]).rstrip(b"\0").decode("utf-8", "replace")
                found[place] = (name, since)
        return found

    def most_seconds(self, place: int) -> float:
        """What the run in a thread at that place may take; infinite where nobody has said."""
        return self.words[place * RUN_WORDS + MOST] / 1e9 or math.inf

    @property
    def beat(self) -> int:
        """How often the event loop has looked at its connections: while it lives, this moves."""
        found: int = self.words[BEAT]
        return found

    @property
    def ends(self) -> bool:
        """Whether nobody goes on with its connections: the server stops."""
        return bool(self.words[ENDS])

    def end(self) -> None:
        self.words[ENDS] = 1

    def descriptors(self) -> list[tuple[int, int]]:
        """Each slot in use, and the descriptor of its connection in the process that answers it."""
        layout, words = self.layout, self.words
        numbers = words[layout.slots_at + DESCRIPTOR : layout.slot(layout.slots) : 1].tolist()[::SLOT_WORDS]
        return [(index, number - 1) for index, number in enumerate(numbers) if number]


class Death(NamedTuple):
    """The end of a worker in the run of a request, of which version that was, and the `fault` that the request is
    answered with; None where it is tried again."""

    version: str
    fault: Exception | None = None


class Slot:
    """What is kept of one connection. `death`: of a worker that was at its first request; `prepaid`: what of its quotas
    that request took of a worker that died. `turn` is another one for each request."""

    __slots__ = (
        "_at",
        "_known",
        "_pays",
        "_running",
        "_streams",
        "_words",
        "completed",
        "death",
        "index",
        "prepaid",
        "text",
        "total",
        "tries",
        "turn",
    )

    def __init__(self, pages: Pages, index: int) -> None:
        self.index, self._words, self._at = index, pages.words, pages.layout.slot(index)
        begin = pages.layout.text(index)
        self.text = pages.view[begin : begin + TEXT_BYTES]
        self.total = self.completed = self._known = self.tries = self.prepaid = self.turn = 0
        self._running = self._streams = self._pays = False
        self.death: Death | None = None

    def open(
        self, descriptor: int, *, start: int, written: int, answered: int = 0, tries: int = 0, paid: int = 0
    ) -> None:
        """Begin to keep a connection; the descriptor comes last, for with it the slot counts."""
        words, at = self._words, self._at
        self.total, self.completed, self._known, self.tries, self.death = written, answered, answered, tries, None
        words[at + START], words[at + BEFORE] = start, written | answered << ANSWERED_SHIFT
        words[at + TOTAL], words[at + COMPLETED] = written, answered
        words[at + RUN], words[at + TRIES], self._running = 0, tries, False
        words[at + STREAMS], self._streams = 0, False
        words[at + PAID] = self.prepaid = paid
        self._pays, self.turn = paid != 0, self.turn + 1
        words[at + DESCRIPTOR] = descriptor + 1

    def close(self) -> None:
        """Before the descriptor is, which then may be anything."""
        self._words[self._at + DESCRIPTOR] = 0

    def rest(self, start: int) -> None:
        """All that was read is answered: what comes next stands at the beginning of the text."""
        words, at = self._words, self._at
        words[at + START] = start
        words[at + BEFORE], words[at + COMPLETED] = self.total, 0
        self.completed = self._known = 0
        if self.tries:
            self.tries = words[at + TRIES] = 0

    def write(self, size: int) -> None:
        """So many bytes are about to be written."""
        words, at = self._words, self._at
        if self.completed != self._known:
            self._known = self.completed
            # More than fit belong to a text that has long been too short.
            words[at + BEFORE] = self.total | (self._known & 0xFFFF) << ANSWERED_SHIFT
        self.total = words[at + TOTAL] = self.total + size

    def answered(self) -> None:
        """A request is answered, and all of its answer written."""
        self.turn += 1
        if self._pays:
            # First, or the next request would have paid.
            self.prepaid = self._words[self._at + PAID] = 0
            self._pays = False
        self.completed = self._words[self._at + COMPLETED] = self.completed + 1
        if self._running:
            self.runs_at(None)
        if self._streams:
            self._streams = False
            self._words[self._at + STREAMS] = 0

    def streams(self) -> None:
        """The answer will come in more than one write."""
        self._streams = True
        self._words[self._at + STREAMS] = 1

    def pays(self, paid: int, *, ahead: int) -> None:
        """What its request has taken of quotas, and how much of that is left of what it took of another worker."""
        self.prepaid, self._pays = ahead, paid != 0
        self._words[self._at + PAID] = paid

    def take_death(self) -> Death | None:
        """What one request only is told of, or tried again for."""
        death, self.death = self.death, None
        return death

    def runs_at(self, place: int | None) -> None:
        """Its request is in the run at that place, or in none."""
        self._running = place is not None
        self._words[self._at + RUN] = 0 if place is None else place + 1

    @property
    def start(self) -> int:
        """How many bytes had come before the text."""
        found: int = self._words[self._at + START]
        return found

    @property
    def descriptor(self) -> int:
        found: int = self._words[self._at + DESCRIPTOR]
        return found - 1

    @property
    def place(self) -> int | None:
        run: int = self._words[self._at + RUN]
        return run - 1 if run else None


class Runs:
    """Which versions run now, and for whom. Place 0 is the event loop itself, the last are for what is being loaded."""

    LOOP: Final = 0

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._names = [""] * pages.layout.runs
        self._free, self._free_to_load = list(range(pages.layout.threads, 0, -1)), list(pages.layout.loading)
        self._slots: dict[int, list[Slot]] = {}

    def beat(self) -> None:
        """The event loop has come round."""
        self._pages.words[BEAT] += 1

    def begin_on_loop(self, version: str, *slots: Slot | None) -> None:
        """For all that are answered by one run."""
        self._mark(self.LOOP, version)
        for slot in slots:
            if slot is not None:
                slot.runs_at(self.LOOP)

    def end_on_loop(self, *slots: Slot | None) -> None:
        self._pages.words[SINCE] = 0
        for slot in slots:
            if slot is not None:
                slot.runs_at(None)

    def begin(self, version: str, slots: Iterable[Slot | None], *, most_seconds: float = 0.0) -> int:
        """A run in a thread, which may take so long; its place, for `end`."""
        place = self._free.pop()
        self._pages.words[place * RUN_WORDS + MOST] = int(most_seconds * 1e9)
        self._mark(place, version)
        self._slots[place] = [slot for slot in slots if slot is not None]
        for slot in self._slots[place]:
            slot.runs_at(place)
        return place

    def end(self, place: int) -> None:
        self._pages.words[place * RUN_WORDS + SINCE] = 0
        for slot in self._slots.pop(place):
            # Its caller may have given up, and its connection be used for another request.
            if slot.place == place:
                slot.runs_at(None)
        self._free.append(place)

    def load(self, version: str) -> int:
        """A version is about to be loaded and tried out; its place, for `loaded`."""
        place = self._free_to_load.pop()
        self._mark(place, version)
        return place

    def loaded(self, place: int) -> None:
        self._pages.words[place * RUN_WORDS + SINCE] = 0
        self._free_to_load.append(place)

    def _mark(self, place: int, version: str) -> None:
        if self._names[place] != version:
            at = place * RUN_WORDS * 8 + NAME_BYTES_AT
            self._pages.view[at : at + VERSION_BYTES] = version.encode()[:VERSION_BYTES].ljust(VERSION_BYTES, b"\0")
            self._names[place] = version
        self._pages.words[place * RUN_WORDS + SINCE] = time.monotonic_ns()


class Journal:
    """A worker's own: slots for its connections, and its runs. `leaving`: another is to read on."""

    def __init__(self, pages: Pages) -> None:
        self.pages, self.runs = pages, Runs(pages)
        self.leaving = False
        self._slots: list[Slot | int] = list(range(pages.layout.slots))
        self.beyond = memoryview(bytearray(CHUNK_BYTES))
        """Where bytes are read for which a text has no room."""

    def take(self) -> Slot | None:
        """A slot, used ones first: their pages are there already. None when all are taken."""
        if not self._slots:
            return None
        found = self._slots.pop()
        return Slot(self.pages, found) if isinstance(found, int) else found

    def give_back(self, slot: Slot) -> None:
        slot.close()
        self._slots.append(slot)

    def shrink(self, slot: Slot) -> None:
        """Give the memory of a large request back to the machine."""
        begin = self.pages.layout.text(slot.index) + CHUNK_BYTES
        self.pages.memory.madvise(mmap.MADV_REMOVE, begin, TEXT_BYTES - CHUNK_BYTES)


class Kept(NamedTuple):
    """What lets a worker's connections outlive it: where they are written down, and where it is told of others'."""

    journal: Journal
    channel: socket.socket
    quarantined: frozenset[str] = frozenset()
    """The versions that must not run."""
    apart: frozenset[str] = frozenset()
    """Those that must run in a process of their own."""
    suspects: frozenset[str] = frozenset()
    """Those in whose runs a process has ended."""
