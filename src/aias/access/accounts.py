"""The arithmetic of quotas: what is taken of a word, when there will be more, what is left."""

import fcntl
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from aias.access.quotas import PERIODS, RATES, UNITS, Period, Quota, Unit

if TYPE_CHECKING:
    from aias.access.ledger import Ledger

WORD: Final = 8
_COUNT: Final = (1 << 40) - 1
_PLACES: Final = {(unit, per): 1 + at for at, (unit, per) in enumerate((u, p) for u in UNITS for p in PERIODS)}


class Spent(NamedTuple):
    """The quota that has no more, and in how many seconds it has; None: never so much at once."""

    quota: Quota
    seconds: float | None


@dataclass(frozen=True, slots=True)
class Usage:
    """`used` of a quota's bucket, or of its day or month; `seconds` until all of it is there again."""

    quota: Quota
    used: int
    left: int
    seconds: float


class Held:
    """A quota and its word. `step` and `room`: nanoseconds of one and of all, 0 where it is a count."""

    __slots__ = ("place", "quota", "room", "step")

    def __init__(self, quota: Quota, place: int) -> None:
        self.quota, self.place = quota, place
        self.step = quota.step_ns if quota.per in RATES else 0
        self.room = self.step * quota.burst

    def stands(self, word: int, now: int) -> int:
        """The word as it is now: a bucket is empty at most, a count of this day or month, as a later one is."""
        if self.step:
            return min(max(word, now), now + self.room)
        number = _number(self.quota.per, now)
        return number << 40 | (word & _COUNT if word >> 40 >= number else 0)

    def wait(self, after: int, now: int) -> int:
        """Nanoseconds for which the word cannot become this one; 0 or less where it can."""
        if self.step:
            return after - self.room - now
        return max(1, _next_ns(self.quota.per, now) - now) if after & _COUNT > self.quota.amount else 0

    def usage(self, word: int, now: int) -> Usage:
        stands = self.stands(word, now)
        if self.step:
            used = -(-(stands - now) // self.step)
            return Usage(self.quota, used, self.quota.burst - used, (stands - now) / 1e9)
        count = stands & _COUNT
        left = max(0, self.quota.amount - count)
        return Usage(self.quota, count, left, (_next_ns(self.quota.per, now) - now) / 1e9)


class Account:
    """A key's record, and the quotas that hold for it."""

    def __init__(self, ledger: "Ledger", at: int, quotas: Sequence[Quota]) -> None:
        self.ledger, self.at, self._words = ledger, at, ledger.words
        self._on, self._off = lock_of(at, held=True), lock_of(at, held=False)
        self.quotas = tuple(quotas)
        self._held: dict[Unit, list[Held]] = {unit: [] for unit in UNITS}
        for quota in quotas:
            self._held[quota.unit].append(Held(quota, at + _PLACES[quota.unit, quota.per]))

    def take(self, unit: Unit, amount: int, *, only_look: bool = False) -> Spent | None:
        """Take so much of all quotas of a unit, or of none; then which has no more. Raises `LedgerBusy`."""
        if not self._held[unit]:
            return None
        if only_look:
            return self.taken(unit, amount, only_look=True)
        with self.ledger.threads:
            self.ledger.lock(self._on)
            try:
                return self.taken(unit, amount, only_look=False)
            finally:
                self.ledger.lock(self._off)

    def holds(self, unit: Unit) -> bool:
        return bool(self._held[unit])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with this record, for who has the ledger's `threads`. Raises `LedgerBusy`."""
        self.ledger.lock(self._on)
        try:
            yield
        finally:
            self.ledger.lock(self._off)

    def give_back(self, unit: Unit, amount: int) -> None:
        """Undo a `take`. Raises `LedgerBusy`."""
        held, words = self._held[unit], self._words
        if not held:
            return
        with self.ledger.threads:
            self.ledger.lock(self._on)
            try:
                for each in held:
                    word = words[each.place]
                    words[each.place] = word - (amount * each.step or min(amount, word & _COUNT))
            finally:
                self.ledger.lock(self._off)

    def usage(self) -> list[Usage]:
        now, words = self.ledger.clock(), self._words
        return [each.usage(words[each.place], now) for held in self._held.values() for each in held]

    def taken(self, unit: Unit, amount: int, *, only_look: bool) -> Spent | None:
        """As `take`, for who holds the lock; only to look none is needed, as words are whole."""
        now, words, after = self.ledger.clock(), self._words, []
        spent, longest = None, 0
        for each in self._held[unit]:
            if amount > each.quota.once:
                return Spent(each.quota, None)
            word = words[each.place]
            stands = each.stands(word, now)
            if stands < word and not only_look:
                words[each.place] = stands  # the clock was set back
            wished = stands + amount * (each.step or 1)
            after.append((each.place, wished))
            if (wait := each.wait(wished, now)) > longest:
                spent, longest = each.quota, wait
        if spent is not None:
            return Spent(spent, longest / 1e9)
        if not only_look:
            for place, wished in after:
                words[place] = wished
        return None


def take_of_all(
    accounts: Sequence[Account], unit: Unit, amount: int, *, only_look: bool = False
) -> tuple[Account, Spent] | None:
    """Take so much of several accounts, or of none; then which has no more. Raises `LedgerBusy`."""
    if len(accounts) == 1:
        spent = accounts[0].take(unit, amount, only_look=only_look)
        return None if spent is None else (accounts[0], spent)
    # In one order everywhere: two that wait for each other would do so until their time is over.
    held = sorted((each for each in accounts if each.holds(unit)), key=lambda each: each.at)
    if not held:
        return None
    if only_look:
        return next(((each, spent) for each in held if (spent := each.taken(unit, amount, only_look=True))), None)
    ledger = held[0].ledger
    with ledger.threads, ExitStack() as locks:
        for each in held:
            locks.enter_context(each.locked())
        for each in held:
            if (spent := each.taken(unit, amount, only_look=True)) is not None:
                return each, spent
        for each in held:
            each.taken(unit, amount, only_look=False)
    return None


def lock_of(word: int, *, held: bool) -> bytes:
    """A `struct flock` of the kernel for the record that begins at a word."""
    return struct.pack("@hhqqi4x", fcntl.F_WRLCK if held else fcntl.F_UNLCK, os.SEEK_SET, word * WORD, WORD, 0)


def _number(per: Period, now: int) -> int:
    days = now // (86_400 * 10**9)
    if per == "day":
        return days
    at = datetime.fromtimestamp(days * 86_400, UTC)
    return at.year * 12 + at.month - 1


def _next_ns(per: Period, now: int) -> int:
    """When the next day or month begins."""
    number = _number(per, now) + 1
    if per == "day":
        return number * 86_400 * 10**9
    return int(datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()) * 10**9
