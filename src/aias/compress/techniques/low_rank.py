"""A layer as the product of two thin ones, W ≈ U V.

Of a network on words trained here the first, then trained on for some epochs to heal: it is nearly all of the network,
a row for each term. Layers of networks on columns are so narrow that two thin products are slower than one. Of an
imported network large layers, fitted to what they gave (`graph.thinner`), anew for each fold.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from aias.compress.context import Context
from aias.compress.healing import ladders
from aias.compress.regraphed import SHOWN_ROWS_MAX, healing_rows, written
from aias.compress.techniques.contract import Candidate, Ladder, Made, NotApplicable
from aias.core.quantities import counted
from aias.graph.rewritten import NothingToRewrite
from aias.graph.thinner import keeping, large_layers, thinner
from aias.runtimes.onnxruntime import sealed_graph

__all__ = ["low_rank"]

RANK_MIN: Final = 2

SHARES: Final = (0.5, 0.25)
"""Of the numbers of a large layer."""


def low_rank(context: Context) -> Iterator[Ladder | Candidate]:
    yield from _imported(context) if context.parent.imported else _words(context)


def _words(context: Context) -> Iterator[Ladder]:
    best = next((each for each in context.members if each.configuration.learner == "text_mlp"), None)
    if best is None:
        raise NotApplicable("it has no network on words, whose first layer would be long enough to be worth two")
    refit = best.refit.configuration.settings
    width = min(int(refit["width"]), int(refit.get("neurons", refit["width"])), int(refit.get("rank", refit["width"])))
    found = list(ladders(best, "rank", width, least=RANK_MIN, called="rank {} of {}"))
    if not found or "rank" in refit:
        raise NotApplicable(f"its first layer has {counted(width, 'neuron')}, or is of low rank already")
    yield from found


def _imported(context: Context) -> Iterator[Candidate]:
    """Of half of the numbers, and of a quarter where that keeps enough, too."""
    parent = context.parent
    if parent.folder is None:
        raise NotApplicable("its graph is not at hand")
    graph, shown = sealed_graph(parent.folder, parent.manifest), context.encoded(context.some(SHOWN_ROWS_MAX))
    places = _or_not(lambda: large_layers(graph))
    for at, share in enumerate(SHARES):
        try:
            found = _or_not(partial(keeping, graph, shown, share, places))
        except NotApplicable:
            if not at:
                raise
            return
        layers = f"{len(found)} of {counted(len(places), 'large layer')}"
        yield Candidate(f"{layers} with {100 * share:g} % of the numbers", partial(_make, context, share, found))


def _make(context: Context, share: float, places: list[str], fold: int) -> Made:
    encoded = healing_rows(context, fold)
    return Made(written(context, lambda model: thinner(model, encoded, share, places)), context.encoder)


def _or_not(find: Callable[[], list[str]]) -> list[str]:
    try:
        return find()
    except NothingToRewrite as fault:
        raise NotApplicable(str(fault)) from None
