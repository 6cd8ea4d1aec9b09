"""What a caller's key, and its tenant, may still ask: taken at the door, given back where it was our own fault.

    key ─▶ one request ─429 or─▶ body ─▶ decoded: its rows ─429 or─▶ run ─▶ answer, with what is left in its headers
                                                                    └─ 503: given back, but for what is there again

A request that is answered again, as its worker died, has paid: what it took stands in the slot of its connection.

Whoever is answered in one turn of the loop pays together, before anything is run, as long as nothing is short; else
each pays at the door.

Keys without quotas never come here.
"""

import contextlib
import logging
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec

from aias.access.accounts import Account, Spent, Stood, Usage, longest, take_of_all
from aias.access.keys import Key
from aias.access.ledger import Ledger, LedgerBusy
from aias.access.quotas import AMOUNT_MAX, RATES, Quota
from aias.core.errors import Damaged, StorageFailed
from aias.serving.refusals import Busy, QuotaSpent, Refusal
from aias.serving.survival.journal import Slot

_DAY_SECONDS: Final = 86_400

log = logging.getLogger("aias.serving")

Owed = tuple[str, Account]
"""The tenant's name, or nothing for the key's own, and what it has used."""


class Payer:
    """A key's accounts, its own and its tenant's, and the lines that tell of them."""

    def __init__(self, key: Key, owed: list[Owed]) -> None:
        self.key, self.owed, self.accounts = key, owed, [account for _, account in owed]
        self.is_short = False
        """Whether the last that would take something was refused."""

        quotas = [(quota, whose) for whose, account in owed for quota in account.quotas]
        self.policy = b", ".join(_policy(*each) for each in quotas)
        self._left = b", ".join(b'"%b";r=%%d;t=%%d' % _name(*each) for each in quotas)
        self.rows_once = min((each.once for each, _ in quotas if each.unit == "rows"), default=AMOUNT_MAX)
        self.counts_rows = any(each.unit == "rows" for each, _ in quotas)

    def left(self) -> bytes:
        return self._left % tuple([number for account in self.accounts for number in account.left()])

    def take(
        self, requests: int = 0, rows: int = 0, *, only_look: bool = False, stood: Stood | None = None
    ) -> tuple[Account, Spent] | None:
        """`stood`: as `give_back` wants it. Raises `Busy`."""
        try:
            refused = take_of_all(self.accounts, requests, rows, only_look=only_look, stood=stood)
        except LedgerBusy as fault:
            raise _busy(fault) from None
        if not only_look:
            self.is_short = refused is not None
        return refused

    def pays_for(self, charges: "Sequence[Charge]") -> bool:
        """Take all that is due, if all is there. Raises `Busy`."""
        stood: Stood = {}
        if self.take(len(charges), sum([each.rows_due for each in charges]), stood=stood) is not None:
            return False
        left = self.left()
        for each in charges:
            each.stood = stood
            each.has_paid(each.rows_due, left)
        return True

    def give_back(self, requests: int, rows: int, stood: Stood) -> None:
        """What cannot be given back now stays taken: better than to keep the caller waiting."""
        for account in self.accounts:
            with contextlib.suppress(LedgerBusy):
                account.give_back(requests, rows, stood)


class Quotas:
    """`ledger` is opened when the first key with quotas calls."""

    def __init__(self, ledger: Callable[[], Ledger]) -> None:
        self._open = ledger
        self._ledger: Ledger | None = None
        self._payers: dict[str, Payer] = {}

    def charge(self, key: Key, slot: Slot | None = None) -> "Charge":
        """For one request of a key, on a connection that has a slot. Raises `Busy`, `StorageFailed`, `Damaged`."""
        found = self._payers.get(key.id)
        if found is None or (found.key is not key and found.key != key):
            try:
                owed = [
                    (whose, self._opened().account(name, quotas))
                    for whose, name, quotas in (("", key.id, key.quotas), (key.tenant, key.payer, key.shared))
                    if quotas
                ]
            except LedgerBusy as fault:
                raise _busy(fault) from None
            found = self._payers[key.id] = Payer(key, owed)
        return Charge(found) if slot is None else Charge(found, slot, slot.turn, *divmod(slot.prepaid, 1 << 32))

    def look(self, key: Key | None) -> None:
        """Whether a request of a key might enter. Raises as `charge`, and `QuotaSpent`."""
        if key is not None and (key.quotas or key.shared):
            self.charge(key).enter(only_look=True)

    def used(self, keys: Iterable[Key]) -> list[tuple[Key, Usage]]:
        """What keys have used of each of their quotas, at any worker."""
        limited = [key for key in keys if key.quotas]
        ledger = self._read() if limited else None
        return [(key, each) for key in limited for each in ledger.used(key.id, key.quotas)] if ledger else []

    def used_by_tenants(self, keys: Iterable[Key]) -> list[tuple[str, Usage]]:
        """What tenants have used, all keys of each together."""
        shared = sorted({key.payer: key for key in keys if key.shared}.items())
        ledger = self._read() if shared else None
        return [(key.tenant, each) for name, key in shared for each in ledger.used(name, key.shared)] if ledger else []

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()

    def _opened(self) -> Ledger:
        if self._ledger is None:
            self._ledger = self._open()
        return self._ledger

    def _read(self) -> Ledger | None:
        """None where it cannot be had, which the log says: on a full disk all else that is measured is asked for."""
        try:
            return self._opened()
        except (StorageFailed, Damaged) as fault:
            log.warning("what keys have used of their quotas cannot be told: %s", fault)
            return None


