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
from aias.training.parent import NoTime
from compression_contexts import NOTES, reading


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
    (candidate,) = member("compress.techniques", "fine_tune")(of(0.1))
    assert [each.chosen for each in (candidate, *candidate.milder())] == [(2,), (0,), (0,)]
    with pytest.raises(NoTime, match="once through the texts takes"):
        candidate.milder()[0].make(0)
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(NotApplicable, match="aias\\[deep\\]"):
        epochs(1e-4)
