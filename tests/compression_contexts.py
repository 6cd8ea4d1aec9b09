"""The context of a version, as `aias compress` opens it, where the time stands still: no fit is cut, however slow."""

import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import aias
from aias.compress import distillation, job
from aias.compress.context import Context, open_context
from aias.compress.techniques import distill, distill_network
from aias.core.deadline import Deadline
from aias.core.events import nobody
from aias.core.schema import Field
from aias.data.read import read
from aias.encoders.rows import RowEncoder
from aias.graph.sentences import SentenceEncoder
from aias.training.ledger import Ledger
from aias.training.parent import Parent
from aias.training.prepare import Prepared
from aias.training.processes.memory import Memory
from aias.training.processes.workers import InlineWorkers
from aias.training.selection.plan import Plan
from aias.training.unit import UnitFitter

NOTES = 220


def standing(*, left: float, of: float) -> Deadline:
    """So much is left of the time, for as long as a test may take."""
    now = time.monotonic()
    return Deadline(now + left, of, lambda: now)


def opened(model: aias.Model, frame: pl.DataFrame, home: Path) -> Context:
    """Of a model called `m` that was trained on `frame` in this home."""
    parent = Parent(model.ref, model.manifest, model.runtime)
    dataset = read(frame, target=model.task.target)
    return _of(parent, parent.prepared(dataset, None, ledger=None, seconds=600, watch=nobody), home)


def reading(folder: Path, home: Path) -> Context:
    """Of a version with a sentence encoder, of which two folds judge: notes whose mood is what the encoder's vectors
    say, and words do not."""
    from tiny_encoder import encoder_into

    rng = random.Random(0)
    notes = [" ".join(rng.choices("abcdefgh", k=6)) for _ in range(NOTES)]
    notes[0] = "k a k b k k"  # no other has a k
    encoder = SentenceEncoder.read(str(encoder_into(folder, "bert")), texts=1)
    fitted = RowEncoder.fit([Field("note", "text")], {"note": notes}).with_subwords(encoder.subwords)
    vectors = encoder.embedded(fitted.columns({"note": notes}, NOTES)).vectors
    frame = pl.DataFrame({"note": notes, "mood": np.where(vectors[:, 0] > np.median(vectors[:, 0]), "good", "bad")})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("aias.training.selection.leaderboard.PATIENCE", (1, 1))
        model = aias.train(
            frame, target="mood", name="m", time="600s", folds=2, learners=("linear",), inline=True, home=home,
            encoder=folder,
        ).quality  # fmt: skip
    return opened(model, frame, home)


def taught(model: aias.Model, frame: pl.DataFrame, home: Path) -> Context:
    """The same of a model called `m` that was imported."""
    parent = Parent(model.ref, model.manifest, model.runtime, model.folder)
    dataset = read(frame, target=model.task.target)
    return _of(parent, parent.taught(dataset, how="random", seconds=600, watch=nobody), home)


def _of(parent: Parent, prepared: Prepared, home: Path) -> Context:
    fitter = UnitFitter(prepared.table, Ledger(home / "work" / "m"))
    plan = Plan(
        prepared.table, fitter.ledger, InlineWorkers(fitter), seed=0,
        fit_ends_at=lambda: time.monotonic() + 600, memory=Memory(), watch=nobody,
    )  # fmt: skip
    return open_context(
        parent, prepared, fitter, plan, deadline=standing(left=100_000.0, of=600.0), stop=threading.Event()
    )


@contextmanager
def soon() -> Iterator[pytest.MonkeyPatch]:
    """Taught on four times as many synthetic rows as there are, in place of twenty, for ten epochs at most; timed in a
    twenty-fifth of the time."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(distillation, "AMOUNTS", replace(distillation.AMOUNTS, times=4))
        patched.setattr(distill_network, "EPOCHS", (10, 10))
        patched.setattr(job, "TIMED_SECONDS", job.TIMED_SECONDS / 25)
        patched.setattr(job, "TIMED_AGAIN_SECONDS", job.TIMED_AGAIN_SECONDS / 25)
        yield patched


def small_students(patched: pytest.MonkeyPatch) -> None:
    """Of 100 trees in place of 400."""
    whole = replace(distill.WHOLE, trees=100)
    half = replace(whole, trees=50, of=100, again=True)
    patched.setattr(distill, "SIZES", (whole, half, distill.SIZES[-1]))
