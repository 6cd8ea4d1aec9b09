"""The arithmetic of quotas: what is taken of a word, when there will be more, what is left."""

import fcntl
import math
import os
import struct
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from aias.access.quotas import PERIODS, RATES, UNITS, Period, Quota

if TYPE_CHECKING:
    from aias.access.ledger import Ledger

WORD: Final = 8
_COUNT: Final = (1 << 40) - 1
_PLACES: Final = {(unit, per): 1 + at for at, (unit, per) in enumerate((u, p) for u in UNITS for p in PERIODS)}
_RETURNED_PLACES: Final = {per: 1 + len(_PLACES) + at for at, per in enumerate(RATES)}
_RETURNED: Final = (1 << 31) - 1
"""What was given back to a bucket of rows, and of requests, is counted in one word; beyond this, from 0 again."""

Stood = dict[int, tuple[int, int]]
"""By place: the word as it was before something was taken, and how much had been given back to it until then."""


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
    """A quota and its word, of the record that begins `at` a word. `step` and `room`: nanoseconds of one and of all, 0
    where it is a count."""

    __slots__ = ("_period", "_returned_place", "_returned_shift", "of_rows", "once", "place", "quota", "room", "step")

    def __init__(self, quota: Quota, at: int) -> None:
        self.quota, self.once, self.of_rows = quota, quota.once, quota.unit == "rows"
        self.place = at + _PLACES[quota.unit, quota.per]
        self._returned_place, self._returned_shift = at + _RETURNED_PLACES.get(quota.per, 0), 32 * self.of_rows
        self.step = quota.step_ns if quota.per in RATES else 0
        self.room = self.step * quota.burst
        self._period = (0, 0, 0)

    def stands(self, word: int, now: int) -> int:
        """The word as it is now: a bucket is empty at most, a count of this day or month, or of the next, if the clock
        has been there already."""
        if self.step:
            full = now + self.room
            return now if word < now else min(full, word)
        _, _, number = self._period_at(now)
        if word >> 40 > number + 1:
            return number << 40 | word & _COUNT
        return max(word, number << 40)

    def wait(self, after: int, now: int) -> int:
        """Nanoseconds for which the word cannot become this one; 0 or less where it can."""
        if self.step:
            return after - self.room - now
        if after & _COUNT <= self.quota.amount:
            return 0
        return max(1, self._ends(after, now) - now)

    def returned(self, words: "memoryview[int]") -> int:
        """How much has been given back to a bucket, ever."""
        return words[self._returned_place] >> self._returned_shift & _RETURNED if self.step else 0

    def give_back(self, words: "memoryview[int]", amount: int, now: int, stood: tuple[int, int] | None) -> None:
        """Undo what took so much, but for what is there again by now: with that back, too, its key could have more than
        if it had taken nothing. A bucket fills up for those who take in the order in which they do. So it is the part
        of this one's time that is to come; which what was given back to others since has moved up. `stood`: as a take
        has noted it; where nobody has, all is to come."""
        word = words[self.place]
        if not self.step:
            if stood is None or stood[0] >> 40 == word >> 40:
                words[self.place] = word - min(amount, word & _COUNT)
            return
        size = amount * self.step
        if stood is not None:
            begin = stood[0] - (self.returned(words) - stood[1] & _RETURNED) * self.step
            size -= max(0, now - begin)
        if size > 0:
            self._has_returned(words, -(-size // self.step))
            words[self.place] = word - size

    def _has_returned(self, words: "memoryview[int]", amount: int) -> None:
        place, shift = self._returned_place, self._returned_shift
        total = self.returned(words) + amount & _RETURNED
        words[place] = words[place] & ~(_RETURNED << shift) | total << shift

    def left(self, word: int, now: int) -> tuple[int, int]:
        """What is left, and nanoseconds until all of it is there again."""
        stands = self.stands(word, now)
        if self.step:
            return self.once + (now - stands) // self.step, stands - now
        return max(0, self.once - (stands & _COUNT)), self._ends(stands, now) - now

    def usage(self, word: int, now: int) -> Usage:
        left, until = self.left(word, now)
        used = self.quota.burst - left if self.step else self.stands(word, now) & _COUNT
        return Usage(self.quota, used, left, until / 1e9)

    def _ends(self, word: int, now: int) -> int:
        """When the day or month of a count is over."""
        _, end, number = self._period_at(now)
        return end if word >> 40 == number else _begin_ns(self.quota.per, number + 2)

    def _period_at(self, now: int) -> tuple[int, int, int]:
        """When the day or month of now begins and ends, and its number."""
        found = self._period
        if not found[0] <= now < found[1]:
            per, number = self.quota.per, _number(self.quota.per, now)
            found = self._period = _begin_ns(per, number), _begin_ns(per, number + 1), number
        return found


class Account:
    """A key's record, and the quotas that hold for it."""

    def __init__(self, ledger: "Ledger", at: int, quotas: Sequence[Quota]) -> None:
        self.ledger, self.at, self._words = ledger, at, ledger.words
        self._on, self._off = lock_of(at, held=True), lock_of(at, held=False)
        self.quotas = tuple(quotas)
        self._held = [Held(quota, at) for quota in quotas]
        of_requests, of_rows = ([each for each in self._held if each.of_rows is rows] for rows in (False, True))
        self._asked = {(False, False): [], (True, False): of_requests, (False, True): of_rows, (True, True): self._held}

    def take(
        self, requests: int = 0, rows: int = 0, *, only_look: bool = False, stood: Stood | None = None
    ) -> Spent | None:
        """Take so much of all quotas, or of none; then which has no more. `stood`: where it is noted what was before.
        Raises `LedgerBusy`."""
        if only_look or not self._asked[requests > 0, rows > 0]:
            return self.taken(requests, rows, only_look=True)
        ledger = self.ledger
        with ledger.threads:
            ledger.lock(self._on)
            try:
                return self.taken(requests, rows, only_look=False, stood=stood)
            finally:
                ledger.lock(self._off)

    def holds(self, requests: int, rows: int) -> bool:
        """Whether it counts anything of so much."""
        return bool(self._asked[requests > 0, rows > 0])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Alone with this record, for who has the ledger's `threads`. Raises `LedgerBusy`."""
        self.ledger.lock(self._on)
        try:
            yield
        finally:
            self.ledger.lock(self._off)

    def give_back(self, requests: int = 0, rows: int = 0, stood: Stood | None = None) -> None:
        """Undo a `take`, which has noted how it `stood`. Raises `LedgerBusy`."""
        words, before = self._words, stood or {}
        asked = self._asked[requests > 0, rows > 0]
        if not asked:
            return
        with self.ledger.threads, self.locked():
            now = self.ledger.clock()
            for each in asked:
                each.give_back(words, rows if each.of_rows else requests, now, before.get(each.place))

    def usage(self) -> list[Usage]:
        now, words = self.ledger.clock(), self._words
        return [each.usage(words[each.place], now) for each in self._held]

    def left(self) -> list[int]:
        """Of each quota what is left, and in how many whole seconds all of it is there again."""
        now, words = self.ledger.clock(), self._words
        found: list[int] = []
        for each in self._held:
            left, until = each.left(words[each.place], now)
            found += left, -(-until // 1_000_000_000)
        return found

    def taken(self, requests: int, rows: int, *, only_look: bool, stood: Stood | None = None) -> Spent | None:
        """As `take`, for who holds the lock; only to look none is needed, as words are whole."""
        now, words = self.ledger.clock(), self._words
        after: list[tuple[Held, int, int]] = []
        spent, longest = None, 0
        for each in self._asked[requests > 0, rows > 0]:
            amount, place, step = rows if each.of_rows else requests, each.place, each.step
            if amount > each.once:
                return Spent(each.quota, None)
            word = words[place]
            stands = each.stands(word, now)
            if stands < word and not only_look:
                words[place] = stands  # the clock was set back
            wished = stands + amount * (step or 1)
            after.append((each, stands, wished))
            if (wait := each.wait(wished, now)) > longest:
                spent, longest = each.quota, wait
        if spent is not None:
            return Spent(spent, longest / 1e9)
        if not only_look:
            for each, stands, wished in after:
                words[each.place] = wished
                if stood is not None:
                    # What it took first stands before all else of it.
                    stood.setdefault(each.place, (stands, each.returned(words)))
        return None


def take_of_all(
    accounts: Sequence[Account], requests: int = 0, rows: int = 0, *, only_look: bool = False,
    stood: Stood | None = None,
) -> tuple[Account, Spent] | None:  # fmt: skip
    """Take so much of several accounts, or of none; then which has no more. `stood`: as `Account.take` has it. Raises
    `LedgerBusy`."""
    if len(accounts) == 1:
        spent = accounts[0].take(requests, rows, only_look=only_look, stood=stood)
        return None if spent is None else (accounts[0], spent)
    # In one order everywhere: two that wait for each other would do so until their time is over.
    held = sorted((each for each in accounts if each.holds(requests, rows)), key=lambda each: each.at)
    if not held:
        return None
    if only_look:
        return _spent(held, requests, rows)
    ledger = held[0].ledger
    with ledger.threads, ExitStack() as locks:
        for each in held:
            locks.enter_context(each.locked())
        if (found := _spent(held, requests, rows)) is not None:
            return found
        for each in held:
            each.taken(requests, rows, only_look=False, stood=stood)
    return None


def longest(*found: tuple[Account, Spent] | None) -> tuple[Account, Spent] | None:
    """Of several that have no more, the last to have it again."""
    spent = (each for each in found if each is not None)
    return max(spent, key=lambda each: math.inf if each[1].seconds is None else each[1].seconds, default=None)


def _spent(accounts: Sequence[Account], requests: int, rows: int) -> tuple[Account, Spent] | None:
    taken = [(each, each.taken(requests, rows, only_look=True)) for each in accounts]
    return longest(*((each, spent) for each, spent in taken if spent is not None))


def lock_of(word: int, *, held: bool) -> bytes:
    """A `struct flock` of the kernel for the record that begins at a word."""
    return struct.pack("@hhqqi4x", fcntl.F_WRLCK if held else fcntl.F_UNLCK, os.SEEK_SET, word * WORD, WORD, 0)


def _number(per: Period, now: int) -> int:
    days = now // (86_400 * 10**9)
    if per == "day":
        return days
    at = datetime.fromtimestamp(days * 86_400, UTC)
    return at.year * 12 + at.month - 1


def _begin_ns(per: Period, number: int) -> int:
    """When the day or month of that number begins."""
    if per == "day":
        return number * 86_400 * 10**9
    return int(datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()) * 10**9
