"""Networks with half or a quarter of their neurons, trained on for some epochs to heal.

Single weights at zero would cost as much as before: ONNX Runtime multiplies dense matrices. So whole neurons go; which
ones, `networks/smaller.py` says.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from aias.compress.healing import healed
from aias.compress.techniques.contract import CannotHelp
from aias.compress.workshop import Workshop
from aias.training.configuration import Configuration

__all__ = ["prune_neurons"]

NETWORKS: Final = ("mlp", "text_mlp")
SHARES: Final = (0.5, 0.25)
NEURONS_MIN: Final = 4


def prune_neurons(shop: Workshop) -> Iterator[Configuration]:
    best = next((each for each in shop.members if each.configuration.learner in NETWORKS), None)
    if best is None:
        raise CannotHelp("it has no network")
    refit = best.refit.configuration.settings
    width = min(int(refit["width"]), int(refit.get("neurons", refit["width"])))
    counts = [round(share * width) for share in SHARES if round(share * width) >= NEURONS_MIN]
    if not counts:
        raise CannotHelp(f"its network has {width} neurons a layer, and fewer than {NEURONS_MIN} would say too little")
    for count in counts:
        settings = {**healed(best), "neurons": count}
        yield replace(best.configuration, name=f"{best.name}, {count} of {width} neurons", settings=settings)
