import stat
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from aias.access.accounts import Spent, take_of_all
from aias.access.keys import Keys, UnknownKey
from aias.access.ledger import FILE, Ledger, LedgerBusy, usage_of
from aias.access.quotas import BadQuota, Quota, checked, parse_quota
from aias.core.errors import Damaged, StorageFailed

SECOND, DAY = 10**9, 86_400 * 10**9
NOON = int(datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()) * SECOND


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> int:
        return self.now

    def pass_(self, seconds: float) -> None:
        self.now += round(seconds * SECOND)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger(tmp_path: Path, clock: Clock):
    opened = Ledger.open(tmp_path, clock=clock)
    yield opened
    opened.close()


def passed(ledger: Ledger, quota: str, asked: int, key: str = "shop") -> int:
    account = ledger.account(key, checked([quota]))
    return sum(account.take(**{account.quotas[0].unit: 1}) is None for _ in range(asked))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("100/second", Quota(100, "requests", "second")),
        (" 5_000 rows / h  burst 20000 ", Quota(5_000, "rows", "hour", 20_000)),
        ("1 request/min", Quota(1, "requests", "minute")),
        ("1000000 ROWS/month", Quota(1_000_000, "rows", "month")),
    ],
)
def test_quotas_are_written_as_people_write_them_and_read_back(text: str, meant: Quota) -> None:
    assert parse_quota(text) == meant == parse_quota(str(meant))


@pytest.mark.parametrize(
    "text",
    ["", "10", "10/", "-1/second", "0/second", "1.5/second", "10/year", "10 cats/day", "10/day burst 5",
     "9999999/second", "1/hour burst 1000000", "2000000000000/day", "1/second; 2/second"],
)  # fmt: skip
def test_what_is_no_quota_is_refused_with_what_to_write(text: str) -> None:
    with pytest.raises(BadQuota):
        parse_quota(text)


def test_two_quotas_of_one_kind_are_refused() -> None:
    with pytest.raises(BadQuota, match="two quotas of one kind"):
        checked(["1/second", "2/s"])


def test_a_bucket_is_full_at_first_and_fills_up_steadily(ledger: Ledger, clock: Clock) -> None:
    assert passed(ledger, "10/second", 30) == 10
    clock.pass_(0.31)
    assert passed(ledger, "10/second", 30) == 3
    clock.pass_(3600)
    assert passed(ledger, "10/second", 30) == 10


def test_who_asks_exactly_as_often_as_allowed_is_never_refused(ledger: Ledger, clock: Clock) -> None:
    for _ in range(100):
        assert passed(ledger, "10/second burst 1", 1) == 1
        clock.pass_(0.1)


def test_a_refusal_says_exactly_when_to_come_again(ledger: Ledger, clock: Clock) -> None:
    account = ledger.account("shop", checked(["6/minute"]))
    assert [account.take(requests=1) for _ in range(6)] == [None] * 6

    spent = account.take(requests=2)

    assert spent is not None
    assert spent.seconds == pytest.approx(20)
    clock.pass_(spent.seconds - 0.001)
    assert account.take(requests=2) is not None
    clock.pass_(0.001)
    assert account.take(requests=2) is None


def test_a_day_is_a_count_that_begins_anew_at_midnight(ledger: Ledger, clock: Clock) -> None:
    account = ledger.account("shop", checked(["1000 rows/day"]))
    assert account.take(rows=999) is None
    assert account.take(rows=2) == Spent(account.quotas[0], 43_200.0)
    assert account.take(rows=1) is None

    clock.pass_(43_199.9)
    assert account.take(rows=1) is not None
    clock.pass_(0.1)
    assert account.take(rows=1_000) is None


def test_a_month_ends_with_the_month(ledger: Ledger, clock: Clock) -> None:
    assert passed(ledger, "5/month", 9) == 5
    clock.pass_(86_400)
    assert passed(ledger, "5/month", 9) == 5
    clock.pass_(27 * 86_400)
    assert passed(ledger, "5/month", 9) == 0


def test_what_can_never_pass_is_told_apart_from_what_must_wait(ledger: Ledger) -> None:
    for quota in ("10 rows/second", "10 rows/day"):
        account = ledger.account("shop", checked([quota]))
        assert account.take(rows=11) == Spent(account.quotas[0], None)


def test_of_several_quotas_all_hold_or_none_is_charged(ledger: Ledger) -> None:
    account = ledger.account("shop", checked(["5/second", "8/day"]))
    assert [account.take(requests=5), account.take(requests=4)][0] is None

    assert {str(each.quota): each.used for each in account.usage()} == {"5 requests/second": 5, "8 requests/day": 5}


