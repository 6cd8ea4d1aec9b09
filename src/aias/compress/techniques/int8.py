"""Whole numbers of eight bits: a quarter of the bytes, and half the time or less.

A sentence encoder's products (`graph.int8`), and those of an imported version (`graph.rewriting`), each with a scale
for every row; convolutions with fixed scales that some rows show.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from aias.compress.regraphed import regraphed, shown
from aias.compress.sensitivity import by_worth
from aias.compress.sentences import Reader, reader
from aias.compress.techniques.contract import Candidate, CannotHelp
from aias.compress.workshop import Workshop
from aias.graph.int8 import Int8
from aias.graph.rewriting import halves_too, products_in_int8, with_fixed_scales

__all__ = ["int8"]


def int8(shop: Workshop) -> Iterator[Candidate]:
    if shop.parent.imported:
        yield from _imported(shop)
        return
    found = reader(shop)
    sentences = found.sentences
    whole = replace(sentences, transformer=Int8(sentences.whole))
    yield replace(found.candidate("sentences in int8", whole), milder=partial(_milder, shop, found))


def _milder(shop: Workshop, found: Reader) -> list[Candidate]:
    """One layer in float32, two, and so on: those first that lose most in int8 for what they cost."""
    sentences, count = found.sentences, len(found.sentences.whole.layers)
    order = by_worth(sentences, shop.some_texts(sentences.subwords))
    named = [f"sentences in int8, {kept} of {count} layers in float32" for kept in range(1, count)]
    return [
        found.candidate(name, replace(sentences, transformer=Int8(sentences.whole, frozenset(order[: at + 1]))))
        for at, name in enumerate(named)
    ]


def _imported(shop: Workshop) -> Iterator[Candidate]:
    """Both ways, where both are; raises what the first says where none is."""
    ways = {
        "products in int8, a scale a row": lambda model: halves_too(products_in_int8(model)),
        "convolutions in int8, fixed scales": lambda model: with_fixed_scales(model, shown(shop)),
    }
    reasons = []
    for name, how in ways.items():
        try:
            yield regraphed(shop, name, how)
        except CannotHelp as fault:
            reasons.append(fault.message)
    if len(reasons) == len(ways):
        raise CannotHelp("; ".join(reasons))
