from collections import deque
from dataclasses import replace

import pytest

from aias.training.selection.configuration import Configuration
from aias.training.selection.fit_seconds import UNIT_SECONDS_MIN, FitSeconds, allowed
from aias.training.selection.trial import Trial

PLAIN = Configuration("boosted_trees", "boosted_trees")
DEEP = Configuration("boosted_trees deep", "boosted_trees", cost=2.5)
MLP = Configuration("mlp", "mlp", cost=4.0)


def test_nothing_is_known_before_anything_was_fitted() -> None:
    assert not FitSeconds() and FitSeconds().estimate(PLAIN) == UNIT_SECONDS_MIN
    few = replace(PLAIN, cost=0.15)  # twenty trees, of a parent that has none
    assert FitSeconds().estimate(few) == pytest.approx(0.15) and FitSeconds().estimate(replace(PLAIN, cost=4.0)) == 1


def test_a_learner_goes_by_its_own_pace_and_one_not_met_by_that_of_the_first_trees() -> None:
    paces = FitSeconds()
    paces.learn(PLAIN, 2.0)
    assert paces.estimate(DEEP) == 5.0 and paces.estimate(MLP) == 8.0 and not paces.knows(MLP)
    paces.learn(DEEP, 10.0)  # four a cost of 1, not two
    assert paces.estimate(PLAIN) == 4.0 and paces.estimate(MLP) == 8.0
    paces.learn(MLP, 1.0)
    assert paces.estimate(MLP) == 1.0 and paces.knows(MLP)


def test_what_reads_derived_columns_has_a_pace_of_its_own() -> None:
    paces, crossed = FitSeconds(), Configuration("crossed", "boosted_trees", derived=("target_means",))
    paces.learn(crossed, 6.0)
    paces.learn(PLAIN, 2.0)
    assert paces.estimate(crossed) == 6.0 and paces.estimate(PLAIN) == 2.0


def test_where_one_fit_is_the_model_it_has_more_of_the_time_than_one_of_many() -> None:
    def seconds(configuration: Configuration, estimate: float, *, seen_whole: bool) -> float:
        trial = Trial(configuration, deque())
        return allowed(trial, [], 40.0, turns=1, workers=2, estimate=estimate, seen_whole=seen_whole)

    assert seconds(PLAIN, 1.0, seen_whole=False) == 20.0 and seconds(PLAIN, 1.0, seen_whole=True) == 28.0
    assert seconds(PLAIN, 50.0, seen_whole=True) == 40.0
    assert seconds(MLP, 1.0, seen_whole=True) == 20.0  # it would take whatever it is given


def test_what_others_are_worth_more_than_has_a_share_of_the_time() -> None:
    def seconds(share: float, left: float, estimate: float) -> float:
        trial = Trial(Configuration("linear", "linear", share=share), deque())
        return allowed(trial, [], left, turns=2, workers=2, estimate=estimate, seen_whole=False)

    found = seconds(1.0, 40.0, 1.0), seconds(0.5, 40.0, 1.0), seconds(0.5, 40.0, 6.0), seconds(0.5, 2.0, 0.1)
    assert found == pytest.approx((10.0, 5.0, 7.8, 0.9 * UNIT_SECONDS_MIN))
