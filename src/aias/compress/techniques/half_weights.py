"""The weights of an imported version at half precision in the file: half the bytes, computed as before."""

from collections.abc import Iterator

from aias.compress.context import Context
from aias.compress.regraphed import regraphed
from aias.compress.techniques.contract import Candidate, NotApplicable
from aias.graph.rewriting import halves

__all__ = ["half_weights"]


def half_weights(context: Context) -> Iterator[Candidate]:
    if not context.parent.imported:
        raise NotApplicable("`rounded_weights` and `single_precision` round what was trained here")
    yield regraphed(context, "weights in float16", halves)
