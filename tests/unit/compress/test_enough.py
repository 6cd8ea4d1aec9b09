"""`compress/enough.py`: how much time would have been enough, by what was measured."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from aias.compress.context import FIT_SHARE, check_whole
from aias.compress.enough import Spent, enough, enough_to_fit, rounded_up
from aias.compress.halving import NO_TIME
from aias.compress.techniques.contract import Candidate
from aias.compress.trial import Trial
from aias.training.parent import NoTime

SPENT = Spent(60.0, 10.0, 42.0)


@dataclass
class Judged:
    value: float = 0.0


def trial(technique: str = "distill", *, spent: float = 0.0, reason: str = "", **known: Any) -> Trial:
    found = Trial(Candidate("c", lambda _fold: None), technique, reason)  # type: ignore[arg-type, return-value]
    found.spent, found.evidence = spent, Judged() if spent else None  # type: ignore[assignment]
    for name, value in known.items():
        setattr(found, name, value)
    return found


def test_candidates_that_were_never_tried_take_as_long_as_their_like() -> None:
    """42 s, and two times 5, are 70 % of 74 s; and a fifth more."""
    tried = [trial(spent=4.0), trial(spent=6.0), trial("int8", spent=100.0)]
    assert enough([*tried, trial(reason=NO_TIME), trial(reason=NO_TIME)], (), SPENT) == "about 90 s would be enough"
    assert enough([*tried[:2], trial("int8", reason=NO_TIME)], (), SPENT) == "about 81 s would be enough"


def test_what_certifies_comes_after_the_search() -> None:
    late = trial(spent=9.0, reason="there was no time left to certify it, which takes about 38 s", certify_seconds=38.0)
    assert enough([late], (), SPENT) == "about 96 s would be enough"


def test_where_nothing_tells_it_is_said_what_to_give_at_least() -> None:
    for late in (trial(reason=NO_TIME), trial("fine_tune", reason=NO_TIME)):
        assert enough([late], (), SPENT) == "give at least 120 s"
    assert enough([trial(spent=1.0), trial("fine_tune", reason=NO_TIME)], (), SPENT) == "give at least 120 s"
    assert enough([], [0.0], Spent(60.0, 50.0)) == "give at least 150 s"
    assert enough([], [300.0], SPENT) == "about 360 s would be enough"
    assert enough([], [300.0, 0.0], SPENT) == "give at least 360 s"


def test_a_fit_that_was_cut_says_what_it_would_have_taken() -> None:
    with pytest.raises(NoTime) as fault:
        check_whole(6.0, left=0.0, less=True, done=0.25)
    assert fault.value.enough == pytest.approx(24 / FIT_SHARE)
    late = trial(spent=6.0, reason=fault.value.message, enough=fault.value.enough)
    assert enough([late], (), SPENT) == "about 290 s would be enough"


def test_fits_as_in_training_have_a_share_of_the_time() -> None:
    assert enough_to_fit([5.0, 4.0], before=3.0, spent=6.0) == pytest.approx((3 + 15 / 0.15) / 0.7)
    assert enough_to_fit([5.0, 0.0], before=3.0, spent=6.0) == 0
    assert enough_to_fit([5.0], before=3.0, spent=6.0, share=0.7) == pytest.approx((3 + 11 / 0.7) / 0.7)


def test_seconds_are_told_in_two_digits_and_never_too_few() -> None:
    assert [rounded_up(each) for each in (0.2, 9.1, 95.2, 121.0, 1_234.0)] == ["1", "10", "96", "130", "1,300"]
    assert all(float(rounded_up(each).replace(",", "")) >= each for each in np.geomspace(0.5, 1e5, 200))


def test_what_combines_others_takes_its_time_as_they_do() -> None:
    """Two candidates of 5 s each, of which there is no trial yet."""
    tried = [trial(spent=4.0), trial(spent=6.0)]
    assert enough(tried, (), SPENT) == "about 72 s would be enough"
    assert enough(tried, (), SPENT, turns=1) == "about 90 s would be enough"
    assert enough([], (), SPENT, turns=1) == "give at least 120 s"


def test_what_a_run_before_had_made_is_made_again_with_more_time() -> None:
    """42 s of this run, 28 of the one before, and 30 for the one that was never tried, are 70 % of 143."""
    assert enough([trial(spent=30.0, restored=28.0), trial(reason=NO_TIME)], (), SPENT) == "about 180 s would be enough"


def test_what_was_finished_took_its_time_before_those_that_were_late() -> None:
    late = trial(spent=9.0, reason="there was no time left to certify it, which takes about 38 s", certify_seconds=38.0)
    assert enough([late], (), Spent(60.0, 10.0, 42.0, 12.0)) == "about 120 s would be enough"