def test_what_is_given_back_can_be_had_again_but_not_more(ledger: Ledger) -> None:
    account = ledger.account("shop", checked(["3/second", "3/day"]))
    for _ in range(3):
        assert account.take(requests=1) is None
    account.give_back(requests=1)
    assert account.take(requests=1) is None
    assert account.take(requests=1) is not None


def test_keys_have_accounts_of_their_own_and_a_new_limit_keeps_the_days_count(ledger: Ledger) -> None:
    assert passed(ledger, "5/day", 9, key="a") == 5
    assert passed(ledger, "5/day", 9, key="b") == 5
    assert passed(ledger, "7/day", 9, key="a") == 2


def test_usage_outlives_the_server_and_is_for_the_owner_alone(tmp_path: Path, clock: Clock) -> None:
    for _ in range(2):
        ledger = Ledger.open(tmp_path, clock=clock)
        assert passed(ledger, "6/day", 3) == 3
        ledger.close()

    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert (tmp_path / FILE).stat().st_blocks * 512 <= 64 << 10


def test_a_clock_set_back_shuts_nobody_out_for_longer_than_a_period(ledger: Ledger, clock: Clock) -> None:
    assert passed(ledger, "2/minute", 9) == 2
    assert passed(ledger, "2/day", 9) == 2
    clock.now -= 400 * DAY
    assert passed(ledger, "2/minute", 9) == 0
    assert passed(ledger, "2/day", 9) == 0
    clock.pass_(60)
    assert passed(ledger, "2/minute", 9) == 2
    clock.pass_(86_400)
    assert passed(ledger, "2/day", 9) == 2


@pytest.mark.parametrize(("quota", "days"), [("3/day", 1), ("3/month", 28)])
def test_a_period_that_a_clock_begins_twice_is_one(ledger: Ledger, clock: Clock, quota: str, days: int) -> None:
    account, seconds = ledger.account("shop", checked([quota])), days * 86_400
    clock.pass_(43_200)
    assert [account.take(requests=1) for _ in range(3)] == [None] * 3

    clock.pass_(-2)
    assert account.take(requests=1) == Spent(account.quotas[0], seconds + 2)
    assert account.left() == [0, seconds + 2]
    clock.pass_(2)
    assert account.take(requests=1) == Spent(account.quotas[0], seconds)
    clock.pass_(seconds)
    assert account.take(requests=1) is None


def test_a_foreign_file_is_called_damaged(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"no ledger at all" * 100)

    with pytest.raises(Damaged, match=FILE):
        Ledger.open(tmp_path)


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageFailed):
        Ledger.open(tmp_path / "nowhere")


HOLD = """
import sys
from pathlib import Path
from aias.access.ledger import Ledger
from aias.access.quotas import checked
ledger = Ledger.open(Path(sys.argv[1]))
account = ledger.account("shop", checked(["5/day"]))
ledger.lock(account._on)
print("holding", flush=True)
sys.stdin.read()
"""


def test_a_holder_that_does_not_let_go_delays_nobody_for_long_and_dying_lets_go(tmp_path: Path, ledger: Ledger) -> None:
    account, other = (ledger.account(key, checked(["5/day"])) for key in ("shop", "other"))
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"holding\n"

        with pytest.raises(LedgerBusy):
            account.take(requests=1)
        assert other.take(requests=1) is None

        holder.kill()
        holder.wait()
        assert account.take(requests=1) is None


