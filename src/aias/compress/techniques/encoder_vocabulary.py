"""A sentence encoder in int8 without the tokens that no text of the table has: half of what is left of it.

Texts of known tokens are read as before. Words that have others are split into shorter pieces, or are unknown; what
that costs, the rows that certify tell.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from aias.compress.context import Context
from aias.compress.sentences import reader
from aias.compress.techniques.contract import Candidate, NotApplicable
from aias.core.arrays import Ints
from aias.encoders.subwords import TRIMMED
from aias.graph.int8 import Int8
from aias.training.prepare import encoded_of

__all__ = ["encoder_vocabulary"]

SHARES: Final = (2 / 3, 5 / 6, 1.0)
"""Of the layers, the lower ones; what gains most comes first."""

KEPT_SHARE_MAX: Final = 0.9
"""Of the tokens; with more, there is nothing to gain."""


def encoder_vocabulary(context: Context) -> Iterator[Candidate]:
    found = reader(context)
    sentences, whole = found.sentences, found.sentences.whole
    trimmed = sentences.subwords.trimmed(set(_seen(context).tolist()))
    if trimmed is None:
        raise NotApplicable(
            f"its sentence encoder's tokens are made of each other; only those of {' and '.join(TRIMMED)} can go"
        )
    subwords, before = trimmed
    if len(before) > KEPT_SHARE_MAX * len(whole.words):
        raise NotApplicable(f"its texts hold {len(before):,} of the {len(whole.words):,} tokens")
    for count in dict.fromkeys(max(1, round(share * len(whole.layers))) for share in SHARES):
        lower = whole.lowest(count)
        less = Int8(replace(lower, words=whole.words[before]), found.reach)
        name = f"{count} of {len(whole.layers)} layers in int8, {len(before):,} tokens"
        like = replace(sentences, transformer=Int8(lower, found.reach))
        smaller = replace(sentences, subwords=subwords, transformer=less)
        yield found.candidate(name, smaller, like=like, same=count == len(whole.layers))


def _seen(context: Context) -> Ints:
    """The tokens of the table's texts."""
    tokens = encoded_of(context.prepared.dataset, context.encoder).tokens
    return np.unique(tokens) if tokens is not None else np.zeros(0, np.int64)
