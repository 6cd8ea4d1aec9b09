"""A smaller sentence encoder in int8, its layers fine-tuned to the labels (`networks.fine_tuning`).

The lower layers, with fewer neurons (`graph.narrower`), lose what a frozen encoder had to say of texts of any kind;
trained on they learn what is asked of these. They answer by the head that they learned with, beside words, as windows
do. A fit takes minutes, so that several folds are judged by one that knows none of them (`compress.fold_groups`).

Where the machine is slower than it was, a fit goes through fewer texts, and ends in time all the same. What judges
never learned longer than what is published: that is fitted first, and those behind it go through the texts as often or
more seldom.
"""

import importlib.util
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from typing import Final

import numpy as np

from aias.compress.context import FINISH_SHARE, Context
from aias.compress.distillation import own_answers
from aias.compress.fold_groups import certifying, together
from aias.compress.halving import LATE, NO_TIME
from aias.compress.sentence_targets import Wanted
from aias.compress.sentences import Reader, reader, with_tokens
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.compress.windows import Examples, batches
from aias.core.arrays import Floats32
from aias.core.deadline import Deadline
from aias.core.quantities import are, counted
from aias.graph.activation_ranges import activation_ranges
from aias.graph.int8 import Int8
from aias.graph.narrower import narrowed, neurons_of
from aias.graph.transformer import Transformer
from aias.networks.fine_tuning import FineTuned, fine_tuned
from aias.training.parent import NoTime

__all__ = ["fine_tune"]


@dataclass(frozen=True, slots=True)
class Form:
    """Of the layers, the lower ones; and of their neurons."""

    layers: float
    neurons: float

    @property
    def products(self) -> float:
        """Of what the whole encoder multiplies; two thirds are the neurons."""
        return self.layers * (1 + 2 * self.neurons) / 3


FORMS: Final = (Form(1 / 2, 1 / 2), Form(1 / 2, 3 / 4), Form(2 / 3, 1 / 2))
"""The harshest first."""

EPOCHS: Final = 4
BATCH_ROWS: Final = 32
EPOCHS_MIN: Final = 2
READ_MIN: Final = 8_000
"""Texts to learn from: so many suffice, and of fewer rows each twice."""

TIME_SHARE: Final = 0.2
"""Of the whole time, for one fit; it is planned for half of that, as the machine may be busy."""

LESS_MIN: Final = 0.75
"""Of what was judged, what may be learned for certain: with less it would be another candidate."""

READY_SHARE: Final = 0.9
"""Of the time for what is nominated, for its fits."""

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
    if (rows := context.prepared.dataset.rows) < ROWS_MIN:
        raise NotApplicable(f"{counted(rows, 'row')} {are(rows)} too few to learn from")
    if min(len(each.narrower.weight) for each in found.sentences.whole.layers) < NEURONS_MIN:
        raise NotApplicable("its layers are as narrow as they can be")
    first, *others = FORMS
    if not _epochs(found, first):
        raise NotApplicable(_too_long(found, first), enough=_enough(found, first))
    yield replace(_candidate(found, first), milder=lambda: [_candidate(found, each) for each in others])


def _candidate(found: Reader, form: Form) -> Candidate:
    epochs, parts = _epochs(found, form), f"{100 * form.neurons:g} % of their neurons"
    name = f"{_layers(found, form)} of {len(found.sentences.whole.layers)} layers, {parts}, fine-tuned, in int8"
    return Candidate(
        name, partial(_make, found, form, epochs), chosen=(epochs,), alike=partial(together, found.context)
    )


def _layers(found: Reader, form: Form) -> int:
    return max(1, round(form.layers * len(found.sentences.whole.layers)))


def _pass_seconds(found: Reader, form: Form) -> float:
    """Once through all rows."""
    return BACK * form.products * found.embedding.row_seconds * found.context.prepared.dataset.rows


def _passes_min(found: Reader) -> float:
    return min(EPOCHS_MIN, READ_MIN / found.context.prepared.dataset.rows)


def _epochs(found: Reader, form: Form) -> int:
    """As often as there is time for; 0 where that is too seldom to learn."""
    planned = TIME_SHARE / 2 * found.context.deadline.seconds / max(_pass_seconds(found, form), 1e-9)
    least = _passes_min(found)
    return min(EPOCHS, max(int(planned), ceil(least))) if 2 * planned >= least else 0


def _enough(found: Reader, form: Form) -> float:
    """Seconds for everything, of which a fit then has those that it takes at least."""
    return _passes_min(found) * _pass_seconds(found, form) / TIME_SHARE


def _too_long(found: Reader, form: Form) -> str:
    once, most = _pass_seconds(found, form), TIME_SHARE * found.context.deadline.seconds
    return f"{NO_TIME}: once through the texts takes about {once:.0f} s, and a fit may take {most:.0f} s"


