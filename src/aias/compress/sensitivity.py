"""Which layers lose most in int8, for what they cost in float32: loss regained per microsecond.

Each layer, of a sentence encoder or of an imported network, goes back to float32 alone, and some rows are read. What is
regained is how much nearer their vectors or scores come to those in float32 (the mean of squared distances); what is
paid is the time that the rows then take longer. Vectors stand for the metric here: the head is fitted again on whatever
they become, and hides most of a small change.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final, TypeVar

import numpy as np

from aias.core.evenly import evenly
from aias.encoders.rows import Encoded
from aias.graph.activation_ranges import ActivationRange
from aias.graph.int8 import Int8
from aias.graph.sentences import SentenceEncoder, Texts, Vectors

Place = TypeVar("Place")

TEXTS: Final = 64
"""That each form reads; a sentence encoder takes about a millisecond for one."""

TIMES: Final = 3
"""That they are read; the least time counts."""

PAID_MIN_US: Final = 1.0
"""For a text. What seems to cost less, or nothing, is noise of the clock."""


def by_worth(sentences: SentenceEncoder, encoded: Encoded, reach: Sequence[ActivationRange]) -> list[int]:
    """The places of the layers, those first whose float32 regains most for a microsecond. `encoded`: rows with their
    tokens; `reach`: of the products (`graph.activation_ranges`)."""
    whole = sentences.whole
    texts = Texts.of(encoded).part(slice(0, None))
    places = evenly(len(texts.tokens), TEXTS)
    some = Texts(texts.tokens[places], texts.mask[places], texts.places)
    exact = sentences.vectors(some)
    return _ranked(
        range(len(whole.layers)),
        lambda spared: _read(replace(sentences, transformer=Int8(whole, reach, spared)), some, exact),
    )


def parts_by_worth(
    places: Sequence[str], form: Callable[[frozenset[str]], Callable[[], Any]], exact: Any
) -> list[str]:  # fmt: skip
    """The same of a graph's products by their names: `form` gives what answers some rows where these are spared."""
    return _ranked(places, lambda spared: _timed(form(spared), exact))


def _ranked(places: Sequence[Place], read: Callable[[frozenset[Place]], tuple[float, float]]) -> list[Place]:
    """`read`: what is lost where these stay exact, and the µs of a row."""
    lost, us = read(frozenset())
    worth = []
    for place in places:
        own, own_us = read(frozenset({place}))
        worth.append((lost - own) / max(own_us - us, PAID_MIN_US))
    return [places[int(at)] for at in np.argsort(-np.array(worth), kind="stable")]


def _read(sentences: SentenceEncoder, texts: Texts, exact: Vectors) -> tuple[float, float]:
    return _timed(lambda: sentences.vectors(texts), exact)


def _timed(answer: Callable[[], Any], exact: Any) -> tuple[float, float]:
    """What is lost by this form, and the µs of a row."""
    spent, found = [], exact
    for _ in range(TIMES):
        began = time.perf_counter()
        found = answer()
        spent.append(time.perf_counter() - began)
    return float(((found - exact) ** 2).sum(axis=1).mean()), 1e6 * min(spent) / len(exact)
