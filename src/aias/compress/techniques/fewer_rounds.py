"""Boosted trees fitted again in larger steps: a third or a tenth of the rounds, each moving so much further."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

from aias.compress.context import Context
from aias.compress.fitting import rounds_cost
from aias.compress.techniques.contract import Ladder, NotApplicable
from aias.training.selection.configuration import Configuration
from aias.training.selection.members import Member

__all__ = ["fewer_rounds"]

BOOSTED: Final = ("boosted_trees", "xgboost", "catboost")
TIMES: Final = (3, 10)
MILDER: Final = (5, 2)
"""Tried where fewer rounds are fast and lose too much."""
RATE: Final = 0.05
"""Of all three, where nothing is set."""
RATE_MAX: Final = 0.5
ROUNDS_MIN: Final = 10


def fewer_rounds(context: Context) -> Iterator[Ladder]:
    boosted = [each for each in context.members if each.configuration.learner in BOOSTED]
    if not boosted:
        raise NotApplicable("it has no boosted trees")
    best = next((each for each in boosted if "start" not in each.configuration.settings), None)
    if best is None:
        raise NotApplicable("its boosted trees go on from others, whose rounds are fixed")
    if not _in_fewer(best, list(TIMES)):
        raise NotApplicable(
            f"of {best.name} a third of the rounds would be fewer than {ROUNDS_MIN}, or at a learning rate above "
            f"{RATE_MAX:g}"
        )
    for times in TIMES:
        for found in _in_fewer(best, [times]):
            yield Ladder(found, partial(_in_fewer, best, [each for each in MILDER if each < times]))


def _in_fewer(best: Member, several: list[int]) -> list[Configuration]:
    """Those of these shares that are neither too few rounds nor too large steps."""
    settings: dict[str, Any] = best.refit.configuration.settings
    rounds, rate = int(settings.get("rounds", 0)), float(settings.get("learning_rate", RATE))
    found = []
    for times in several:
        if rounds // times >= ROUNDS_MIN and rate * times <= RATE_MAX:
            asked = best.configuration.settings | {"rounds": rounds // times, "learning_rate": rate * times}
            found.append(replace(
                best.configuration, name=f"{best.name} in {rounds // times} rounds", settings=asked,
                cost=rounds_cost(rounds // times, rounds),
            ))  # fmt: skip
    return found
