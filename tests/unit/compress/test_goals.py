"""`compress/goals.py`: what may be lost is a share of what there is."""

import math
from dataclasses import replace

import pytest

from aias.compress.gate.power import Power
from aias.compress.goals import Goals
from aias.core.errors import UserError


def test_what_may_be_lost_is_a_share_of_the_parents_own_value():
    assert Goals(max_loss=0.1).margin("r2", -0.5, rows=10) == pytest.approx(0.05)


@pytest.mark.parametrize(("value", "said"), [(0.0, "is 0, of which no share"), (float("nan"), "cannot be measured")])
def test_where_there_is_nothing_to_lose_another_metric_is_asked_for(value, said):
    with pytest.raises(UserError, match=said) as fault:
        Goals().margin("rmse", value, rows=300)
    assert "--metric" in fault.value.hint


def test_who_is_slower_by_less_than_a_microsecond_is_told_by_how_much():
    said = Goals(latency_us=3.0).missed(3.4, 1)

    assert said == "a row takes 3.4 µs, more than the 3 that were asked for"


@pytest.mark.parametrize("callers", ["4", 4.0, None, True, 65])
def test_callers_are_a_whole_number(callers):
    with pytest.raises(UserError, match="a whole number, at least 2 and at most 64") as fault:
        Goals(callers=callers)

    assert repr(callers) in fault.value.message


def test_where_rows_are_too_few_a_loss_is_named_that_they_could_tell():
    few, enough = (Power("accuracy", 0.005, math.sqrt(0.05), rows) for rows in (1_000, 100_000))
    hopeless = Power("accuracy", 0.005, 100.0, 10)

    assert (
        Goals(max_loss=0.006)
        .told(few)
        .endswith('13,440 rows would be enough, and so would `--max-loss 2.2%` (`max_loss="2.2%"`)')
    )
    assert replace(few, margin=0.022 / 0.006 * few.margin).enough
    assert [Goals().told(each) for each in (enough, hopeless)] == [str(enough), str(hopeless)]
