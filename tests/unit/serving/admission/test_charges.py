"""What a request takes of its key's quotas, and gives back: by itself, after its worker's death, and with others."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from aias.access.keys import Key
from aias.access.ledger import Ledger
from aias.access.quotas import checked
from aias.serving.admission.quotas import Charge, Quotas, pay_together
from aias.serving.refusals import QuotaSpent
from aias.serving.survival.journal import Layout, Pages, Slot
from aias.serving.survival.keeper import can_keep
from aias.serving.survival.verdicts import SlotRecord
from clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(int(datetime(2026, 5, 6, 12, tzinfo=UTC).timestamp()) * 10**9)


def one_a_day(home: Path, clock: Clock) -> tuple[Key, Quotas, Pages]:
    """A key of one request and three rows a day, and pages of two connections."""
    key = Key("once", "shop", frozenset(), "0000", datetime.now(UTC), quotas=checked(["1/day", "3 rows/day"]))
    return key, Quotas(partial(Ledger.open, home, clock=clock)), Pages.make(Layout(threads=1, slots=2))


@pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")
def test_a_request_that_another_worker_answers_again_has_paid(tmp_path: Path, clock: Clock) -> None:
    key, quotas, pages = one_a_day(tmp_path, clock)
    dead, successor = Slot(pages, 0), Slot(pages, 1)
    dead.open(7, start=0, written=0)
    charge = quotas.charge(key, dead)
    charge.enter()
    charge.rows(2)

    successor.open(8, start=0, written=0, paid=SlotRecord.of(pages, 0).paid_by(0))
    quotas.charge(key, successor).enter(only_look=True)
    again = quotas.charge(key, successor)
    again.enter()
    again.rows(2)

    assert [each.used for _, each in quotas.used([key])] == [1, 2]
    assert SlotRecord.of(pages, 1).paid == SlotRecord.of(pages, 0).paid
    successor.answered()
    with pytest.raises(QuotaSpent):
        quotas.charge(key, successor).enter()
    again.cancel()
    assert [each.used for _, each in quotas.used([key])] == [0, 0]


@pytest.mark.skipif(not can_keep(), reason="this machine cannot keep connections")
def test_who_died_before_its_rows_were_counted_pays_for_them_and_gives_all_back(tmp_path: Path, clock: Clock) -> None:
    key, quotas, pages = one_a_day(tmp_path, clock)
    dead, successor = Slot(pages, 0), Slot(pages, 1)
    dead.open(7, start=0, written=0)
    quotas.charge(key, dead).enter()

    successor.open(8, start=0, written=0, paid=SlotRecord.of(pages, 0).paid_by(0))
    again = quotas.charge(key, successor)
    again.enter()
    again.rows(3)
    assert [each.used for _, each in quotas.used([key])] == [1, 3]
    again.cancel()
    assert [each.used for _, each in quotas.used([key])] == [0, 0]
    assert (successor.prepaid, SlotRecord.of(pages, 1).paid) == (0, 0)


def test_who_is_answered_by_another_version_keeps_its_rows_meanwhile(tmp_path: Path, clock: Clock) -> None:
    key = Key("some", "shop", frozenset(), "0000", datetime.now(UTC), quotas=checked(["9/day", "5 rows/day"]))
    quotas = Quotas(partial(Ledger.open, tmp_path, clock=clock))
    charge, other = quotas.charge(key), quotas.charge(key)
    charge.enter()
    charge.rows(5)
    charge.rows_again()
    with pytest.raises(QuotaSpent):
        other.enter()
    charge.rows(5)
    assert [each.used for _, each in quotas.used([key])] == [1, 5]
    charge.rows_again()
    charge.settle()
    assert [each.used for _, each in quotas.used([key])] == [1, 0]


@pytest.mark.parametrize("row_too", [False, True])
def test_who_lacks_a_request_is_told_when_the_rows_are_there_too(
    tmp_path: Path, clock: Clock, *, row_too: bool
) -> None:
    key = Key("some", "shop", frozenset(), "0000", datetime.now(UTC), quotas=checked(["2/minute", "60 rows/minute"]))
    quotas = Quotas(partial(Ledger.open, tmp_path, clock=clock))
    for rows in (29, 30):
        charge = quotas.charge(key)
        charge.enter()
        charge.rows(rows)

    with pytest.raises(QuotaSpent) as refused:
        quotas.charge(key).enter(lambda: 50, row_too=row_too)
    assert refused.value.retry_seconds == pytest.approx(49)
    clock.now += 49 * 10**9
    charge = quotas.charge(key)
    charge.enter(lambda: 50, row_too=row_too)
    charge.rows(50)


def test_a_row_and_a_request_cost_one_lock(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    key, _, _ = one_a_day(tmp_path, clock)
    ledger, asked = Ledger.open(tmp_path, clock=clock), []
    quotas, lock = Quotas(lambda: ledger), ledger.lock
    charge = quotas.charge(key)
    monkeypatch.setattr(ledger, "lock", lambda what: (asked.append(what), lock(what)))

    charge.enter(row_too=True)
    charge.rows(1)
    charge.settle()

    assert len(asked) == 2
    charge.rows(2)
    with pytest.raises(QuotaSpent):
        charge.rows(1)
    assert [each.used for _, each in quotas.used([key])] == [1, 3]


def due(quotas: Quotas, key: Key, count: int) -> list[Charge]:
    """Requests of one row each, which have not paid yet."""
    charges = [quotas.charge(key) for _ in range(count)]
    for each in charges:
        if not each.put_off():
            each.enter(row_too=True)
        each.row_later()
    return charges


def test_who_runs_together_pays_together_and_of_what_is_short_the_first_have_it(tmp_path: Path, clock: Clock) -> None:
    key = Key("some", "shop", frozenset(), "0000", datetime.now(UTC), quotas=checked(["9/day", "20 rows/day"]))
    other = Key("more", "shop", frozenset(), "0000", datetime.now(UTC), quotas=checked(["2 rows/day"]))
    quotas = Quotas(partial(Ledger.open, tmp_path, clock=clock))

    first = due(quotas, key, 6)
    assert [each.used for _, each in quotas.used([key])] == [0, 0]
    assert pay_together([*first, None, *due(quotas, other, 2)]) == {}
    assert [each.used for _, each in quotas.used([key, other])] == [6, 6, 2]
    assert {each.settle() for each in first} == {b'"requests-day";r=3;t=43200, "rows-day";r=14;t=43200'}

    second = due(quotas, key, 5)
    refused = pay_together(second)

    assert list(refused) == [3, 4]
    assert {type(fault) for fault in refused.values()} == {QuotaSpent}
    assert [each.used for _, each in quotas.used([key])] == [9, 9]
    # Where it is short, the door knows.
    assert not quotas.charge(key).put_off()
    with pytest.raises(QuotaSpent):
        quotas.charge(key).enter(row_too=True)
    second[0].cancel()
    assert [each.used for _, each in quotas.used([key])] == [8, 8]
    due(quotas, key, 1)
    assert [each.used for _, each in quotas.used([key])] == [9, 9]


def test_what_is_due_is_paid_before_many_rows_and_where_none_are_asked(tmp_path: Path, clock: Clock) -> None:
    key, quotas, _ = one_a_day(tmp_path, clock)
    charge = quotas.charge(key)
    assert charge.put_off()
    charge.rows(2)
    assert [each.used for _, each in quotas.used([key])] == [1, 2]
    charge.cancel()

    charge = quotas.charge(key)
    assert charge.put_off()
    charge.settle()
    assert [each.used for _, each in quotas.used([key])] == [1, 0]
    charge = quotas.charge(key)
    assert charge.put_off()
    assert charge.settle() == b'"requests-day";r=0;t=43200, "rows-day";r=3;t=43200'
    assert not charge.put_off()


def test_a_refusal_that_comes_late_gives_back_what_has_not_come_again_by_itself(tmp_path: Path, clock: Clock) -> None:
    quota = checked(["10/second", "100 rows/second"])
    key = Key("some", "shop", frozenset(), "0000", datetime.now(UTC), quotas=quota)
    quotas = Quotas(partial(Ledger.open, tmp_path, clock=clock))
    charge = quotas.charge(key)
    charge.enter()
    charge.rows(60)
    clock.now += 3 * 10**8
    for _ in range(10):
        quotas.charge(key).enter()

    charge.cancel()

    # Its request has come again meanwhile, and half of its rows.
    assert [each.used for _, each in quotas.used([key])] == [10, 0]
    with pytest.raises(QuotaSpent):
        quotas.charge(key).enter()
