"""A sentence encoder of which each layer has fewer neurons behind attention, in int8, and the head fitted again.

These neurons are two thirds of what is multiplied, and of those of MiniLM half and more say hardly anything that the
others do not: what the others said of them is fitted to those that are left, by least squares and without any answers
(`graph.narrower`). The lower layers alone gain besides.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

from aias.compress.context import Context
from aias.compress.sentences import Reader, reader
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.core.quantities import counted
from aias.graph.activation_ranges import activation_ranges
from aias.graph.int8 import Int8
from aias.graph.narrower import narrowed, neurons_of

__all__ = ["narrower_layers"]

HARSHEST: Final = (2 / 3, 1 / 2)
"""Of the layers, the lower ones; and of their neurons."""

MILDER: Final = ((2 / 3, 3 / 4), (5 / 6, 1 / 2), (5 / 6, 3 / 4), (1, 1 / 2))
"""Tried where that is fast and loses too much."""

NEURONS_MIN: Final = 8

TEXTS: Final = 256
"""That show how neurons vary together; they certify nothing."""


def narrower_layers(context: Context) -> Iterator[Candidate]:
    found = reader(context)
    least = min(len(each.narrower.weight) for each in found.sentences.whole.layers)
    if least < NEURONS_MIN:
        raise NotApplicable(f"a layer has {counted(least, 'neuron')}, and half of them would say too little")
    yield replace(_candidate(found, *HARSHEST), milder=lambda: [_candidate(found, *each) for each in MILDER])


def _candidate(found: Reader, counted: float, share: float) -> Candidate:
    layers = len(found.sentences.whole.layers)
    count = max(1, round(counted * layers))
    name = f"{count} of {layers} layers, {100 * share:g} % of their neurons, in int8"
    return Candidate(name, partial(_make, found, count, share))


def _make(found: Reader, count: int, share: float, fold: int) -> Made:
    smaller = found.context.once(("narrower", count, share), lambda: _narrowed(found, count, share))
    return found.made(replace(found.sentences, transformer=smaller), fold)


def _narrowed(found: Reader, count: int, share: float) -> Int8:
    """The same for all folds, as no answers are looked at."""
    context, sentences = found.context, found.sentences
    neurons = context.once(
        "neurons", lambda: neurons_of(sentences.whole, context.some_texts(sentences.subwords, TEXTS))
    )
    lower = narrowed(found.lowest(count), neurons, share)
    return Int8(lower, activation_ranges(lower, context.some_texts(sentences.subwords)))