class Charge(msgspec.Struct):
    """What one request has taken of its key's quotas, and of its tenant's: what is used, and what is ahead of that."""

    payer: Payer
    _slot: Slot | None = None
    _turn: int = 0
    _requests_ahead: int = 0
    _rows_ahead: int = 0
    _requests: int = 0
    _rows: int = 0
    _left: bytes = b""
    rows_due: int = 0
    is_due: bool = False
    stood: Stood = msgspec.field(default_factory=dict)
    """What was before it took anything. A worker that has died has not told."""

    def put_off(self) -> bool:
        """Leave it to `pay_together`, unless something is short; whether it is left to that."""
        self.is_due = not (self.payer.is_short or self._requests_ahead or self._rows_ahead)
        return self.is_due

    def enter(self, guess: Callable[[], int] = lambda: 1, *, row_too: bool = False, only_look: bool = False) -> None:
        """One request; refused too when there is not a row left. Raises `QuotaSpent`, `Busy`.

        `guess`: its rows, as far as can be told before it is read. So many must be there when it comes again.
        `row_too`: take a row at once, for `rows` to use: that comes in a moment, and each taking costs a lock.
        `only_look`: whether it might enter.
        """
        row_too = row_too and not self._rows_ahead and self.payer.counts_rows
        short = None if row_too else self._short_of_rows(guess)
        only_look = only_look or short is not None
        requests, rows = 0 if self._requests_ahead else 1, 1 if row_too else 0
        refused = self.payer.take(requests, rows, only_look=only_look, stood=self.stood)
        if refused is not None:
            # Who comes again wants the rows, too.
            short = self._short_of_rows(guess, comes_again=True)
        if (refused or short) and (spent := longest(refused, short)):
            raise self._refusal(spent)
        if only_look:
            return
        self._requests, self._requests_ahead = 1, max(0, self._requests_ahead - 1)
        self._rows_ahead += row_too
        self._tell()

    def rows(self, count: int) -> None:
        """So many rows, and what is due. Raises `QuotaSpent`, `Busy`."""
        if self.is_due:
            self.pay(count)
            return
        if not count:
            return
        payer, ahead = self.payer, self._rows_ahead
        if count > ahead and payer.counts_rows:
            refused = payer.take(rows=count, only_look=True) if count > payer.rows_once else None
            refused = refused or payer.take(rows=count - ahead, stood=self.stood)
            # To come again is another request.
            if refused and (spent := longest(refused, payer.take(1, only_look=True))):
                raise self._refusal(spent, count)
        self._rows_ahead = max(0, ahead - count)
        self._rows += count
        self._tell()

    def row_later(self) -> None:
        """One row, which `pay_together` takes if it takes the request. Raises `QuotaSpent`, `Busy`."""
        if self.is_due:
            self.rows_due = 1
        else:
            self.rows(1)

    def pay(self, rows: int = 0) -> None:
        """What is due, and so many rows more. Raises `QuotaSpent`, `Busy`."""
        self.is_due, rows = False, rows + self.rows_due
        if (refused := self.payer.take(1, rows, stood=self.stood)) is not None:
            raise self._refusal(refused, rows)
        self.has_paid(rows)

    def has_paid(self, rows: int, left: bytes = b"") -> None:
        """`left`: what is left, where others have paid along with it."""
        self.is_due, self._requests, self._rows, self._left = False, 1, rows, left
        slot = self._slot
        if slot is not None and slot.turn == self._turn:
            slot.pays(1 << 32 | rows, ahead=0)

    def rows_again(self) -> None:
        """The same rows will be counted once more, as another version is asked."""
        self._rows_ahead, self._rows = self._rows_ahead + self._rows, 0
        self._tell()

    def settle(self) -> bytes:
        """It is answered: what is due is taken, if it is there, and what is ahead and was not used is given back.
        What is left, as draft-ietf-httpapi-ratelimit-headers-11 has it."""
        if self.is_due:
            with contextlib.suppress(QuotaSpent, Busy):
                self.pay()
        if self._rows_ahead:
            self.payer.give_back(0, self._rows_ahead, self.stood)
            self._rows_ahead = 0
            self._tell()
        return self._left or self.payer.left()

    def cancel(self) -> None:
        """It was not answered, for reasons of ours."""
        self.payer.give_back(self._requests + self._requests_ahead, self._rows + self._rows_ahead, self.stood)
        self.is_due, self._left, self.stood = False, b"", {}
        self._requests = self._rows = self._requests_ahead = self._rows_ahead = 0
        self._tell()

    def _short_of_rows(self, guess: Callable[[], int], *, comes_again: bool = False) -> tuple[Account, Spent] | None:
        """What has not a row left, and when it has so many as are guessed; of who `comes_again` in any case."""
        payer = self.payer
        if self._rows_ahead or not payer.counts_rows:
            return None
        if (refused := payer.take(rows=1, only_look=True)) is None and not comes_again:
            return None
        # What would be more than ever passes at once may be a wrong guess.
        return payer.take(rows=min(guess(), payer.rows_once), only_look=True) or refused

    def _tell(self) -> None:
        """Write down what is paid, for a worker that has to answer in our place."""
        slot = self._slot
        # Its caller may have hung up, and the slot be another's.
        if slot is not None and slot.turn == self._turn:
            ahead = self._requests_ahead << 32 | self._rows_ahead
            slot.pays((self._requests << 32) + self._rows + ahead, ahead=ahead)

    def _refusal(self, refused: tuple[Account, Spent], rows: int = 1) -> QuotaSpent:
        account, (quota, seconds) = refused
        whose = next(whose for whose, each in self.payer.owed if each is account)
        whose = f"the tenant `{whose}`" if whose else "this key"
        if seconds is None:
            said = f"{rows:,} {quota.unit} at once; {whose}'s quota is {quota}"
            return QuotaSpent(said, hint="send fewer rows at once")
        said, hint = f"{whose}'s quota of {quota} is spent", f"try again in {_in_words(seconds)} s"
        return QuotaSpent(said, retry_seconds=seconds, hint=hint)


