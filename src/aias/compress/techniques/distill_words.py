"""The whole parent taught to a small network on words: fitted to what the parent says of real texts and made-up ones.

A made-up text is a real one of which some terms are gone; what the parent says of it is a soft target, a row for each
class weighted by its probability. With p the parent's answer and q the student's, it learns to make small the cross
entropy − Σ p log q (Hinton, Vinyals and Dean 2015).
"""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from aias.compress.techniques.contract import Candidate, CannotHelp, Made
from aias.compress.workshop import Workshop
from aias.core.catalog import member
from aias.core.events import nobody
from aias.encoders.contract import Floats
from aias.encoders.rows import Encoded
from aias.learners.contract import Examples, Fit
from aias.training.configuration import ALL
from aias.training.pipeline import WITHOUT_SENTENCES, LinearPipeline

__all__ = ["distill_words"]

WIDTHS: Final = (8, 4)
MADE_UP: Final = 2
"""Texts, for each real one."""

GONE: Final = 0.3
"""Of the terms of a made-up text."""

CHANCE_MIN: Final = 0.02
"""A class less likely than this is not worth a row."""

Lesson = tuple[Any, Floats]
"""Features, (rows, width) CSR, and what the parent says of them, (rows, outputs)."""


def distill_words(shop: Workshop) -> Iterator[Candidate]:
    if not shop.encoder.layout.terms:
        raise CannotHelp("it has no texts; `distill` teaches it to trees")
    if shop.prepared.embedding is not None:
        raise CannotHelp("a sentence encoder reads its texts, and would have to read every made-up one")
    lessons: dict[int, Lesson] = {}
    for width in WIDTHS:
        yield Candidate(f"distilled into {width} neurons on words", partial(_student, shop, width, lessons))


def _student(shop: Workshop, width: int, lessons: dict[int, Lesson], fold: int) -> Made:
    if fold not in lessons:
        lessons[fold] = _lesson(shop, fold)
    how = Fit(shop.task, shop.seed + fold + 1, shop.fit_deadline(), shop.threads, nobody, {"width": width})
    student = member("learners", "text_mlp").fit(_examples(shop, *lessons[fold]), None, how)
    return Made(LinearPipeline(shop.bench.features.some(WITHOUT_SENTENCES), student), shop.encoder)


def _lesson(shop: Workshop, fold: int) -> Lesson:
    from scipy import sparse

    real, teacher = shop.encoded(shop.inside(fold)), shop.teacher(fold)
    rng = np.random.default_rng(shop.seed + fold - ALL)
    texts = [real, *(_made_up(real, rng) for _ in range(MADE_UP))]
    features = shop.bench.features.some(WITHOUT_SENTENCES)
    x = [sparse.hstack([feature.matrix(each) for feature in features], format="csr") for each in texts]
    return sparse.vstack(x, format="csr"), np.vstack([teacher.scores(each) for each in texts])


def _made_up(real: Encoded, rng: np.random.Generator) -> Encoded:
    kept = rng.random(len(real.term_ids)) >= GONE
    return replace(real, term_ids=real.term_ids[kept], term_segments=real.term_segments[kept])


def _examples(shop: Workshop, x: Any, said: Floats) -> Examples:
    if shop.task.type == "regression":
        return Examples(x, said[:, 0])
    rows, classes = np.nonzero(said >= CHANCE_MIN)
    weight = said[rows, classes]
    return Examples(x[rows], classes.astype(np.int64), weight / weight.mean())