def test_after_one_has_waited_in_vain_nobody_waits_until_the_lock_was_free(
    tmp_path: Path, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever waits is a server's event loop, and with it all that it serves."""
    slept, sleep = [], time.sleep
    monkeypatch.setattr(time, "sleep", lambda seconds: (slept.append(seconds), sleep(seconds)))
    holder = Ledger.open(tmp_path)
    held, account = (each.account("shop", checked(["5/day"])) for each in (holder, ledger))
    for waits in (True, False):
        with holder.threads, held.locked():
            for expected in (waits, False, False):
                slept.clear()
                with pytest.raises(LedgerBusy):
                    account.take(requests=1)
                assert bool(slept) == expected
    assert account.take(requests=1) is None
    slept.clear()
    with holder.threads, held.locked(), pytest.raises(LedgerBusy):
        account.take(requests=1)
    assert slept
    holder.close()


def test_a_key_keeps_its_quotas_until_others_are_set(tmp_path: Path) -> None:
    keys = Keys.open(tmp_path)
    key, secret = keys.create("shop", {"predict"}, quotas=["1000 rows/day", "10/second"])
    before = keys.database.generation()

    assert list(map(str, keys.verify(secret).quotas)) == ["10 requests/second", "1000 rows/day"]
    assert keys.ring().limited() == [key]
    assert keys.limit(key.id, []).quotas == ()
    assert keys.database.generation() > before
    assert keys.ring().limited() == []
    with pytest.raises(UnknownKey):
        keys.limit("nobody", ["1/second"])
    with pytest.raises(BadQuota):
        keys.create("bad", {"predict"}, quotas=["plenty"])
    keys.close()


def test_usage_of_a_key_that_never_called_is_nothing(tmp_path: Path) -> None:
    keys = Keys.open(tmp_path)
    key, _ = keys.create("shop", {"predict"}, quotas=["10/day"])
    keys.close()

    [(_, usage)] = usage_of(tmp_path, [key])

    assert (usage.used, usage.left) == (0, 10)
    assert timedelta(seconds=usage.seconds) <= timedelta(days=1)


class Counting(Ledger):
    """Counts how often it is locked, or let go of."""

    locks = 0

    def lock(self, asked: bytes) -> None:
        self.locks += 1
        super().lock(asked)


def test_who_only_looks_locks_nothing_and_changes_nothing(tmp_path: Path) -> None:
    now = [10**18]
    ledger = Counting.open(tmp_path, clock=lambda: now[0])
    one, other = (ledger.account(name, [Quota(2, "requests", "second")]) for name in ("one", "other"))
    assert take_of_all([one, other], requests=2) is None
    before, words = ledger.locks, bytes(ledger.words[:1_024])
    now[0] -= 10**9  # the clock is set back

    assert one.take(requests=3, only_look=True) is not None
    for accounts in ([one, other], [one]):
        found = take_of_all(accounts, requests=1, only_look=True)
        assert found is not None
        assert found[1].seconds == pytest.approx(0.5)
    assert (ledger.locks, bytes(ledger.words[:1_024])) == (before, words)
    ledger.close()


@pytest.mark.parametrize(("after", "back"), [(0.0, 5), (0.2, 3), (0.5, 0), (9.0, 0)])
def test_of_a_bucket_that_was_full_what_has_come_again_is_not_given_back(
    ledger: Ledger, clock: Clock, after: float, back: int
) -> None:
    """It takes half a second until five are there again."""
    account, stood = ledger.account("shop", checked(["10/second"])), {}
    assert account.take(requests=5, stood=stood) is None
    clock.pass_(after)
    taken = passed(ledger, "10/second", 30)

    account.give_back(requests=5, stood=stood)

    assert passed(ledger, "10/second", 30) == back
    assert taken + back == 10


def test_of_what_others_took_before_it_nothing_has_come_again_for_it(ledger: Ledger, clock: Clock) -> None:
    account, stood = ledger.account("shop", checked(["10/second"])), {}
    assert passed(ledger, "10/second", 5) == 5
    assert account.take(requests=5, stood=stood) is None
    clock.pass_(0.5)
    account.give_back(requests=5, stood=stood)

    assert passed(ledger, "10/second", 30) == 10


def test_what_was_given_back_to_one_moves_up_the_next(ledger: Ledger, clock: Clock) -> None:
    """Both are given back, and five that came between them count as if these had never been."""
    account, first, second = ledger.account("shop", checked(["10/second"])), {}, {}
    assert [account.take(requests=5, stood=each) for each in (first, second)] == [None, None]
    account.give_back(requests=5, stood=first)
    clock.pass_(0.5)
    assert passed(ledger, "10/second", 5) == 5
    account.give_back(requests=5, stood=second)

    assert passed(ledger, "10/second", 30) == 5


@pytest.mark.parametrize("quota", ["5/day", "5/month"])
def test_what_was_taken_of_another_day_is_not_given_back_to_this(ledger: Ledger, clock: Clock, quota: str) -> None:
    account, stood = ledger.account("shop", checked([quota])), {}
    assert account.take(requests=3, stood=stood) is None
    clock.pass_(86_400)
    assert passed(ledger, quota, 9) == 5
    account.give_back(requests=3, stood=stood)

    assert passed(ledger, quota, 9) == 0


def test_rows_and_requests_are_given_back_each_for_itself(ledger: Ledger, clock: Clock) -> None:
    account, stood = ledger.account("shop", checked(["10/second", "100 rows/second", "50 rows/day"])), {}
    assert account.take(requests=1, rows=40, stood=stood) is None
    clock.pass_(0.2)
    account.give_back(requests=1, rows=40, stood=stood)

    assert [each.used for each in account.usage()] == [0, 0, 0]
    assert account.take(rows=50, stood=stood) is None
