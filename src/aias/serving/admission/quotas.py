"""What a caller's key, and its tenant, may still ask: taken at the door, given back where it was our own fault.

    key ─▶ one request ─429 or─▶ body ─▶ decoded: its rows ─429 or─▶ run ─▶ answer, with what is left in its headers
                                                                    └─ 503: given back

A request that is answered again, as its worker died, has paid: what it took stands in the slot of its connection.

Keys without quotas never come here.
"""

import contextlib
import math
from collections.abc import Callable, Iterable
from typing import Final

from aias.access.accounts import Account, Spent, Usage, take_of_all
from aias.access.keys import Key
from aias.access.ledger import Ledger, LedgerBusy
from aias.access.quotas import RATES, Quota, Unit
from aias.serving.refusals import Busy, QuotaSpent
from aias.serving.survival.journal import Slot

_DAY_SECONDS: Final = 86_400

Header = tuple[bytes, bytes]
Owed = tuple[str, Account]
"""The tenant's name, or nothing for the key's own, and what it has used."""


class Quotas:
    """`ledger` is opened when the first key with quotas calls."""

    def __init__(self, ledger: Callable[[], Ledger]) -> None:
        self._open = ledger
        self._ledger: Ledger | None = None
        self._accounts: dict[str, tuple[Key, list[Owed], bytes]] = {}

    def charge(self, key: Key, slot: Slot | None = None) -> "Charge":
        """For one request of a key, on a connection that has a slot. Raises `Busy`, `StorageFailed`, `Damaged`."""
        found = self._accounts.get(key.id)
        if found is None or (found[0] is not key and found[0] != key):
            try:
                owed = [
                    (whose, self._opened().account(name, quotas))
                    for whose, name, quotas in (("", key.id, key.quotas), (key.tenant, key.payer, key.shared))
                    if quotas
                ]
            except LedgerBusy as fault:
                raise _busy(fault) from None
            policy = b", ".join(_policy(each, whose) for whose, account in owed for each in account.quotas)
            found = self._accounts[key.id] = key, owed, policy
        return Charge(*found[1:], slot)

    def used(self, keys: Iterable[Key]) -> list[tuple[Key, Usage]]:
        """What keys have used of each of their quotas, at any worker."""
        limited = [key for key in keys if key.quotas]
        return [(key, each) for key in limited for each in self._opened().used(key.id, key.quotas)]

    def used_by_tenants(self, keys: Iterable[Key]) -> list[tuple[str, Usage]]:
        """What tenants have used, all keys of each together."""
        shared = {key.payer: key for key in keys if key.shared}
        return [
            (key.tenant, each) for name, key in sorted(shared.items()) for each in self._opened().used(name, key.shared)
        ]

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()

    def _opened(self) -> Ledger:
        if self._ledger is None:
            self._ledger = self._open()
        return self._ledger


