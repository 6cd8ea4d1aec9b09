"""What a queue takes: the runs, and what passes between them."""

import pytest

from aias.serving.batching.service_rate import ServiceRate


def test_of_what_nobody_has_seen_runs_alone_count() -> None:
    assert ServiceRate(2).seconds_for(3.0) == 1.5


def test_what_passes_between_runs_counts_as_long_as_no_place_is_free() -> None:
    rate = ServiceRate(1)
    for at in range(400):
        rate.ran(0.002, 0.003 * at)

    assert rate.seconds_for(1.0) == pytest.approx(1.5, rel=0.01)


def test_one_stall_turns_nobody_away() -> None:
    rate = ServiceRate(1)
    rate.ran(0.002, 0.0)
    rate.ran(0.002, 60.0)

    assert rate.seconds_for(1.0) < 1.2


def test_a_place_that_was_free_for_want_of_work_slows_nobody_down() -> None:
    rate = ServiceRate(1)
    for at in range(200):
        rate.ran(0.002, 10.0 * at)
        rate.idles()

    assert rate.seconds_for(1.0) == 1.0


def test_two_places_that_run_all_the_time_are_twice_as_fast_as_one() -> None:
    rate = ServiceRate(2)
    for at in range(400):
        rate.ran(0.002, 0.001 * at)

    assert rate.seconds_for(1.0) == pytest.approx(0.5, rel=0.02)


def test_runs_that_are_told_out_of_their_order_make_nothing_faster_than_it_is() -> None:
    rate = ServiceRate(2)
    for at in range(100):
        rate.ran(0.002, 0.002 * at + 0.001)
        rate.ran(0.002, 0.002 * at)

    assert rate.seconds_for(1.0) >= 0.5
