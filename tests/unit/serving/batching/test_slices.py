"""The queue on the event loop, on a simulated clock."""

import random
from collections.abc import Callable
from typing import Any

import pytest

from aias.serving.batching.slices import CREDIT_SECONDS, SHARE, SLICE_SECONDS, SLICE_SECONDS_MAX, TURNS_TO_HEAR, Slices
from aias.serving.refusals import Overloaded

OBJECTIVE = 1.0


class Loop:
    """An event loop whose sockets bring what has come by then, once a turn."""

    def __init__(self) -> None:
        self.now = self.stalled = 0.0
        self.soon: list[Callable[[], None]] = []
        self.slices = Slices(later=self.soon.append, clock=lambda: self.now, worked=lambda: self.now - self.stalled)

    def turn(self) -> None:
        soon, self.soon[:] = list(self.soon), []
        for each in soon:
            each()

    def takes(self, seconds: float, then: Callable[[], None] = lambda: None) -> Callable[[], None]:
        def work() -> None:
            self.now += seconds
            then()

        return work

    def ask(self, seconds: float, *, takes: float | None = None, deadline: float | None = None,
            then: Callable[[], None] = lambda: None, payer: str = "one", priority: int = 1,
            **until: Any) -> str:  # fmt: skip
        work = self.takes(seconds if takes is None else takes, then)
        if self.slices.begins():
            work()
            return "at once"
        try:
            self.slices.check(seconds, payer=payer, wait_max=OBJECTIVE, deadline=deadline, priority=priority)
        except Overloaded:
            return "refused"
        self.slices.add(seconds, work, payer=payer, priority=priority, **until)
        return "waits"


def test_the_first_of_a_turn_does_not_wait_and_the_others_do() -> None:
    loop = Loop()

    assert [loop.ask(0.001) for _ in range(3)] == ["at once", "waits", "waits"]
    loop.turn()
    assert loop.slices.waiting == 0
    assert loop.ask(0.001) == "at once"


def test_of_too_many_those_that_may_wait_are_refused_first_and_run_last() -> None:
    loop, done = Loop(), list[str]()
    loop.ask(0.01)
    low = [loop.ask(0.01, priority=2, then=lambda: done.append("low")) for _ in range(300)]
    normal = [loop.ask(0.01, then=lambda: done.append("normal")) for _ in range(300)]
    more_low = loop.ask(0.01, priority=2)
    high = loop.ask(0.01, priority=0, then=lambda: done.append("high"))
    while loop.slices.waiting:
        loop.turn()

    assert 95 <= low.count("waits") <= 105
    assert 95 <= normal.count("waits") <= 105
    assert (more_low, high) == ("refused", "waits")
    assert done == ["high", *["normal"] * normal.count("waits"), *["low"] * low.count("waits")]


def test_what_waits_behind_others_without_end_is_given_up_when_its_time_is_over() -> None:
    loop, told = Loop(), list[str]()
    loop.ask(0.01)
    for name, until in (("soon", 0.5), ("later", 5.0)):
        loop.ask(0.01, priority=2, then=lambda name=name: told.append(f"{name} ran"), until=until,
                 over=lambda name=name: told.append(f"{name} over"))  # fmt: skip
    while loop.now < 1.0:
        loop.ask(0.01)
        loop.turn()
        loop.slices.expire()
    assert told == ["soon over"]
    while loop.slices.waiting:
        loop.turn()

    assert told == ["soon over", "later ran"]
    # What was given up is not reckoned with.
    assert loop.ask(0.01) in ("at once", "waits")
    assert loop.slices._expected_wait(0.01, "one", 2) <= 0.011


def test_between_two_slices_the_sockets_are_heard() -> None:
    loop = Loop()
    for _ in range(20):
        loop.ask(0.001)
    before = loop.now
    loop.turn()

    assert loop.now - before <= SLICE_SECONDS + 0.001
    assert loop.ask(0.001) == "waits"
    assert loop.slices.waiting == 20 - round(SLICE_SECONDS / 0.001)


def test_a_stall_of_the_machine_makes_no_slice_longer_and_work_between_two_does() -> None:
    loop = Loop()
    for _ in range(200):
        loop.ask(0.001)
    loop.turn()
    loop.now += 0.1
    loop.stalled += 0.1
    began = loop.now
    loop.turn()
    assert loop.now - began <= SLICE_SECONDS + 0.001

    loop.now += (CREDIT_SECONDS + 0.006) / SHARE
    for lasts in (SLICE_SECONDS + 0.006, SLICE_SECONDS):
        began = loop.now
        loop.turn()
        assert lasts <= loop.now - began + 1e-9 <= lasts + 0.0011
    loop.now += 1.0
    began = loop.now
    loop.turn()
    assert SLICE_SECONDS_MAX <= loop.now - began + 1e-9 <= SLICE_SECONDS_MAX + 0.0011


