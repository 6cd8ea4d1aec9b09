"""Half of an imported network's weights at zero, where the engine gains by it, which is asked first; what is left is
fitted by least squares to what each layer gave before, anew for each fold (`graph.zeros`).

Engines of dense matrices gain nothing: ONNX Runtime and OpenVINO multiply zeros as other numbers. What makes them
faster is to take whole neurons, as `prune_neurons` does.
"""

from collections.abc import Iterator
from typing import Final

from aias.compress.context import Context
from aias.compress.regraphed import healing_rows, written
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.graph.sparsity import gain
from aias.graph.zeros import can_have_zeros, with_zeros
from aias.runtimes.onnxruntime import sealed_graph

__all__ = ["prune_weights"]

GAIN_MIN: Final = 1.1


def prune_weights(context: Context) -> Iterator[Candidate]:
    parent = context.parent
    if not parent.imported or parent.folder is None:
        raise NotApplicable("single zeros save nothing in dense products; `prune_neurons` takes whole neurons")
    if (found := gain()) < GAIN_MIN:
        raise NotApplicable(f"with half of the weights at zero a product is {found:.2f}× as fast on this machine")
    if not can_have_zeros(sealed_graph(parent.folder, parent.manifest)):
        raise NotApplicable("it has no large matrix or kernel whose zeros would count")

    def make(fold: int) -> Made:
        return Made(written(context, lambda model: with_zeros(model, healing_rows(context, fold))), context.encoder)

    yield Candidate("half of the weights at zero", make)
