"""A sentence encoder in int8 without the tokens that no text of the table has: half of what is left of it.

Texts of known tokens are read as before. Words that have others are split into shorter pieces, or are unknown; what
that costs, the rows that certify tell: on each fold only the tokens of the other folds are kept.
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from aias.compress.context import Context
from aias.compress.sentences import Reader, reader, with_tokens
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.core.arrays import Flags, Ints
from aias.encoders.subwords import TRIMMED, Subwords
from aias.graph.int8 import Int8
from aias.training.selection.configuration import ALL

__all__ = ["encoder_vocabulary"]

SHARES: Final = (2 / 3, 5 / 6, 1.0)
"""Of the layers, the lower ones; what gains most comes first."""

KEPT_SHARE_MAX: Final = 0.9
"""Of the tokens; with more, there is nothing to gain."""


def encoder_vocabulary(context: Context) -> Iterator[Candidate]:
    found = reader(context)
    whole = found.sentences.whole
    _, before = _trimmed(found, ALL)
    if len(before) > KEPT_SHARE_MAX * len(whole.words):
        raise NotApplicable(f"its texts hold {len(before):,} of the {len(whole.words):,} tokens")
    for count in dict.fromkeys(max(1, round(share * len(whole.layers))) for share in SHARES):
        name = f"{count} of {len(whole.layers)} layers in int8, {len(before):,} tokens"
        yield Candidate(name, partial(_make, found, count))


def _make(found: Reader, count: int, fold: int) -> Made:
    context, sentences = found.context, found.sentences
    subwords, before = _trimmed(found, fold)
    lower, layers = found.lowest(count), len(sentences.whole.layers)
    like = replace(sentences, transformer=Int8(lower, found.reach))
    less = Int8(replace(lower, words=sentences.whole.words[before]), found.reach)
    smaller = replace(sentences, subwords=subwords, transformer=less)
    embedding, other = (replace(found.embedding, sentences=each) for each in (smaller, like))
    context.reads_alike(embedding, other, but=np.flatnonzero(~_known(context, before)))
    return found.made(smaller, fold, same=count == layers)


def _trimmed(found: Reader, fold: int) -> tuple[Subwords, Ints]:
    """What knows only the tokens of the rows that may be fitted on, and these. Raises `NotApplicable`."""
    context = found.context
    rows = context.inside(fold)
    trimmed = found.sentences.subwords.trimmed(set(np.unique(_tokens(context)[rows]).tolist()))
    if trimmed is None:
        raise NotApplicable(
            f"its sentence encoder's tokens are made of each other; only those of {' and '.join(TRIMMED)} can go"
        )
    return trimmed


def _known(context: Context, before: Ints) -> Flags:
    """Which rows have no tokens but these, (rows,)."""
    return np.asarray(np.isin(_tokens(context), before).all(axis=1))


def _tokens(context: Context) -> Ints:
    """(rows, tokens); what is no token is one that pads."""
    found = with_tokens(context)
    return np.asarray(found.tokens).reshape(found.rows, -1)
