"""A smaller sentence encoder in int8, its layers fine-tuned to the labels (`networks.fine_tuning`).

The lower layers, with fewer neurons (`graph.narrower`), lose what a frozen encoder had to say of texts of any kind;
trained on they learn what is asked of these. They answer by the head that they learned with, beside words, as windows
do. A fit takes minutes, so that several folds are judged by one that knows none of them (`compress.fold_groups`).
"""

import importlib.util
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Final

import numpy as np

from aias.compress.context import Context, check_whole
from aias.compress.distillation import own_answers
from aias.compress.fold_groups import together
from aias.compress.sentence_targets import Wanted
from aias.compress.sentences import Reader, reader, with_tokens
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.compress.windows import batches
from aias.core.arrays import Floats32
from aias.core.deadline import Deadline
from aias.graph.activation_ranges import activation_ranges
from aias.graph.int8 import Int8
from aias.graph.narrower import narrowed, neurons_of
from aias.graph.transformer import Transformer
from aias.networks.fine_tuning import fine_tuned
from aias.training.parent import NoTime

__all__ = ["fine_tune"]

FORMS: Final = ((1 / 2, 1 / 2), (1 / 2, 3 / 4), (2 / 3, 1 / 2))
"""Of the layers, the lower ones, and of their neurons; the harshest first."""

EPOCHS: Final = 4
BATCH_ROWS: Final = 32
EPOCHS_MIN: Final = 2

TIME_SHARE: Final = 0.2
"""Of the whole time, for one fit; it is planned for half of that, as the machine may be busy."""

BACK: Final = 4.0
"""Times as long as to read it takes to learn from a text (docs/log.md)."""

ROWS_MIN: Final = 200
NEURONS_MIN: Final = 8
TEXTS: Final = 256
"""That show how neurons vary together, as for `narrower_layers`."""


def fine_tune(context: Context) -> Iterator[Candidate]:
    found = reader(context)
    if importlib.util.find_spec("torch") is None:
        raise NotApplicable("encoders are fine-tuned by PyTorch, which is not installed (`pip install 'aias[deep]'`)")
    if context.prepared.dataset.rows < ROWS_MIN:
        raise NotApplicable(f"{context.prepared.dataset.rows} rows are too few to learn from")
    if min(len(each.narrower.weight) for each in found.sentences.whole.layers) < NEURONS_MIN:
        raise NotApplicable("its layers are as narrow as they can be")
    first, *others = FORMS
    if not _epochs(found, *first):
        raise NotApplicable(_too_long(found, *first))
    yield replace(_candidate(found, *first), milder=lambda: [_candidate(found, *each) for each in others])


def _candidate(found: Reader, counted: float, share: float) -> Candidate:
    layers, epochs = len(found.sentences.whole.layers), _epochs(found, counted, share)
    name = f"{_layers(found, counted)} of {layers} layers, {100 * share:g} % of their neurons, fine-tuned, in int8"
    return Candidate(
        name, partial(_make, found, counted, share, epochs), chosen=(epochs,), alike=partial(together, found.context)
    )


def _layers(found: Reader, counted: float) -> int:
    return max(1, round(counted * len(found.sentences.whole.layers)))


def _pass_seconds(found: Reader, counted: float, share: float) -> float:
    """Once through all rows. Two thirds of what is multiplied are the neurons."""
    smaller = counted * (1 + 2 * share) / 3
    return BACK * smaller * found.embedding.row_seconds * found.context.prepared.dataset.rows


def _epochs(found: Reader, counted: float, share: float) -> int:
    """As often as there is time for; 0 where that is too seldom to learn."""
    planned = TIME_SHARE / 2 * found.context.deadline.seconds / max(_pass_seconds(found, counted, share), 1e-9)
    return min(EPOCHS, int(planned)) if planned >= EPOCHS_MIN else 0


def _too_long(found: Reader, counted: float, share: float) -> str:
    once, most = _pass_seconds(found, counted, share), TIME_SHARE * found.context.deadline.seconds
    return f"once through the texts takes about {once:.0f} s, and a fit may take {most:.0f} s"


def _make(found: Reader, counted: float, share: float, epochs: int, fold: int) -> Made:
    if not epochs:
        raise NoTime(_too_long(found, counted, share), hint="give more time")
    count = _layers(found, counted)
    context, folds = found.context, together(found.context, fold)
    key = ("fine-tuned", count, share, epochs, *folds)
    made: Made = context.once(key, lambda: _made(found, count, share, epochs, folds))
    return made


def _made(found: Reader, count: int, share: float, epochs: int, folds: tuple[int, ...]) -> Made:
    """Its seconds are those of all rows."""
    context, sentences, began = found.context, found.sentences, time.monotonic()
    wanted = _wanted(found, folds)
    until = Deadline.after(TIME_SHARE * context.deadline.seconds, context.deadline.clock)
    order = batches(wanted.examples, epochs, np.random.default_rng(context.seed), rows=BATCH_ROWS)
    learned = fine_tuned(
        _smaller(found, count, share), wanted.examples, _said(found, folds), list(order),
        classes=bool(context.task.classes), seed=context.seed, deadline=until, count=context.threads,
    )  # fmt: skip
    check_whole(until.seconds, left=until.left, less=until.passed, share=TIME_SHARE)
    ranges = activation_ranges(learned.transformer, context.some_texts(sentences.subwords))
    embedding = replace(found.embedding, sentences=replace(sentences, transformer=Int8(learned.transformer, ranges)))
    made = wanted.answered(
        found, embedding, *folds, head=learned.head.astype(np.float64), intercept=learned.intercept.astype(np.float64)
    )
    return replace(made, seconds=(time.monotonic() - began) * context.prepared.dataset.rows / wanted.examples.rows)


def _wanted(found: Reader, folds: tuple[int, ...]) -> Wanted:
    context, rows, beside = found.context, found.context.inside(*folds), found.beside(*folds)
    known = None if beside is None else found.share * beside.of(found.all_rows().take(rows), rows)
    return Wanted.of(with_tokens(context).take(rows), own_answers(context, rows), known, task=context.task)


def _said(found: Reader, folds: tuple[int, ...]) -> Floats32:
    """By the whole encoder, of each text: (rows * texts, numbers)."""
    vectors = found.all_rows().take(found.context.inside(*folds)).vectors
    assert vectors is not None
    return np.asarray(vectors, np.float32).reshape(len(vectors) * found.sentences.texts, -1)


def _smaller(found: Reader, count: int, share: float) -> Transformer:
    """As it begins: the same for all folds, as no answers are looked at."""
    context, sentences = found.context, found.sentences
    neurons = context.once(
        "neurons", lambda: neurons_of(sentences.whole, context.some_texts(sentences.subwords, TEXTS))
    )
    return narrowed(found.lowest(count), neurons, share)
