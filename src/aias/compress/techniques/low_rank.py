"""The first layer of a network on words as the product of two thin ones, W ≈ U V, trained on for some epochs to heal.

That layer is nearly all of the network: a row for each term. Layers of networks on columns are so narrow that two thin
products are slower than one.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from aias.compress.healing import healed
from aias.compress.techniques.contract import CannotHelp, Ladder
from aias.compress.workshop import Workshop
from aias.training.selection.configuration import Configuration
from aias.training.selection.members import Member

__all__ = ["low_rank"]

SHARES: Final = (0.5, 0.25)
"""Of the width, for the rank."""

RANK_MIN: Final = 2


MILDER: Final = (0.375, 0.75)
"""Tried where a lower one is fast and loses too much."""


def low_rank(shop: Workshop) -> Iterator[Ladder]:
    best = next((each for each in shop.members if each.configuration.learner == "text_mlp"), None)
    if best is None:
        raise CannotHelp("it has no network on words, whose first layer would be long enough to be worth two")
    refit = best.refit.configuration.settings
    width = min(int(refit["width"]), int(refit.get("neurons", refit["width"])), int(refit.get("rank", refit["width"])))
    ranks = [round(share * width) for share in SHARES if round(share * width) >= RANK_MIN]
    if not ranks or "rank" in refit:
        raise CannotHelp(f"its first layer has {width} neurons, or is of low rank already")
    more = [round(share * width) for share in MILDER]
    for rank in ranks:
        yield Ladder(_thin(best, rank, width), partial(_milder, best, [n for n in more if n > rank], width))


def _milder(best: Member, ranks: list[int], width: int) -> list[Configuration]:
    return [_thin(best, rank, width) for rank in ranks]


def _thin(best: Member, rank: int, width: int) -> Configuration:
    settings = {**healed(best), "rank": rank}
    return replace(best.configuration, name=f"{best.name}, rank {rank} of {width}", settings=settings)