def test_a_crowd_at_once_is_heard_between_short_slices_and_one_that_stays_leaves_three_quarters() -> None:
    loop = Loop()

    def answered_in(seconds: float) -> tuple[float, float]:
        """Of the loop's time, and the longest slice, where what comes new takes four tenths of every millisecond."""
        began, spent, longest = loop.now, 0.0, 0.0
        while loop.now < began + seconds:
            while loop.slices.waiting < 50:
                loop.ask(0.001)
            before = loop.now
            loop.turn()
            took = loop.now - before
            spent, longest = spent + took, max(longest, took)
            loop.now += took * 0.4 / 0.6
        return spent / (loop.now - began), longest

    assert answered_in(0.2) == (pytest.approx(0.6, abs=0.02), pytest.approx(SLICE_SECONDS, abs=0.0011))
    answered_in(1.0)
    share, longest = answered_in(2.0)
    assert share == pytest.approx(0.6, abs=0.02)
    assert longest == pytest.approx(SLICE_SECONDS_MAX, abs=0.0011)


def test_while_some_are_refused_who_comes_new_is_heard_before_the_next_slice_within_half_of_the_credit() -> None:
    def turns_without_work(loop: Loop, heard_seconds: float, turns: int) -> list[bool]:
        found = []
        for _ in range(turns):
            before = loop.now
            loop.turn()
            found.append(loop.now == before)
            loop.now += heard_seconds
        return found

    calm, crowded = Loop(), Loop()
    for loop, count in ((calm, 500), (crowded, 2_000)):
        for _ in range(count):
            loop.ask(0.001)
        loop.turn()
        loop.slices.newcomer()
    assert turns_without_work(calm, 0.0001, 2) == [False, False]
    assert turns_without_work(crowded, 0.0001, 5) == [True] * TURNS_TO_HEAR + [False] * 2

    heard = CREDIT_SECONDS / 2 / SHARE
    crowded.ask(0.001)
    crowded.slices.newcomer()
    assert turns_without_work(crowded, heard + 0.001, 2) == [True, False]


def test_a_slice_is_as_long_as_it_was_asked_to_be_however_long_the_sockets_took() -> None:
    loop = Loop()
    loop.slices = Slices(later=loop.soon.append, clock=lambda: loop.now, seconds=0.001, share=0.0)
    for _ in range(20):
        loop.ask(0.0004)
    for left in (16, 13, 10):
        before = loop.now
        loop.turn()
        assert (loop.slices.waiting, loop.now - before) == (left, pytest.approx(0.0012))
        loop.now += 0.5


def test_all_are_done_once_in_the_order_in_which_they_came() -> None:
    loop, done = Loop(), list[int]()
    for at in range(30):
        loop.ask(0.001, then=lambda at=at: done.append(at))
    while loop.soon:
        loop.turn()

    assert done == list(range(30))


def test_who_would_be_answered_after_its_deadline_is_told_at_once() -> None:
    loop = Loop()
    for _ in range(11):
        loop.ask(0.01)

    assert loop.ask(0.01, deadline=loop.now + 0.05) == "refused"
    assert loop.ask(0.01, deadline=loop.now + 0.15) == "waits"


def test_a_model_that_is_slower_than_it_was_measured_is_reckoned_with() -> None:
    loop = Loop()
    for _ in range(200):
        loop.ask(0.001, takes=0.003)
        loop.ask(0.001, takes=0.003)
        loop.turn()
    accepted = 0
    while loop.ask(0.001, takes=0.003) != "refused":
        accepted += 1

    assert accepted * 0.003 < 1.5 * OBJECTIVE


def test_a_flood_of_one_payer_fills_its_own_queue_only() -> None:
    loop, done = Loop(), list[str]()
    while loop.ask(0.01, then=lambda: done.append("flood"), payer="flood") != "refused":
        pass

    assert loop.ask(0.01, then=lambda: done.append("other"), payer="other") == "waits"
    while loop.soon:
        loop.turn()
    assert done.index("other") <= 2


def test_of_one_payers_requests_the_urgent_come_first() -> None:
    loop, done = Loop(), list[int]()
    for priority in (1, 2, 1, 0):
        loop.ask(0.001, then=lambda priority=priority: done.append(priority), priority=priority)
    while loop.soon:
        loop.turn()

    assert done == [1, 0, 1, 2]


@pytest.mark.parametrize("times", [2, 5])
def test_at_more_than_it_can_carry_nearly_all_it_can_is_answered_and_refusals_come_soon(times: float) -> None:
    run, refusal, chance = 0.0007, 0.00002, random.Random(4)
    loop, due, took, told = Loop(), 0.0, list[float](), list[float]()
    while loop.now < 20.0:
        loop.now += 0.00002
        coming = []
        while due <= loop.now:
            coming.append(due)
            due += chance.expovariate(times / run)
        for came in coming:
            said = loop.ask(run, then=lambda came=came: took.append(loop.now - came))
            if said == "refused":
                loop.now += refusal
                told.append(loop.now - came)
        loop.turn()

    assert len(took) * run / loop.now >= 0.85
    assert sorted(took)[int(0.99 * len(took))] <= 1.5 * OBJECTIVE
    assert sorted(told)[int(0.99 * len(told))] <= 0.01
