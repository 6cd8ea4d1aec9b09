"""The first layer of a network on words as the product of two thin ones, W ≈ U V, trained on for some epochs to heal.

That layer is nearly all of the network: a row for each term. Layers of networks on columns are so narrow that two thin
products are slower than one.
"""

from collections.abc import Iterator
from typing import Final

from aias.compress.context import Context
from aias.compress.healing import ladders
from aias.compress.techniques.contract import Ladder, NotApplicable
from aias.core.quantities import counted

__all__ = ["low_rank"]

RANK_MIN: Final = 2


def low_rank(context: Context) -> Iterator[Ladder]:
    best = next((each for each in context.members if each.configuration.learner == "text_mlp"), None)
    if best is None:
        raise NotApplicable("it has no network on words, whose first layer would be long enough to be worth two")
    refit = best.refit.configuration.settings
    width = min(int(refit["width"]), int(refit.get("neurons", refit["width"])), int(refit.get("rank", refit["width"])))
    found = list(ladders(best, "rank", width, least=RANK_MIN, called="rank {} of {}"))
    if not found or "rank" in refit:
        raise NotApplicable(f"its first layer has {counted(width, 'neuron')}, or is of low rank already")
    yield from found
