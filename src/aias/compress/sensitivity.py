"""Which layers of a sentence encoder lose most in int8, for what they cost in float32: loss regained per microsecond.

Each layer goes back to float32 alone, and some texts are read. What is regained is how much nearer their vectors come
to those of the encoder in float32 (the mean of squared distances); what is paid is the time that the texts then take
longer. Vectors stand for the metric here: the head is fitted again on whatever they become, and hides most of a small
change.
"""

import time
from dataclasses import replace
from typing import Final

import numpy as np

from aias.encoders.rows import Encoded
from aias.graph.int8 import Int8
from aias.graph.sentences import SentenceEncoder, Texts, Vectors

TEXTS: Final = 64
"""That each form reads; a sentence encoder takes about a millisecond for one."""

TIMES: Final = 3
"""That they are read; the least time counts."""

PAID_MIN_US: Final = 1.0
"""For a text. What seems to cost less, or nothing, is noise of the clock."""


def by_worth(sentences: SentenceEncoder, encoded: Encoded) -> list[int]:
    """The places of the layers, those first whose float32 regains most for a microsecond. `encoded`: rows with their
    tokens."""
    whole = sentences.whole
    texts = Texts.of(encoded).part(slice(0, None))
    places = np.unique(np.linspace(0, len(texts.tokens) - 1, min(TEXTS, len(texts.tokens))).astype(np.int64))
    some = Texts(texts.tokens[places], texts.mask[places], texts.places)
    exact = sentences.vectors(some)
    lost, us = _read(replace(sentences, transformer=Int8(whole)), some, exact)
    worth = []
    for place in range(len(whole.layers)):
        own, own_us = _read(replace(sentences, transformer=Int8(whole, frozenset({place}))), some, exact)
        worth.append((lost - own) / max(own_us - us, PAID_MIN_US))
    return [int(place) for place in np.argsort(-np.array(worth), kind="stable")]


def _read(sentences: SentenceEncoder, texts: Texts, exact: Vectors) -> tuple[float, float]:
    """What is lost by this form, and the µs of a text."""
    spent, found = [], exact
    for _ in range(TIMES):
        began = time.perf_counter()
        found = sentences.vectors(texts)
        spent.append(time.perf_counter() - began)
    return float(((found - exact) ** 2).sum(axis=1).mean()), 1e6 * min(spent) / len(texts.tokens)
