"""Whole numbers of eight bits: a quarter of the bytes, and half the time or less.

A transformer's products (`graph.int8`) and an imported version's convolutions with fixed scales that some rows show; an
imported version's products with a scale for every row (`graph.rewriting`).
"""

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Final, Protocol

from aias.compress.context import Context
from aias.compress.regraphed import regraphed, regraphed_later, shown, written
from aias.compress.sensitivity import TEXTS, by_worth, parts_by_worth
from aias.compress.sentences import Reader, reader
from aias.compress.techniques.contract import Candidate, NotApplicable
from aias.graph.int8 import Int8
from aias.graph.rewriting import PRODUCTS, halves_too, products_in_int8, weighed, with_fixed_scales
from aias.runtimes.onnxruntime import sealed_graph

__all__ = ["int8"]

PLACES_MAX: Final = 6
"""Products of an imported network that may go back to float32: each is written and timed alone."""


def int8(context: Context) -> Iterator[Candidate]:
    if context.parent.imported:
        yield from _imported(context)
        with suppress(NotApplicable):  # most have no sentence encoder, and none of the graph's parts was refused for it
            yield from _sentences(context)
        return
    yield from _sentences(context)


def _sentences(context: Context) -> Iterator[Candidate]:
    found = reader(context)
    sentences = found.sentences
    whole = replace(sentences, transformer=Int8(sentences.whole, found.reach))
    yield replace(found.candidate("sentences in int8", whole, same=True), milder=partial(_milder, context, found))


def _milder(context: Context, found: Reader) -> list[Candidate]:
    """One layer in float32, two, and so on: those first that lose most in int8 for what they cost."""
    sentences, count = found.sentences, len(found.sentences.whole.layers)
    order = by_worth(sentences, context.some_texts(sentences.subwords), found.reach)
    named = [f"sentences in int8, {kept} of {count} layers in float32" for kept in range(1, count)]
    return [
        found.candidate(
            name,
            replace(sentences, transformer=Int8(sentences.whole, found.reach, frozenset(order[: at + 1]))),
            same=True,
        )
        for at, name in enumerate(named)
    ]


class Spare(Protocol):
    """From a graph to one in int8, but for the products whose outputs are named."""

    def __call__(self, model: Any, spared: Collection[str]) -> Any: ...


def _imported(context: Context) -> Iterator[Candidate]:
    """Both ways, where both are; raises what the first says where none is."""
    ways: dict[str, tuple[Spare, Collection[str]]] = {
        "products in int8, a scale a row": (
            lambda model, spared: halves_too(products_in_int8(model, spared)), PRODUCTS
        ),
        "convolutions in int8, fixed scales": (
            lambda model, spared: with_fixed_scales(model, shown(context), spared), ("Conv", *PRODUCTS)
        ),
    }  # fmt: skip
    reasons = []
    for name, (how, kinds) in ways.items():
        try:
            found = regraphed(context, name, partial(how, spared=()))
            yield replace(found, milder=partial(_milder_imported, context, name, how, kinds))
        except NotApplicable as fault:
            reasons.append(fault.message)
    if len(reasons) == len(ways):
        raise NotApplicable("; ".join(reasons))


def _milder_imported(context: Context, name: str, how: Spare, kinds: Collection[str]) -> list[Candidate]:
    """One of these products or convolutions in float32, two, and so on, of the heaviest: those first that lose most for
    their time. None where without one of them nothing is written anew."""
    assert context.parent.folder is not None, "only what is sealed was written anew"
    places = weighed(sealed_graph(context.parent.folder, context.parent.manifest), PLACES_MAX, kinds)
    encoded = context.encoded(context.some(TEXTS))

    def form(spared: Collection[str]) -> Callable[[], Any]:
        return partial(written(context, partial(how, spared=spared)).scores, encoded)

    try:
        order = parts_by_worth(places, form, written(context, lambda model: model).scores(encoded))
    except NotApplicable:
        return []
    return [
        regraphed_later(context, f"{name}, {kept} of {len(places)} in float32", partial(how, spared=order[:kept]))
        for kept in range(1, len(places))
    ]
