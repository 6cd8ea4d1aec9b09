"""The weights of an imported version at half precision in the file: half the bytes, computed as before."""

from collections.abc import Iterator

from aias.compress.regraphed import regraphed
from aias.compress.techniques.contract import Candidate, CannotHelp
from aias.compress.workshop import Workshop
from aias.graph.rewriting import halves

__all__ = ["half_weights"]


def half_weights(shop: Workshop) -> Iterator[Candidate]:
    if not shop.parent.imported:
        raise CannotHelp("`rounded_weights` and `single_precision` round what was trained here")
    yield regraphed(shop, "weights in float16", halves)
