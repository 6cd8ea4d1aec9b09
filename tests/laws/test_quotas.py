"""Whatever is asked, whenever, at whichever process: no quota lets more through than it says."""

import multiprocessing
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from multiprocessing.queues import Queue
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from aias.access.accounts import Account
from aias.access.ledger import Ledger, LedgerBusy
from aias.access.quotas import RATES, Quota

STEADY = st.builds(
    Quota,
    amount=st.integers(1, 50),
    unit=st.just("rows"),
    per=st.sampled_from(["second", "minute"]),
    burst=st.integers(0, 60),
)
COUNTED = st.builds(Quota, amount=st.integers(1, 50), unit=st.just("rows"), per=st.sampled_from(["day", "month"]))
ASKS = st.lists(st.tuples(st.integers(0, 40 * 10**9), st.integers(0, 2), st.integers(1, 20)), max_size=60)


@settings(max_examples=60, deadline=None)
@given(quota=STEADY, asks=ASKS)
def test_no_stretch_of_time_lets_through_more_than_the_burst_and_the_rate(
    quota: Quota, asks: list[tuple[int, int, int]]
) -> None:
    passed = admitted(quota, [(after % (4 * quota.step_ns + 1), *rest) for after, *rest in asks])

    for at, (begin, _) in enumerate(passed):
        total = 0
        for end, amount in passed[at:]:
            total += amount
            assert total <= quota.burst + (end - begin) * quota.amount / RATES[quota.per]


@settings(max_examples=60, deadline=None)
@given(quota=STEADY, asks=ASKS)
def test_nobody_is_refused_what_the_rate_allows(quota: Quota, asks: list[tuple[int, int, int]]) -> None:
    """The bucket of the textbook (an amount that grows with time), beside which ours must not be stricter."""
    schedule = [(after % (4 * quota.step_ns + 1), *rest) for after, *rest in asks]
    passed, level, last, now = set(admitted(quota, schedule)), float(quota.burst), 0, 0
    for after, _, amount in schedule:
        now += after
        level, last = min(float(quota.burst), level + (now - last) / quota.step_ns), now
        if level >= amount + 1e-6:
            assert (now, amount) in passed
        if (now, amount) in passed:
            level -= amount


@settings(max_examples=60, deadline=None)
@given(quota=COUNTED, asks=ASKS, hours=st.integers(1, 40))
def test_no_day_and_no_month_lets_through_more_than_its_amount(
    quota: Quota, asks: list[tuple[int, int, int]], hours: int
) -> None:
    passed = admitted(quota, [(after * hours * 900, *rest) for after, *rest in asks])

    totals: dict[object, int] = {}
    for at, amount in passed:
        totals[period(quota, at)] = totals.get(period(quota, at), 0) + amount
    assert max(totals.values(), default=0) <= quota.amount


@settings(max_examples=60, deadline=None)
@given(quota=STEADY | COUNTED, asks=ASKS, given_back=st.sets(st.integers(0, 59)))
def test_giving_back_never_makes_room_for_more_than_was_given(
    quota: Quota, asks: list[tuple[int, int, int]], given_back: set[int]
) -> None:
    with TemporaryDirectory() as folder, closing(Ledger.open(Path(folder), clock=lambda: 10**18)) as ledger:
        account, held = ledger.account("shop", [quota]), 0
        for at, (_, _, amount) in enumerate(asks):
            if account.take("rows", amount) is None:
                held += amount
                if at in given_back:
                    account.give_back("rows", amount)
                    held -= amount
            assert held <= quota.once


def test_processes_that_ask_at_one_time_get_no_more_than_the_quota_together(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    answers: Queue[int] = context.Queue()
    begin = context.Barrier(3)
    processes = [context.Process(target=ask_much, args=(tmp_path, begin.wait, answers)) for _ in range(3)]
    for each in processes:
        each.start()
    passed = [answers.get(timeout=300) for _ in processes]
    for each in processes:
        each.join(30)

    # A month may end in the midst of it; then each of the two is full.
    assert sum(passed) in (1_000, 2_000)


def ask_much(home: Path, begin: Callable[[], object], answers: "Queue[int]") -> None:
    account = Ledger.open(home).account("shop", [Quota(1_000, "requests", "month")])
    begin()
    answers.put(sum(passes(account) for _ in range(1_000)))


def passes(account: Account) -> bool:
    """Where processors are scarce, a holder may have to wait for one."""
    while True:
        with suppress(LedgerBusy):
            return account.take("requests", 1) is None


def admitted(quota: Quota, asks: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """When how much passed, at three processes (here: open files) by turns."""
    now, passed = 0, []
    with TemporaryDirectory() as folder, ExitStack() as held:
        ledgers = [held.enter_context(closing(Ledger.open(Path(folder), clock=lambda: now))) for _ in range(3)]
        accounts = [each.account("shop", [quota]) for each in ledgers]
        for after, process, amount in asks:
            now += after
            if accounts[process].take("rows", amount) is None:
                passed.append((now, amount))
    return passed


def period(quota: Quota, at: int) -> object:
    from datetime import UTC, datetime

    date = datetime.fromtimestamp(at // 10**9, UTC)
    return date.date() if quota.per == "day" else (date.year, date.month)
