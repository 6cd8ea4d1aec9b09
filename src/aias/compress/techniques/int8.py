"""Whole numbers of eight bits: a quarter of the bytes, and half the time or less.

A sentence encoder's products (`graph.int8`), and those of an imported version (`graph.rewriting`), each with a scale
for every row; convolutions with fixed scales that some rows show.
"""

from collections.abc import Iterator
from dataclasses import replace

from aias.compress.regraphed import regraphed, shown
from aias.compress.sentences import reader
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
    yield found.candidate("sentences in int8", replace(sentences, transformer=Int8(sentences.whole)))


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
