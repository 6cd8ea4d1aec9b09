"""The sentence encoder without its layers: each token a vector of its own, beside the words of the text.

The vectors are what the encoder's first layer would read: of what was tried on questions and films' reviews they served
best. Vectors that the whole encoder gives to a token alone (Tulkens and van Dongen 2024, model2vec), tables fitted to
what it says of the training texts, and weights by frequency (Arora et al. 2017) were all worse (docs/log.md).
"""

from collections.abc import Iterator
from dataclasses import replace

from aias.compress.context import Context
from aias.compress.sentences import reader
from aias.compress.techniques.contract import Candidate
from aias.graph.static import NARROW, StaticVectors, narrow, read_first

__all__ = ["static_embeddings"]


def static_embeddings(context: Context) -> Iterator[Candidate]:
    found = reader(context)
    sentences, whole = found.sentences, found.sentences.whole
    table = read_first(whole)
    for each in (table, narrow(table)) if whole.hidden > NARROW else (table,):
        static = StaticVectors(each, whole.length_max)
        name = f"static vectors of {static.width} numbers"
        yield found.candidate(name, replace(sentences, transformer=static))
