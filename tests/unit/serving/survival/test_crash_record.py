"""Which versions end their workers, and what follows from that."""

from aias.serving.survival.crash_record import APART_DEATHS, DEATHS_MAX, WINDOW_SECONDS, CrashRecord


def test_a_version_runs_apart_at_its_second_death_and_no_more_at_its_fourth() -> None:
    crashes = CrashRecord()
    assert not crashes.add({"bad@1": 1.0}, 0.0)
    assert crashes.add({"bad@1": 1.0}, 1.0)
    assert (crashes.apart, crashes.quarantined) == ({"bad@1"}, set())
    assert not crashes.add({"bad@1": 1.0}, 2.0)
    assert crashes.add({"bad@1": 1.0}, 3.0)
    assert crashes.quarantined == {"bad@1"}

    crashes.forgive()
    assert (crashes.apart, crashes.quarantined) == (set(), set())
    assert not crashes.add({"bad@1": 1.0}, 4.0)


def test_old_deaths_and_shared_ones_count_for_less() -> None:
    crashes = CrashRecord()
    for at in range(10):
        assert not crashes.add({"rare@1": 1.0}, at * (WINDOW_SECONDS + 1))
    told = [crashes.add({"one@1": 0.5, "two@1": 0.5}, float(at)) for at in range(4)]

    assert told == [False, False, False, True]
    assert crashes.apart == {"one@1", "two@1"}
    # Apart, it shows which of them it was.
    assert crashes.add({"two@1": 1.0}, 5.0) is False
    assert crashes.add({"two@1": 1.0}, 6.0)
    assert crashes.quarantined == {"two@1"}


def test_who_is_released_goes_one_step_back_and_has_as_many_deaths_left_as_who_has_just_come_there() -> None:
    crashes = CrashRecord()
    crashes.add({"a@1": DEATHS_MAX}, 0.0)

    assert crashes.release("a@1", 1.0)
    assert (crashes.apart, crashes.quarantined) == ({"a@1"}, frozenset())
    crashes.add({"a@1": DEATHS_MAX - APART_DEATHS}, 2.0)
    assert crashes.quarantined == {"a@1"}
    assert crashes.release("a@1", 3.0) and crashes.release("a@1", 3.0)
    assert (crashes.apart, crashes.quarantined) == (frozenset(), frozenset())
    assert not crashes.release("a@1", 3.0)
    assert not crashes.add({"a@1": 1.0}, 4.0)
