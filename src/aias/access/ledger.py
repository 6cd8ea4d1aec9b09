"""What each key has used of its quotas: one file, mapped into every process that serves a home.

    header │ record 0 │ record 1 │ …        record: a key's mark, a word for each kind of quota, what was given back

A steady rate's word is the time at which its bucket would be full again (GCRA's theoretical arrival time); a day's or a
month's is its number and its count. So the state of each quota is one aligned word of 64 bits.

Why it is right: whoever reads and then writes holds the record's lock, a lock of the kernel on those bytes of the file
(an open file description's, F_OFD_SETLK), beside a lock among its own threads: two processes, or two servers of one
home, never decide on the same state. The kernel drops the lock of a holder that dies, and a word is stored whole, so
a kill at any step leaves what was before or what was meant, of each quota for itself. Reading alone needs no lock.
Time is the wall clock's, since the file outlives a restart: when it is set back, a bucket counts as empty at most and
a day goes on with its count, also one that so begins twice; nobody is shut out for longer than two periods.
"""

import fcntl
import hashlib
import mmap
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from aias.access.accounts import WORD, Account, Held, Usage, lock_of
from aias.access.keys import Key
from aias.access.quotas import Quota
from aias.access.tenants import Tenant, account_of
from aias.core.errors import AiasError, Damaged, StorageFailed

FILE: Final = "quotas.ledger"

_MAGIC: Final = int.from_bytes(b"aiasquo1", "big")
_RECORD_WORDS, _HEADER_WORDS = 16, 512
_RECORDS_MAX: Final = 65_536
"""Keys with quotas that a home may ever have had: 8 MiB, of which only what is used takes room."""

_PAGE: Final = 4_096
_LOCK_SECONDS_MAX: Final = 0.25
"""Holders keep a lock for microseconds, once they have a processor; one that was stopped holds up nobody for longer."""

_SET_LOCK: Final = getattr(fcntl, "F_OFD_SETLK", fcntl.F_SETLK)


class LedgerBusy(AiasError):
    """Another process holds a key's quotas and does not let go"""

    code = "access.ledger-busy"


class Ledger:
    """`account` is what one key has; several ledgers may be open on one file, in one process or in many."""

    def __init__(self, fd: int, clock: Callable[[], int]) -> None:
        self._fd, self.clock = fd, clock
        self._map = mmap.mmap(fd, (_HEADER_WORDS + _RECORDS_MAX * _RECORD_WORDS) * WORD)
        self.words = memoryview(self._map).cast("q")
        self.threads = threading.Lock()
        self._marks: dict[int, int] = {}
        self._kept: set[bytes] = set()
        """Locks that were waited for in vain, and not had since."""

    @classmethod
    def open(cls, home: Path, *, clock: Callable[[], int] = time.time_ns) -> Self:
        """Raises `StorageFailed`, `Damaged`."""
        path = home / FILE
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            # A file with holes, mapped, would end the process where the disk is full: hence what is used is set apart.
            os.posix_fallocate(fd, 0, _HEADER_WORDS * WORD)
            size = (_HEADER_WORDS + _RECORDS_MAX * _RECORD_WORDS) * WORD
            if os.fstat(fd).st_size < size:
                os.ftruncate(fd, size)
        except OSError as fault:
            raise StorageFailed(f"cannot keep quotas in {path}: {fault.strerror}", hint="check the disk") from fault
        ledger = cls(fd, clock)
        with ledger.holding():
            ledger.words[0] = ledger.words[0] or _MAGIC
            if ledger.words[0] != _MAGIC or not 0 <= ledger.words[1] <= _RECORDS_MAX:
                raise Damaged(f"{path} is no ledger of quotas", hint="remove it: all usage begins anew")
        return ledger

    def account(self, key: str, quotas: Sequence[Quota]) -> "Account":
        """What a key has used; its record is made where there is none. Raises `StorageFailed`, `LedgerBusy`."""
        at = self._find(_mark(key))
        return Account(self, self._add(_mark(key)) if at is None else at, quotas)

    def used(self, key: str, quotas: Sequence[Quota]) -> "list[Usage]":
        """What a key has used of each of its quotas."""
        at = self._find(_mark(key))
        if at is None:
            now = self.clock()
            return [Held(quota, 0).usage(0, now) for quota in quotas]
        return Account(self, at, quotas).usage()

    def close(self) -> None:
        self.words.release()
        self._map.close()
        os.close(self._fd)

    @contextmanager
    def holding(self) -> Iterator[None]:
        """Alone with the list of records. Raises `LedgerBusy`."""
        with self.threads:
            self.lock(lock_of(0, held=True))
            try:
                yield
            finally:
                self.lock(lock_of(0, held=False))

    def lock(self, asked: bytes) -> None:
        """Take a lock or let go of it, as `asked` says. Raises `LedgerBusy`: at once, where the last has
        waited in vain, as whoever waits holds up all that its process serves."""
        try:
            fcntl.fcntl(self._fd, _SET_LOCK, asked)
        except (BlockingIOError, PermissionError):
            self._wait(asked)
        if self._kept:
            self._kept.discard(asked)

    def _wait(self, asked: bytes) -> None:
        end = time.monotonic() + _LOCK_SECONDS_MAX
        while asked not in self._kept:
            time.sleep(0.00005)
            with suppress(BlockingIOError, PermissionError):
                fcntl.fcntl(self._fd, _SET_LOCK, asked)
                return
            if time.monotonic() > end:
                self._kept.add(asked)
        raise LedgerBusy("the ledger of quotas is held by another process", hint="try again in a moment")

    def _find(self, mark: int) -> int | None:
        for number in range(len(self._marks), self.words[1]):
            self._marks[self.words[_start(number)]] = number
        number_of = self._marks.get(mark)
        return None if number_of is None else _start(number_of)

    def _add(self, mark: int) -> int:
        with self.holding():
            if (at := self._find(mark)) is not None:
                return at
            number = self.words[1]
            if number >= _RECORDS_MAX:
                raise StorageFailed(f"a home keeps the quotas of {_RECORDS_MAX:,} keys", hint=f"remove {FILE}")
            at = _start(number)
            try:
                os.posix_fallocate(self._fd, at * WORD // _PAGE * _PAGE, _PAGE)
            except OSError as fault:
                raise StorageFailed(f"cannot keep a key's quotas: {fault.strerror}", hint="check the disk") from fault
            self.words[at] = mark
            # Last, so that whoever reads the count finds the record whole.
            self.words[1] = number + 1
            return at


def _mark(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest(), "big", signed=True)


def usage_of(home: Path, keys: Iterable[Key]) -> list[tuple[Key, Usage]]:
    """What keys have used of each of their quotas. Raises `StorageFailed`, `Damaged`."""
    ledger = Ledger.open(home)
    try:
        return [(key, usage) for key in keys for usage in ledger.used(key.id, key.quotas)]
    finally:
        ledger.close()


def usage_of_tenants(home: Path, tenants: Iterable[Tenant]) -> list[tuple[Tenant, Usage]]:
    """What tenants have used of each of theirs. Raises `StorageFailed`, `Damaged`."""
    ledger = Ledger.open(home)
    try:
        return [(each, usage) for each in tenants for usage in ledger.used(account_of(each.name), each.quotas)]
    finally:
        ledger.close()


def _start(number: int) -> int:
    return _HEADER_WORDS + number * _RECORD_WORDS
