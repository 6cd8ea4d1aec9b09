"""What a caller's key may still ask: taken at the door, given back where it was our own fault.

    key ─▶ one request ─429 or─▶ body ─▶ decoded: its rows ─429 or─▶ run ─▶ answer, with what is left in its headers
                                                                    └─ 503: given back

Keys without quotas never come here.
"""

import contextlib
import math
from collections.abc import Callable, Iterable
from typing import Final

from aias.access.accounts import Account, Spent, Usage
from aias.access.keys import Key
from aias.access.ledger import Ledger, LedgerBusy
from aias.access.quotas import RATES, Quota, Unit
from aias.serving.refusals import Busy, QuotaSpent

_DAY_SECONDS: Final = 86_400

Header = tuple[bytes, bytes]


class Quotas:
    """`ledger` is opened when the first key with quotas calls."""

    def __init__(self, ledger: Callable[[], Ledger]) -> None:
        self._open = ledger
        self._ledger: Ledger | None = None
        self._accounts: dict[str, tuple[Account, bytes]] = {}

    def bill(self, key: Key) -> "Bill":
        """For one request of a key. Raises `Busy`, `StorageFailed`, `Damaged`."""
        found = self._accounts.get(key.id)
        if found is None or found[0].quotas != key.quotas:
            try:
                account = self._opened().account(key.id, key.quotas)
            except LedgerBusy as fault:
                raise _busy(fault) from None
            found = self._accounts[key.id] = account, b", ".join(map(_policy, key.quotas))
        return Bill(*found)

    def used(self, keys: Iterable[Key]) -> list[tuple[Key, Usage]]:
        """What keys have used of each of their quotas, at any worker."""
        limited = [key for key in keys if key.quotas]
        return [(key, each) for key in limited for each in self._opened().used(key.id, key.quotas)]

    def close(self) -> None:
        if self._ledger is not None:
            self._ledger.close()

    def _opened(self) -> Ledger:
        if self._ledger is None:
            self._ledger = self._open()
        return self._ledger


class Bill:
    """What one request has taken of its key's quotas."""

    __slots__ = ("_account", "_policy", "_taken")

    def __init__(self, account: Account, policy: bytes) -> None:
        self._account, self._policy = account, policy
        self._taken: dict[Unit, int] = {}

    def enter(self, *, only_look: bool = False) -> None:
        """One request; refused too when there is not a row left. Raises `QuotaSpent`, `Busy`."""
        account = self._account
        try:
            spent = account.take("rows", 1, only_look=True) or account.take("requests", 1, only_look=only_look)
        except LedgerBusy as fault:
            raise _busy(fault) from None
        if spent is not None:
            raise _refusal(spent, 1)
        self._taken["requests"] = int(not only_look)

    def rows(self, count: int) -> None:
        """So many rows. Raises `QuotaSpent`, `Busy`."""
        if count:
            try:
                spent = self._account.take("rows", count)
            except LedgerBusy as fault:
                raise _busy(fault) from None
            if spent is not None:
                raise _refusal(spent, count)
            self._taken["rows"] = self._taken.get("rows", 0) + count

    def rows_again(self) -> None:
        """The same rows will be counted once more, as another version is asked."""
        self._give_back("rows")

    def cancel(self) -> None:
        """It was not answered, for reasons of ours."""
        for unit in tuple(self._taken):
            self._give_back(unit)

    def _give_back(self, unit: Unit) -> None:
        # What cannot be given back now stays taken: better than to keep the caller waiting.
        with contextlib.suppress(LedgerBusy):
            self._account.give_back(unit, self._taken.pop(unit, 0))

    def headers(self) -> tuple[Header, ...]:
        """What is left, as draft-ietf-httpapi-ratelimit-headers-11 has it."""
        left = b", ".join(b'"%b";r=%d;t=%d' % (_name(each.quota), each.left, math.ceil(each.seconds))
                          for each in self._account.usage())  # fmt: skip
        return (b"ratelimit-policy", self._policy), (b"ratelimit", left)


def _name(quota: Quota) -> bytes:
    return f"{quota.unit}-{quota.per}".encode()


def _policy(quota: Quota) -> bytes:
    """A month has no window: some are longer."""
    seconds = RATES[quota.per] // 10**9 if quota.per in RATES else _DAY_SECONDS
    window = b"" if quota.per == "month" else b";w=%d" % seconds
    # Units are not among those that the draft registers, except requests, which it means anyway.
    unit = b';qu="rows"' if quota.unit == "rows" else b""
    return b'"%b";q=%d%b%b' % (_name(quota), quota.amount, window, unit)


def _refusal(spent: Spent, amount: int) -> QuotaSpent:
    if spent.seconds is None:
        return QuotaSpent(
            f"{amount:,} {spent.quota.unit} at once; this key's quota is {spent.quota}", hint="send fewer rows at once"
        )
    return QuotaSpent(
        f"this key's quota of {spent.quota} is spent", retry_seconds=spent.seconds,
        hint=f"come again in {_in_words(spent.seconds)} s",
    )  # fmt: skip


def _in_words(seconds: float) -> str:
    return f"{seconds:.3g}" if seconds < 100 else f"{math.ceil(seconds):,}"


def _busy(fault: LedgerBusy) -> Busy:
    return Busy(fault.message, hint=fault.hint)
