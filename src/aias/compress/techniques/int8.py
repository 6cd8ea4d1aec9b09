"""The sentence encoder in whole numbers of eight bits: a quarter of the bytes, and half the time (`graph.int8`)."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

from aias.compress.sensitivity import by_worth
from aias.compress.sentences import Reader, reader
from aias.compress.techniques.contract import Candidate
from aias.compress.workshop import Workshop
from aias.graph.int8 import Int8

__all__ = ["int8"]


def int8(shop: Workshop) -> Iterator[Candidate]:
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