def _make(found: Reader, form: Form, epochs: int, fold: int) -> Made:
    if not epochs:
        raise NoTime(_too_long(found, form), hint="give more time", enough=_enough(found, form))
    folds = together(found.context, fold)
    fits: _Fits = found.context.once(("fine-tuning", form), lambda: _Fits(found, form, epochs))
    made: Made = found.context.once(("fine-tuned", form, *folds), lambda: fits.made(folds))
    return made


@dataclass(eq=False)
class _Fits:
    """Of one form, for all folds. `passes`: through the texts, as many as the last fit made, or the first is to make;
    `passes_min`: with fewer it is not what was judged first; `ready`: what was made of them, by the folds."""

    found: Reader
    form: Form
    passes: float
    passes_min: float = 0.0
    ready: set[tuple[int, ...]] = field(default_factory=set)

    def made(self, folds: tuple[int, ...]) -> Made:
        """Its seconds are those of all rows, with as few passes as there may be. Raises `NoTime`."""
        found, context, began = self.found, self.found.context, time.monotonic()
        sentences, wanted = found.sentences, _wanted(found, folds)
        learned = self._learned(wanted.examples, folds)
        self.ready.add(folds)
        ranges = activation_ranges(learned.transformer, context.some_texts(sentences.subwords))
        smaller = replace(sentences, transformer=Int8(learned.transformer, ranges))
        made = wanted.answered(
            found, replace(found.embedding, sentences=smaller), *folds, head=learned.head.astype(np.float64),
            intercept=learned.intercept.astype(np.float64),
        )  # fmt: skip
        larger = context.prepared.dataset.rows / wanted.examples.rows
        return replace(made, seconds=LESS_MIN * larger * (time.monotonic() - began))

    def _learned(self, examples: Examples, folds: tuple[int, ...]) -> FineTuned:
        context = self.found.context
        planned, until = self._deadlines(examples.rows, folds)
        order = list(batches(examples, ceil(self.passes), np.random.default_rng(context.seed), rows=BATCH_ROWS))
        once = len(order) / ceil(self.passes)
        least = round(once * (self.passes_min or _passes_min(self.found)))
        learned = fine_tuned(
            _smaller(self.found, self.form), examples, _said(self.found, folds), order[: round(once * self.passes)],
            classes=bool(context.task.classes), seed=context.seed, planned=planned, deadline=until, steps_min=least,
            count=context.threads,
        )  # fmt: skip
        if learned.steps < least:
            said = f"{LATE} to go through {BATCH_ROWS * least:,} texts to learn from: {until.seconds:.3g} s are too few"
            raise NoTime(said, hint=f"give more time: a fit may take {100 * TIME_SHARE:.0f} % of it")
        self.passes = learned.steps / once
        self.passes_min = self.passes_min or LESS_MIN * self.passes
        return learned

    def _deadlines(self, rows: int, folds: tuple[int, ...]) -> tuple[Deadline, Deadline]:
        """When it should be over, and when it must be. While candidates are searched, as much for each row as will be
        there for what is nominated; then its share of what is left."""
        context, all_rows = self.found.context, self.found.context.prepared.dataset.rows
        clock, ends_at, whole = context.deadline.clock, context.deadline.ends_at, context.deadline.seconds
        if not context.finishing:
            last = Deadline.until(ends_at - FINISH_SHARE * whole, clock)
            until = Deadline.after(min(TIME_SHARE * whole, last.left), clock)
            return Deadline.after(min(TIME_SHARE / 2 * whole * rows / all_rows, last.left), clock), until
        others = {together(context, each) for each in certifying(context)} - self.ready - {folds}
        behind = sum(len(context.inside(*each)) for each in others)
        until = Deadline.after(READY_SHARE * context.deadline.left * rows / (rows + behind), clock)
        return until, until


def _wanted(found: Reader, folds: tuple[int, ...]) -> Wanted:
    context, rows, beside = found.context, found.context.inside(*folds), found.beside(*folds)
    known = None if beside is None else found.share * beside.of(found.all_rows().take(rows), rows)
    return Wanted.of(with_tokens(context).take(rows), own_answers(context, rows), known, task=context.task)


def _said(found: Reader, folds: tuple[int, ...]) -> Floats32:
    """By the whole encoder, of each text: (rows * texts, numbers)."""
    vectors = found.all_rows().take(found.context.inside(*folds)).vectors
    assert vectors is not None
    return np.asarray(vectors, np.float32).reshape(len(vectors) * found.sentences.texts, -1)


def _smaller(found: Reader, form: Form) -> Transformer:
    """As it begins: the same for all folds, as no answers are looked at."""
    context, sentences = found.context, found.sentences
    neurons = context.once(
        "neurons", lambda: neurons_of(sentences.whole, context.some_texts(sentences.subwords, TEXTS))
    )
    return narrowed(found.lowest(_layers(found, form)), neurons, form.neurons)
