"""The whole parent taught to a small network on words: fitted to what the parent says of real texts and made-up ones.

A made-up text is a real one of which some terms are gone. Targets are soft, a row for each class weighted by its
probability: of a made-up text what the parent says, p; of a real one half of that, and half of what is true. The
student learns to make the cross entropy − Σ p log q small, q being what it says (Hinton, Vinyals and Dean 2015).
"""

import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np

from aias.compress.context import FIT_SHARE, Context, Teacher, check_whole
from aias.compress.distillation import own_answers
from aias.compress.synthetic_texts import GONE
from aias.compress.techniques.contract import Candidate, Made, NotApplicable
from aias.core.arrays import Floats
from aias.core.catalog import member
from aias.core.events import nobody
from aias.encoders.rows import Encoded
from aias.learners.contract import Examples, Fit
from aias.training.parent import NoTime
from aias.training.pipeline import WITHOUT_SENTENCES, LinearPipeline
from aias.training.selection.configuration import ALL
from aias.training.selection.members import Member
from aias.training.soft_labels import soft

__all__ = ["distill_words"]

WIDTHS: Final = (8, 6, 4)
SYNTHETIC: Final = 3
"""Texts, for each real one."""

SMALLER: Final = 0.8
"""The share of the numbers that the parent holds for a term, at most, for a student to be worth fitting."""

TRUTH: Final = 0.5
"""How much of the target of a real text is its own answer: where the parent errs, the student need not."""

EPOCHS: Final = 10

PROBED_ROWS: Final = 1_024
LONG: Final = 20
"""Times as many rows are worth a probe."""
TOO_LONG: Final = 1.5
"""Times as long as a fit may take: a probe is not exact."""

CHANCE_MIN: Final = 0.02
"""A class less likely than this is not worth a row."""

TransferSet = tuple[Any, Floats]
"""Features, (rows, width) CSR, and the answers of the parent to them, (rows, outputs)."""


def distill_words(context: Context) -> Iterator[Candidate]:
    if not context.encoder.layout.terms:
        raise NotApplicable("it has no texts; `distill` teaches it to trees")
    if context.prepared.embedding is not None:
        raise NotApplicable("a sentence encoder reads its texts, and would have to read every synthetic one")
    held = sum(_numbers(context, each) for each in context.members)
    widths = [width for width in WIDTHS if width + 1 <= SMALLER * held]
    if not widths:
        raise NotApplicable(
            f"it holds {held} numbers for a term, and a student of {WIDTHS[-1]} neurons {WIDTHS[-1] + 1}"
        )
    for width in widths:
        yield Candidate(f"distilled into {width} neurons on words", partial(_student, context, width))


def _numbers(context: Context, member: Member) -> int:
    """That a member, fitted once, holds for each term: its weights, and the length."""
    configuration, settings = member.configuration, member.refit.configuration.settings
    if configuration.learner == "text_mlp":
        return 1 + min(int(settings.get(name) or settings["width"]) for name in ("width", "neurons", "rank"))
    reads = configuration.learner == "linear" or configuration.sums_texts
    return 1 + (1 if context.task.outputs == 2 else context.task.outputs) if reads else 0


def _student(context: Context, width: int, fold: int) -> Made:
    held = context.once(("transfer set of words", fold), lambda: _transfer_set(context, fold))
    settings: dict[str, Any] = {"width": width, "epochs": EPOCHS}
    how = Fit(context.task, context.seed + fold + 1, context.fit_deadline(), context.threads, nobody, settings)
    examples = soft(context.task, *held, least=CHANCE_MIN)
    _check_pace(examples, how)
    student = member("learners", "text_mlp").fit(examples, None, how)
    done = student.settings["epochs"] / EPOCHS
    check_whole(how.deadline.seconds, left=how.deadline.left, less=done < 1, done=done)
    return Made(LinearPipeline(context.fitter.features.some(WITHOUT_SENTENCES), student), context.encoder)


def _check_pace(examples: Examples, how: Fit) -> None:
    """Raises `NoTime` where a few rows foretell that all would take far too long."""
    rows, began = examples.x.shape[0], time.monotonic()
    if rows < LONG * PROBED_ROWS:
        return
    few = Examples(examples.x[:PROBED_ROWS], examples.y[:PROBED_ROWS], np.ones(PROBED_ROWS))
    member("learners", "text_mlp").fit(few, None, replace(how, settings={**how.settings, "epochs": 1}))
    needed = (time.monotonic() - began) * EPOCHS * rows / PROBED_ROWS
    if needed > TOO_LONG * how.deadline.seconds:
        said = f"there was no time to fit it, which takes about {needed:.0f} s of {how.deadline.seconds:.3g}"
        raise NoTime(said, hint="give more time", enough=needed / FIT_SHARE)


def _transfer_set(context: Context, fold: int) -> TransferSet:
    from scipy import sparse

    rows = context.inside(fold)
    real, teacher = context.encoded(rows), _teacher(context, fold)
    rng = np.random.default_rng(context.seed + fold - ALL)
    asked = [real] if context.extra is None else [real, context.extra]
    texts = [*asked, *(_synthetic_texts(each, rng) for each in asked for _ in range(SYNTHETIC))]
    features = context.fitter.features.some(WITHOUT_SENTENCES)
    x = [sparse.hstack([feature.matrix(each) for feature in features], format="csr") for each in texts]
    said = np.vstack([teacher.scores(each) for each in texts])
    said[: len(rows)] += TRUTH * (own_answers(context, rows) - said[: len(rows)])
    return sparse.vstack(x, format="csr"), said


def _teacher(context: Context, fold: int) -> Teacher:
    """Of one fold nobody has seen all rows; so the parent as it was fitted again, for the last student."""
    if context.prepared.table.fold_count > 1:
        return context.teacher(fold)
    return context.mixed(list(context.members), context.weights, fold)


def _synthetic_texts(real: Encoded, rng: np.random.Generator) -> Encoded:
    kept = rng.random(len(real.term_ids)) >= GONE
    return replace(real, term_ids=real.term_ids[kept], term_segments=real.term_segments[kept])
