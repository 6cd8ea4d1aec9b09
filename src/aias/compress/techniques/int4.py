"""The matrices of the sentence encoder in four bits, a scale for each 32 numbers (`graph.int4`).

A sixth of the bytes. Products are computed in float32 as before, so that `int8` is faster wherever the processor holds
it up: of use where memory does, as with encoders of hundreds of megabytes.
"""

from collections.abc import Iterator
from dataclasses import replace

from aias.compress.context import Context
from aias.compress.sentences import reader
from aias.compress.techniques.contract import Candidate, NotApplicable
from aias.graph.int4 import BLOCK, Int4, can_be_packed

__all__ = ["int4"]


def int4(context: Context) -> Iterator[Candidate]:
    found = reader(context)
    sentences, whole = found.sentences, found.sentences.whole
    if not any(can_be_packed(layer.wider.weight) for layer in whole.layers):
        raise NotApplicable(f"its encoder has no large matrix of blocks of {BLOCK}")
    yield found.candidate("sentences in int4", replace(sentences, transformer=Int4(whole)))
