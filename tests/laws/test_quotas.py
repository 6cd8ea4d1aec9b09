"""Whatever is asked, whenever, at whichever process: no quota lets more through than it says."""

import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from aias.access.accounts import Stood
from aias.access.ledger import Ledger
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


@settings(max_examples=60)
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


@settings(max_examples=60)
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


@settings(max_examples=60)
@given(quota=COUNTED, asks=ASKS, hours=st.integers(1, 40))
def test_no_day_and_no_month_lets_through_more_than_its_amount(
    quota: Quota, asks: list[tuple[int, int, int]], hours: int
) -> None:
    passed = admitted(quota, [(after * hours * 900, *rest) for after, *rest in asks])

    totals: dict[object, int] = {}
    for at, amount in passed:
        totals[period(quota, at)] = totals.get(period(quota, at), 0) + amount
    assert max(totals.values(), default=0) <= quota.amount


@settings(max_examples=60)
@given(quota=STEADY | COUNTED, asks=ASKS, given_back=st.sets(st.integers(0, 59)))
def test_giving_back_never_makes_room_for_more_than_was_given(
    quota: Quota, asks: list[tuple[int, int, int]], given_back: set[int]
) -> None:
    with TemporaryDirectory() as folder, closing(Ledger.open(Path(folder), clock=lambda: 10**18)) as ledger:
        account, held = ledger.account("shop", [quota]), 0
        for at, (_, _, amount) in enumerate(asks):
            if account.take(rows=amount) is None:
                held += amount
                if at in given_back:
                    account.give_back(rows=amount)
                    held -= amount
            assert held <= quota.once


@settings(max_examples=100)
@given(
    quota=STEADY | COUNTED, asks=ASKS, late=st.dictionaries(st.integers(0, 59), st.integers(0, 5), max_size=40),
    hours=st.integers(0, 30),
)  # fmt: skip
def test_who_is_given_back_has_never_more_than_if_it_had_not_been_let_in(
    quota: Quota, asks: list[tuple[int, int, int]], late: dict[int, int], hours: int
) -> None:
    """`late`: which are refused, and how many others ask before that. Beside it another account, which they never
    ask."""
    now, waiting = 10**18, list[tuple[int, int, int, Stood]]()
    with TemporaryDirectory() as folder, closing(Ledger.open(Path(folder), clock=lambda: now)) as ledger:
        account, without = ledger.account("shop", [quota]), ledger.account("without", [quota])
        for at, (after, which, amount) in enumerate(asks):
            now += after % (4 * quota.step_ns + 1) if quota.per in RATES else hours * after * 900
            stood: Stood = {}
            if account.take(rows=amount, stood=stood) is None:
                if at in late:
                    waiting.append((at + late[at], which, amount, stood))
                else:
                    assert without.take(rows=amount) is None
            due = sorted((each for each in waiting if each[0] <= at), key=lambda each: each[1])
            waiting = [each for each in waiting if each[0] > at]
            for _, _, size, before in due:
                account.give_back(rows=size, stood=before)
            for held in (account.usage()[0], without.usage()[0]):
                assert 0 <= held.left <= quota.once
            assert account.usage()[0].left <= without.usage()[0].left


ASKING: str = """
import sys
from pathlib import Path
from aias.access.ledger import Ledger, LedgerBusy
from aias.access.quotas import Quota

account = Ledger.open(Path(sys.argv[1])).account("shop", [Quota(1_000, "requests", "month")])
print(flush=True)
sys.stdin.readline()
passed = 0
for _ in range(1_000):
    while True:
        try:
            passed += account.take(requests=1) is None
            break
        except LedgerBusy:  # where processors are scarce, a holder may have to wait for one
            pass
print(passed)
"""


def test_processes_that_ask_at_one_time_get_no_more_than_the_quota_together(tmp_path: Path) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", ASKING, str(tmp_path)], **pipes) for _ in range(3)]
    for each in processes:
        assert each.stdout is not None and each.stdout.readline() == "\n"
    for each in processes:
        assert each.stdin is not None
        print(file=each.stdin, flush=True)
    passed = [int(each.communicate(timeout=300)[0]) for each in processes]

    # A month may end in the midst of it; then each of the two is full.
    assert sum(passed) in (1_000, 2_000)


def admitted(quota: Quota, asks: list[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """When how much passed, at three processes (here: open files) by turns."""
    now, passed = 0, []
    with TemporaryDirectory() as folder, ExitStack() as held:
        ledgers = [held.enter_context(closing(Ledger.open(Path(folder), clock=lambda: now))) for _ in range(3)]
        accounts = [each.account("shop", [quota]) for each in ledgers]
        for after, process, amount in asks:
            now += after
            if accounts[process].take(rows=amount) is None:
                passed.append((now, amount))
    return passed


def period(quota: Quota, at: int) -> object:
    from datetime import UTC, datetime

    date = datetime.fromtimestamp(at // 10**9, UTC)
    return date.date() if quota.per == "day" else (date.year, date.month)
