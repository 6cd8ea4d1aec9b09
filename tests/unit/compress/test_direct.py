"""Smaller models for which there was no time among other fits."""

from typing import Any

from aias.compress.direct import DIRECT, Direct
from aias.compress.halving import NO_TIME
from aias.compress.trial import Trial
from aias.training.selection.configuration import Configuration


def test_they_have_another_turn_the_cheapest_before_all_others_and_fall_only_then() -> None:
    tried: list[str] = []
    fell: list[tuple[str, str, str, float]] = []

    def judge(trial: Trial) -> None:
        tried.append(trial.name)
        if trial.name == "forty trees":
            trial.reason = NO_TIME
        else:
            trial.evidence = Any

    named = [Configuration(name, "boosted_trees") for name in ("linear", "twenty trees", "forty trees")]
    direct = Direct(None, named, 70.0, judge, lambda *said: fell.append(said))  # type: ignore[arg-type]

    assert [(each.name, each.technique) for each in direct.turn(1)] == [("linear", DIRECT)]
    assert tried == ["linear"]
    assert [each.name for each in direct.turn()] == ["twenty trees"]
    assert tried == ["linear", "twenty trees", "forty trees"]
    assert fell == [("forty trees", DIRECT, NO_TIME, 70.0)]
    assert direct.turn() == []
