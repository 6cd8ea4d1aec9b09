"""A deadline, on a clock that moves when it is told to."""

from aias.core.deadline import Deadline
from clock import Clock


def test_what_is_left_shrinks_with_time_and_is_never_negative() -> None:
    clock = Clock(100.0)
    deadline = Deadline.after(10, clock)

    clock.now += 4
    assert (deadline.left, deadline.passed) == (6, False)
    clock.now += 7
    assert (deadline.left, deadline.passed) == (0, True)


def test_a_deadline_has_passed_at_its_very_end() -> None:
    clock = Clock(100.0)
    deadline = Deadline.after(10, clock)
    clock.now += 10

    assert deadline.passed


def test_a_share_ends_within_the_whole() -> None:
    clock = Clock(100.0)
    deadline = Deadline.after(10, clock)
    clock.now += 4

    part = deadline.share(0.5)

    assert (part.left, part.ends_at) == (3, 107)
    assert part.ends_at < deadline.ends_at


def test_nothing_is_left_to_share_once_it_has_passed() -> None:
    clock = Clock(100.0)
    deadline = Deadline.after(1, clock)
    clock.now += 5

    assert deadline.share(0.5).passed
