"""What a caller's key, and its tenant, may still ask: taken at the door, given back where it was our own fault.

    key ─▶ one request ─429 or─▶ body ─▶ decoded: its rows ─429 or─▶ run ─▶ answer, with what is left in its headers
                                                                    └─ 503: given back

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

    def bill(self, key: Key) -> "Bill":
        """For one request of a key. Raises `Busy`, `StorageFailed`, `Damaged`."""
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
        return Bill(*found[1:])

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


class Bill:
    """What one request has taken of its key's quotas, and of its tenant's."""

    __slots__ = ("_accounts", "_owed", "_policy", "_taken")

    def __init__(self, owed: list[Owed], policy: bytes) -> None:
        self._owed, self._policy = owed, policy
        self._accounts = [account for _, account in owed]
        self._taken: dict[Unit, int] = {}

    def enter(self, *, only_look: bool = False, guess: Callable[[], int] = lambda: 1) -> None:
        """One request; refused too when there is not a row left. Raises `QuotaSpent`, `Busy`.

        `guess`: its rows, as far as can be told before it is read. So many must be there when it comes again.
        """
        self._take("rows", 1, only_look=True, guess=guess)
        self._take("requests", 1, only_look=only_look)
        self._taken["requests"] = int(not only_look)

    def rows(self, count: int) -> None:
        """So many rows. Raises `QuotaSpent`, `Busy`."""
        if count:
            self._take("rows", count)
            self._taken["rows"] = self._taken.get("rows", 0) + count

    def rows_again(self) -> None:
        """The same rows will be counted once more, as another version is asked."""
        self._give_back("rows")

    def cancel(self) -> None:
        """It was not answered, for reasons of ours."""
        for unit in tuple(self._taken):
            self._give_back(unit)

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
        amount = self._taken.pop(unit, 0)
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
