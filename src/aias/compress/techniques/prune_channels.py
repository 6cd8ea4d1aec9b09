"""Convolutions of an imported network with half or three quarters of their channels, healed by least squares
(`graph.channels`); in whole numbers besides, for both gain.

Single zeros would cost as much as before. What is left is fitted to what the network said of rows that may be fitted
on, without their answers, and anew for each fold.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any, Final

from aias.compress.context import Context
from aias.compress.regraphed import healing_rows, shown, written
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.graph.channels import can_have_fewer, fewer_channels
from aias.graph.rewriting import with_fixed_scales
from aias.runtimes.onnxruntime import sealed_graph

__all__ = ["prune_channels"]

SHARES: Final = (0.5, 0.75)
MILDER: Final = (0.625, 0.75, 0.875)
"""Tried where fewer are fast and lose too much."""


def prune_channels(context: Context) -> Iterator[Candidate]:
    if not context.parent.imported or context.parent.folder is None:
        raise NotApplicable("no convolutions are trained here; `prune_neurons` takes neurons of what is")
    if not can_have_fewer(sealed_graph(context.parent.folder, context.parent.manifest)):
        raise NotApplicable("it has no convolution that one other layer reads alone")
    for whole_numbers in (True, False):
        for share in SHARES:
            yield _candidate(context, share, whole_numbers=whole_numbers, ladder=True)


def _candidate(context: Context, share: float, *, whole_numbers: bool, ladder: bool = False) -> Candidate:
    name = f"{100 * share:g} % of the channels{', int8' if whole_numbers else ''}"
    milder = partial(_milder, context, share, whole_numbers=whole_numbers) if ladder else None
    return Candidate(name, partial(_make, context, share, whole_numbers), milder=milder)


def _milder(context: Context, share: float, *, whole_numbers: bool) -> list[Candidate]:
    return [_candidate(context, each, whole_numbers=whole_numbers) for each in MILDER if each > share]


def _make(context: Context, share: float, whole_numbers: bool, fold: int) -> Made:
    def how(model: Any) -> Any:
        found = _pruned(context, model, share, fold)
        return with_fixed_scales(found, shown(context)) if whole_numbers else found

    return Made(written(context, how), context.encoder)


def _pruned(context: Context, model: Any, share: float, fold: int) -> Any:
    return context.once(("channels", share, fold), lambda: fewer_channels(model, healing_rows(context, fold), share))