class Charge:
    """What one request has taken of its key's quotas, and of its tenant's."""

    __slots__ = ("_accounts", "_ahead", "_owed", "_policy", "_slot", "_taken", "_turn")

    def __init__(self, owed: list[Owed], policy: bytes, slot: Slot | None = None) -> None:
        self._owed, self._policy = owed, policy
        self._accounts = [account for _, account in owed]
        self._taken: dict[Unit, int] = {}
        self._slot, self._turn = slot, 0 if slot is None else slot.turn
        self._ahead = _unpacked(slot.prepaid) if slot is not None and slot.prepaid else {}

    def enter(self, *, only_look: bool = False, guess: Callable[[], int] = lambda: 1) -> None:
        """One request; refused too when there is not a row left. Raises `QuotaSpent`, `Busy`.

        `guess`: its rows, as far as can be told before it is read. So many must be there when it comes again.
        """
        if not self._ahead.get("rows"):
            self._take("rows", 1, only_look=True, guess=guess)
        if not only_look:
            self._pay("requests", 1)
        elif not self._ahead.get("requests"):
            self._take("requests", 1, only_look=True)

    def rows(self, count: int) -> None:
        """So many rows. Raises `QuotaSpent`, `Busy`."""
        if count:
            self._pay("rows", count)

    def rows_again(self) -> None:
        """The same rows will be counted once more, as another version is asked."""
        self._give_back("rows")
        self._tell()

    def cancel(self) -> None:
        """It was not answered, for reasons of ours."""
        for unit in {*self._taken, *self._ahead}:
            self._give_back(unit)
        self._tell()

    def _pay(self, unit: Unit, count: int) -> None:
        ahead = self._ahead.get(unit, 0) if self._ahead else 0
        if count > ahead:
            self._take(unit, count - ahead)
        if ahead:
            self._ahead[unit] = max(0, ahead - count)
        self._taken[unit] = self._taken.get(unit, 0) + count
        self._tell()

    def _tell(self) -> None:
        """Write down what is paid, for a worker that has to answer in our place."""
        slot = self._slot
        # Its caller may have hung up, and the slot be another's.
        if slot is not None and slot.turn == self._turn:
            ahead = _packed(self._ahead) if self._ahead else 0
            slot.pays(_packed(self._taken) + ahead, ahead=ahead)

    def _take(
        self, unit: Unit, amount: int, *, only_look: bool = False, guess: Callable[[], int] | None = None
    ) -> None:
        try:
            refused = take_of_all(self._accounts, unit, amount, only_look=only_look)
            if refused is not None and guess is not None:
                # What would be more than ever passes at once may be a wrong guess.
                refused = take_of_all(self._accounts, unit, min(guess(), self._once(unit)), only_look=True) or refused
        except LedgerBusy as fault:
            raise _busy(fault) from None
        if refused is not None:
            account, spent = refused
            whose = next(whose for whose, each in self._owed if each is account)
            raise _refusal(spent, amount, f"the tenant `{whose}`" if whose else "this key")

    def _once(self, unit: Unit) -> int:
        """The most that passes at once."""
        return min(each.once for account in self._accounts for each in account.quotas if each.unit == unit)

    def _give_back(self, unit: Unit) -> None:
        # What cannot be given back now stays taken: better than to keep the caller waiting.
        amount = self._taken.pop(unit, 0) + self._ahead.pop(unit, 0)
        for account in self._accounts:
            with contextlib.suppress(LedgerBusy):
                account.give_back(unit, amount)

    def headers(self) -> tuple[Header, ...]:
        """What is left, as draft-ietf-httpapi-ratelimit-headers-11 has it."""
        left = b", ".join(
            b'"%b";r=%d;t=%d' % (_name(each.quota, whose), each.left, math.ceil(each.seconds))
            for whose, account in self._owed for each in account.usage()
        )  # fmt: skip
        return (b"ratelimit-policy", self._policy), (b"ratelimit", left)


def _packed(amounts: dict[Unit, int]) -> int:
    return amounts.get("requests", 0) << 32 | amounts.get("rows", 0)


def _unpacked(word: int) -> dict[Unit, int]:
    return {"requests": word >> 32, "rows": word & 0xFFFFFFFF}


def _name(quota: Quota, whose: str) -> bytes:
    return f"{'tenant-' if whose else ''}{quota.unit}-{quota.per}".encode()


def _policy(quota: Quota, whose: str) -> bytes:
    """A month has no window: some are longer."""
    seconds = RATES[quota.per] // 10**9 if quota.per in RATES else _DAY_SECONDS
    window = b"" if quota.per == "month" else b";w=%d" % seconds
    # Units are not among those that the draft registers, except requests, which it means anyway.
    unit = b';qu="rows"' if quota.unit == "rows" else b""
    return b'"%b";q=%d%b%b' % (_name(quota, whose), quota.amount, window, unit)


def _refusal(spent: Spent, amount: int, whose: str) -> QuotaSpent:
    if spent.seconds is None:
        return QuotaSpent(
            f"{amount:,} {spent.quota.unit} at once; {whose}'s quota is {spent.quota}", hint="send fewer rows at once"
        )
    return QuotaSpent(
        f"{whose}'s quota of {spent.quota} is spent", retry_seconds=spent.seconds,
        hint=f"try again in {_in_words(spent.seconds)} s",
    )  # fmt: skip


def _in_words(seconds: float) -> str:
    return f"{seconds:.3g}" if seconds < 100 else f"{math.ceil(seconds):,}"


def _busy(fault: LedgerBusy) -> Busy:
    return Busy(fault.message, hint=fault.hint)
