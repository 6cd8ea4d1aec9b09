"""Networks with half or a quarter of their neurons, trained on for some epochs to heal.

Single weights at zero would cost as much as before: ONNX Runtime multiplies dense matrices. So whole neurons go; which
ones, `networks/smaller.py` says.
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

__all__ = ["prune_neurons"]

NETWORKS: Final = ("mlp", "text_mlp")
SHARES: Final = (0.5, 0.25)
NEURONS_MIN: Final = 4


MILDER: Final = (0.375, 0.75)
"""Tried where fewer are fast and lose too much."""


def prune_neurons(shop: Workshop) -> Iterator[Ladder]:
    best = next((each for each in shop.members if each.configuration.learner in NETWORKS), None)
    if best is None:
        raise CannotHelp("it has no network")
    refit = best.refit.configuration.settings
    width = min(int(refit["width"]), int(refit.get("neurons", refit["width"])))
    counts = [round(share * width) for share in SHARES if round(share * width) >= NEURONS_MIN]
    if not counts:
        raise CannotHelp(f"its network has {width} neurons a layer, and fewer than {NEURONS_MIN} would say too little")
    more = [round(share * width) for share in MILDER]
    for count in counts:
        yield Ladder(_fewer(best, count, width), partial(_milder, best, [n for n in more if n > count], width))


def _milder(best: Member, counts: list[int], width: int) -> list[Configuration]:
    return [_fewer(best, count, width) for count in counts]


def _fewer(best: Member, count: int, width: int) -> Configuration:
    settings = {**healed(best), "neurons": count}
    return replace(best.configuration, name=f"{best.name}, {count} of {width} neurons", settings=settings)
