"""The sentence encoder without its layers: each token a vector of its own, beside the words of the text.

The vectors are what the encoder's first layer would read: of what was tried on questions and films' reviews they served
best. Vectors that the whole encoder gives to a token alone (Tulkens and van Dongen 2024, model2vec), tables fitted to
what it says of the training texts, and weights by frequency (Arora et al. 2017) were all worse (docs/log.md).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from aias.compress.sentences import reader
from aias.compress.techniques.contract import Candidate
from aias.compress.workshop import Workshop
from aias.graph.static import StaticVectors
from aias.graph.transformer import Transformer, Weights

__all__ = ["static_embeddings"]

NARROW: Final = 128
"""Directions that are kept of wider vectors, in a second candidate: those in which tokens differ most."""


def static_embeddings(shop: Workshop) -> Iterator[Candidate]:
    found = reader(shop)
    sentences, whole = found.sentences, found.sentences.whole
    table = _read_first(whole)
    for each in (table, _narrow(table)) if whole.width > NARROW else (table,):
        static = StaticVectors(each, whole.length_max)
        name = f"static vectors of {static.width} numbers"
        yield found.candidate(name, replace(sentences, transformer=static))


def _read_first(whole: Transformer) -> Weights:
    """Each token as the first layer reads it, where it stands anywhere: (vocabulary, width)."""
    x = whole.words + whole.positions.mean(axis=0)
    x = x - x.mean(axis=1, keepdims=True)
    x = x / np.sqrt((x**2).mean(axis=1, keepdims=True) + whole.epsilon)
    return np.asarray(x * whole.norm.scale + whole.norm.bias, np.float32)


def _narrow(table: Weights) -> Weights:
    """By principal components, (vocabulary, NARROW)."""
    centred = table - table.mean(axis=0)
    _, vectors = np.linalg.eigh(centred.T @ centred)
    return np.asarray(table @ vectors[:, -NARROW:], np.float32)
