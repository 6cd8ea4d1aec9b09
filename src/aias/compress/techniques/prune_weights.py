"""Half of an imported network's weights at zero, where the engine gains by it; it is asked first.

Engines of dense matrices gain nothing: ONNX Runtime and OpenVINO multiply zeros as other numbers. What makes them
faster is to take whole neurons, as `prune_neurons` does.
"""

from collections.abc import Iterator
from typing import Final

from aias.compress.context import Context
from aias.compress.regraphed import regraphed
from aias.compress.techniques.contract import Candidate, NotApplicable
from aias.graph.rewriting import with_zeros
from aias.graph.sparsity import gain

__all__ = ["prune_weights"]

GAIN_MIN: Final = 1.1


def prune_weights(context: Context) -> Iterator[Candidate]:
    if not context.parent.imported:
        raise NotApplicable("single zeros save nothing in dense products; `prune_neurons` takes whole neurons")
    if (found := gain()) < GAIN_MIN:
        raise NotApplicable(f"with half of the weights at zero a product is {found:.2f}× as fast on this machine")
    yield regraphed(context, "half of the weights at zero", with_zeros)
