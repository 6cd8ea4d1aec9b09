"""`compress/techniques/fine_tune.py`: what it promises besides what all techniques do."""

from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="the extra `deep` is not installed")
pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
pytest.importorskip("safetensors", reason="the extra `text` is not installed")

from aias.compress.context import Context
from aias.compress.techniques.contract import NotApplicable
from aias.core.catalog import member
from aias.core.deadline import Deadline
from aias.networks.fine_tuning import FineTuned, fine_tuned
from aias.training.parent import NoTime
from aias.training.selection.configuration import ALL
from compression_contexts import NOTES, reading, standing


@pytest.fixture(scope="module")
def context(tmp_path_factory) -> Context:
    return reading(tmp_path_factory.mktemp("encoder"), tmp_path_factory.mktemp("home"))


def test_an_encoder_is_fine_tuned_by_the_answers_of_no_fold_that_it_is_judged_by(context, monkeypatch):
    """Two folds are judged by one fit: neither's answers change anything of it, and those of the others do."""
    folds, held = context.prepared.table.folds, context.prepared.table.whole.y
    five = replace(context.prepared.table, folds=(np.arange(NOTES) % 5).astype(folds.dtype))
    monkeypatch.setattr(context, "prepared", replace(context.prepared, table=five))

    def learned(turned: int) -> tuple[np.ndarray, np.ndarray]:
        own = replace(context, memo={}, _read={})
        rows, kept = five.outside(turned), held.copy()
        held[rows] = 1 - held[rows]
        try:
            (candidate,) = member("compress.techniques", "fine_tune")(own)
            made = candidate.make(0)
        finally:
            held[:] = kept
        assert candidate.make(1) is made
        assert candidate.alike(1) == candidate.alike(0) == (0, 1) != candidate.alike(2)
        return made.pipeline.model.weights, made.embedding.sentences.transformer.of.layers[0].wider.weight

    monkeypatch.setattr("aias.compress.fold_groups.FOLDS_MAX", 2)
    whole = learned(0)
    for turned, alike in ((1, True), (2, False)):
        assert all(np.array_equal(*each) == alike for each in zip(whole, learned(turned), strict=True))


def test_an_encoder_is_fine_tuned_as_often_as_there_is_time_for(context, monkeypatch):
    embedding = context.prepared.embedding

    def of(row_seconds: float) -> Context:
        slower = replace(embedding, row_seconds=row_seconds)
        return replace(context, prepared=replace(context.prepared, embedding=slower), memo={}, _read={})

    def epochs(row_seconds: float) -> tuple[object, ...]:
        (candidate,) = member("compress.techniques", "fine_tune")(of(row_seconds))
        return candidate.chosen

    assert epochs(1e-4) == (4,) and epochs(0.06) == (3,)
    with pytest.raises(NotApplicable, match="a fit may take"):
        epochs(1.0)
    (candidate,) = member("compress.techniques", "fine_tune")(of(0.2))
    assert [each.chosen for each in (candidate, *candidate.milder())] == [(2,), (0,), (0,)]
    with pytest.raises(NoTime, match="once through the texts takes"):
        candidate.milder()[0].make(0)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(NotApplicable, match="aias\\[deep\\]"):
        epochs(1e-4)


class Machine:
    """Stands for fits that make a share of the steps that they are asked for. `asked`: of each, how many, by when, and
    how few would do."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, shares: list[float]) -> None:
        self.asked: list[tuple[int, float, float, int]] = []

        def fits(*parts, planned: Deadline, deadline: Deadline, steps_min: int, **more) -> FineTuned:
            order = parts[3]
            self.asked.append((len(order), planned.seconds, deadline.seconds, steps_min))
            share = shares[min(len(self.asked), len(shares)) - 1]
            found = fine_tuned(
                *parts[:3], order[:1], planned=planned, deadline=deadline, steps_min=1, **more
            )  # fmt: skip
            return replace(found, steps=round(share * len(order)))

        monkeypatch.setattr("aias.compress.techniques.fine_tune.fine_tuned", fits)
        monkeypatch.setattr("aias.compress.techniques.fine_tune.BATCH_ROWS", 1)


@pytest.fixture
def eight(context: Context) -> Context:
    """The same rows in eight folds, of which four certify, with 600 s."""
    table = context.prepared.table
    folds = (np.arange(NOTES) % 8).astype(table.folds.dtype)
    prepared = replace(context.prepared, table=replace(table, folds=folds))
    certifying = np.flatnonzero(np.isin(folds, [1, 3, 5, 7]))
    return replace(
        context, prepared=prepared, certifying=certifying, memo={}, _read={}, deadline=standing(left=600.0, of=600.0)
    )  # fmt: skip


def test_what_is_certified_learned_no_longer_than_what_is_published_nor_much_shorter_than_what_was_judged(
    eight: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(monkeypatch, [0.75, 0.9, 1.0])
    (candidate,) = member("compress.techniques", "fine_tune")(eight)
    assert candidate.chosen == (4,)
    candidate.make(0)
    eight.finishing = True
    for fold in (ALL, 1, 5):
        candidate.make(fold)

    of = [len(eight.inside(*folds)) for folds in ((0, 2, 4), (ALL,), (1, 3), (5, 7))]
    passes, least = ([each[at] / rows for each, rows in zip(machine.asked, of, strict=True)] for at in (0, 3))
    assert passes == pytest.approx([4.0, 3.0, 2.7, 2.7], abs=0.05)
    assert least == pytest.approx([2.0, 2.25, 2.25, 2.25], abs=0.05)


def test_all_fits_have_their_share_of_the_time(eight: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """While candidates are searched as much of a tenth as of the rows, or twice a tenth at most; then of what is
    left."""
    machine = Machine(monkeypatch, [1.0])
    (candidate,) = member("compress.techniques", "fine_tune")(eight)
    candidate.make(0)
    eight.finishing, eight.deadline = True, standing(left=180.0, of=600.0)
    for fold in (ALL, 1, 5):
        candidate.make(fold)

    first, whole, *folds = machine.asked
    assert first[1:3] == pytest.approx((60 * 5 / 8, 120), abs=1.0)
    assert whole[1:3] == pytest.approx((162 * 8 / 20,) * 2, abs=1.0)
    assert [each[1] for each in folds] == pytest.approx([162 * 6 / 12, 162], abs=1.0)  # here the time stands still
    eight.finishing, eight.deadline, eight.memo = False, standing(left=200.0, of=600.0), {}
    candidate.make(0)
    assert machine.asked[-1][1:3] == pytest.approx((20, 20), abs=1.0)  # the rest is for what is nominated


def test_a_form_that_there_was_no_time_to_fine_tune_is_not_judged(
    eight: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    Machine(monkeypatch, [0.4])
    (candidate,) = member("compress.techniques", "fine_tune")(eight)
    with pytest.raises(NoTime, match="there was no time to go through"):
        candidate.make(0)


def test_of_many_texts_some_thousand_are_enough(eight: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    machine = Machine(monkeypatch, [1.0])
    monkeypatch.setattr("aias.compress.techniques.fine_tune.READ_MIN", NOTES / 2)
    slower = replace(eight.prepared, embedding=replace(eight.prepared.embedding, row_seconds=0.7))
    (candidate,) = member("compress.techniques", "fine_tune")(replace(eight, prepared=slower))
    assert candidate.chosen == (1,)
    candidate.make(0)
    rows = len(eight.inside(0, 2, 4))
    assert machine.asked[0][0] == rows and machine.asked[0][3] == pytest.approx(rows / 2, abs=1)
