"""Boosted trees fitted again in larger steps: a third or a tenth of the rounds, each moving so much further."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from aias.compress.techniques.contract import CannotHelp
from aias.compress.workshop import Workshop
from aias.training.configuration import Configuration

__all__ = ["fewer_rounds"]

BOOSTED: Final = ("boosted_trees", "xgboost", "catboost")
TIMES: Final = (3, 10)
RATE: Final = 0.05
"""Of all three, where nothing is set."""
RATE_MAX: Final = 0.5
ROUNDS_MIN: Final = 10


def fewer_rounds(shop: Workshop) -> Iterator[Configuration]:
    boosted = [each for each in shop.members if each.configuration.learner in BOOSTED]
    if not boosted:
        raise CannotHelp("it has no boosted trees")
    best = next((each for each in boosted if "start" not in each.configuration.settings), None)
    if best is None:
        raise CannotHelp("its boosted trees go on from others, whose rounds are fixed")
    settings: dict[str, Any] = best.refit.configuration.settings
    rounds, rate = int(settings.get("rounds", 0)), float(settings.get("learning_rate", RATE))
    for times in TIMES:
        if rounds // times >= ROUNDS_MIN and rate * times <= RATE_MAX:
            asked = best.configuration.settings | {"rounds": rounds // times, "learning_rate": rate * times}
            yield replace(best.configuration, name=f"{best.name} in {rounds // times} rounds", settings=asked)
