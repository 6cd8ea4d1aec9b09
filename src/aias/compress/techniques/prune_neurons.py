"""Networks with half or a quarter of their neurons, trained on for some epochs to heal.

Single weights at zero would cost as much as before: ONNX Runtime multiplies dense matrices. So whole neurons go; which
ones, `networks/smaller.py` says.
"""

from collections.abc import Iterator
from typing import Final

from aias.compress.context import Context
from aias.compress.healing import ladders
from aias.compress.techniques.contract import Ladder, NotApplicable
from aias.core.quantities import counted

__all__ = ["prune_neurons"]

NETWORKS: Final = ("mlp", "text_mlp")
NEURONS_MIN: Final = 4


def prune_neurons(context: Context) -> Iterator[Ladder]:
    best = next((each for each in context.members if each.configuration.learner in NETWORKS), None)
    if best is None:
        raise NotApplicable("it has no network")
    refit = best.refit.configuration.settings
    width = min(int(refit["width"]), int(refit.get("neurons", refit["width"])))
    found = list(ladders(best, "neurons", width, least=NEURONS_MIN, called="{} of {} neurons"))
    if not found:
        raise NotApplicable(
            f"its network has {counted(width, 'neuron')} a layer, and fewer than {NEURONS_MIN} would say too little"
        )
    yield from found