def pay_together(charges: Iterable[Charge | None]) -> dict[int, Refusal]:
    """Take what is due of requests that are about to run. Which of them, by place, are refused, and why."""
    due: dict[Payer, list[tuple[int, Charge]]] = {}
    for at, charge in enumerate(charges):
        if charge is not None and charge.is_due:
            due.setdefault(charge.payer, []).append((at, charge))
    refused: dict[int, Refusal] = {}
    for payer, group in due.items():
        try:
            one_by_one = not payer.pays_for([charge for _, charge in group])
        except Busy as fault:
            refused |= dict.fromkeys((at for at, _ in group), fault)
            continue
        for at, charge in group if one_by_one else ():
            try:
                charge.pay()
            except (QuotaSpent, Busy) as fault:
                refused[at] = fault
    return refused


def _name(quota: Quota, whose: str) -> bytes:
    return f"{'tenant-' if whose else ''}{quota.unit}-{quota.per}".encode()


def _policy(quota: Quota, whose: str) -> bytes:
    """A month has no window: some are longer."""
    seconds = RATES[quota.per] // 10**9 if quota.per in RATES else _DAY_SECONDS
    window = b"" if quota.per == "month" else b";w=%d" % seconds
    # Units are not among those that the draft registers, except requests, which it means anyway.
    unit = b';qu="rows"' if quota.unit == "rows" else b""
    return b'"%b";q=%d%b%b' % (_name(quota, whose), quota.amount, window, unit)


def _in_words(seconds: float) -> str:
    return f"{seconds:.3g}" if seconds < 100 else f"{math.ceil(seconds):,}"


def _busy(fault: LedgerBusy) -> Busy:
    return Busy(fault.message, hint=fault.hint)
